//! The fault matrix, a test for each cell, and its document.

#![allow(clippy::unwrap_used)]

use faults::matrix::{Column, ROWS, check, document};
use std::path::Path;
use witness_sim::Profile;

fn cell(row: &str, column: Column) {
    let row = ROWS.iter().find(|known| known.name == row).unwrap();
    for profile in Profile::ALL {
        check(row, column, profile);
    }
}

macro_rules! rows {
    ($($row:ident)*) => {
        $(mod $row {
            use faults::matrix::Column;

            #[test]
            fn mapper() {
                super::cell(stringify!($row), Column::Mapper);
            }
            #[test]
            fn bind() {
                super::cell(stringify!($row), Column::Bind);
            }
            #[test]
            fn auth() {
                super::cell(stringify!($row), Column::Auth);
            }
            #[test]
            fn list() {
                super::cell(stringify!($row), Column::List);
            }
            #[test]
            fn register() {
                super::cell(stringify!($row), Column::Register);
            }
            #[test]
            fn waiting() {
                super::cell(stringify!($row), Column::Waiting);
            }
            #[test]
            fn unregister() {
                super::cell(stringify!($row), Column::Unregister);
            }
        })*

        #[test]
        fn each_row_has_its_tests() {
            let rows: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
            assert_eq!(rows, [$(stringify!($row)),*]);
        }
    };
}

rows! {
    refused unanswered dropped late cut
    node_down node_vanishes node_cut node_restarts service_stops service_restarts
    address_moves address_offline all_down
    garbled chunks fragments huge_counts huge_length truncated wrong_call_id unprotected empty
    op_rng_error other_faults fault_access_denied fault_security_package bind_nak
    bind_nak_checksum
    timeout not_found invalid_state invalid_parameter revision_mismatch call_not_implemented
    no_room access_denied
    client_move share_move ip_change mixed_list useless_list force_unregister
    password_change clock_step
}

#[test]
fn the_document_is_what_the_tests_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/fault-matrix.md");
    let now = document();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &now).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == now, "{} is out of date; run with UPDATE_DOCS=1", path.display());
}
