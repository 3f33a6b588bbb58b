//! The C consumer's scenarios under valgrind: no error and no leak.

#[macro_use]
mod common;

const VALGRIND: [&str; 7] = [
    "valgrind",
    "--quiet",
    "--error-exitcode=99",
    "--leak-check=full",
    "--errors-for-leak-kinds=definite,indirect,possible",
    "--child-silent-after-fork=yes",
    concat!("--suppressions=", env!("CARGO_MANIFEST_DIR"), "/../tests/c-consumer/valgrind.supp"),
];

test_scenarios!(&VALGRIND);
