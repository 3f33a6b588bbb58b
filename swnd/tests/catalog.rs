//! The journal's catalog explains each kind of line that swnd writes, and README.md's table
//! is made of it.
//!
//! `UPDATE_DOCS=1 cargo test -p swnd --test catalog` writes the table.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use swnclient::{Call, Error};
use swnclient_proto::wire::Status;
use swnd::authentication::Unusable;
use swnd::failover::Line;
use swnd::kernel::absence::Absence;
use swnd::report::{Kind, Mount, Report, fields};

const CATALOG: &str = include_str!("../../packaging/swnd.catalog");
const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");

/// One entry of the catalog.
struct Entry {
    id: &'static str,
    /// How such a line reads.
    says: Option<&'static str>,
    subject: &'static str,
    paragraphs: Vec<String>,
}

fn entries() -> Vec<Entry> {
    let mut says = None;
    let mut entries: Vec<Entry> = Vec::new();
    for line in CATALOG.lines() {
        if let Some(text) = line.strip_prefix("# Says: ") {
            says = Some(text);
        } else if let Some(id) = line.strip_prefix("-- ") {
            entries.push(Entry { id, says: says.take(), subject: "", paragraphs: Vec::new() });
        } else if let Some(entry) = entries.last_mut() {
            match (line.strip_prefix("Subject: "), line) {
                (Some(subject), _) => entry.subject = subject,
                (None, "") => entry.paragraphs.push(String::new()),
                (None, line) => {
                    if let Some(paragraph) = entry.paragraphs.last_mut() {
                        *paragraph += if paragraph.is_empty() { "" } else { " " };
                        *paragraph += line;
                    }
                }
            }
        }
    }
    entries.iter_mut().for_each(|entry| entry.paragraphs.retain(|it| !it.is_empty()));
    entries
}

#[test]
fn each_kind_of_line_has_its_entry_and_no_other_has_one() {
    let listed: Vec<_> = entries().iter().map(|entry| entry.id).collect();
    let kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.message_id()).collect();
    assert_eq!(listed, kinds);
    let different: BTreeSet<_> = kinds.iter().collect();
    assert_eq!(different.len(), kinds.len());
    for entry in entries() {
        let is_hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        assert!(entry.id.len() == 32 && entry.id.chars().all(is_hexadecimal), "{}", entry.id);
        assert!(!entry.subject.is_empty() && !entry.paragraphs.is_empty(), "{}", entry.id);
        // What README.md lists says what to do.
        assert!(entry.says.is_none() || entry.paragraphs.len() > 1, "{}", entry.id);
    }
    let names: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), kinds.len());
}

#[test]
fn the_variables_of_the_catalog_are_fields_of_the_journal() {
    let known = [
        "SWND_MOUNT",
        "SWND_NET_NAME",
        "SWND_ADDRESS",
        "SWND_WITNESS",
        "SWND_NOTIFICATION",
        "SWND_DELIVERY_USEC",
        "SWND_KERNEL_ERRNO",
        "SWND_ERROR",
    ];
    let used: BTreeSet<_> = CATALOG.split('@').skip(1).step_by(2).collect();
    assert_eq!(used, known.into_iter().collect());
}

#[test]
fn the_readme_lists_what_the_catalog_says() {
    let readme = fs::read_to_string(README).unwrap();
    let head = "| the journal says | what to do |\n| --- | --- |\n";
    let (before, rest) = readme.split_once(head).unwrap();
    let (_, after) = rest.split_once("| no line for a mount at all |").unwrap();
    let mut table = String::new();
    for entry in entries() {
        let Some(says) = entry.says else { continue };
        let mut to_do = entry.paragraphs.last().unwrap().trim_end_matches('.').to_owned();
        // A heading's words, not a sentence.
        let first = to_do.remove(0).to_lowercase();
        table += &format!("| {says} | {first}{to_do} |\n");
    }
    let expected = format!("{before}{head}{table}| no line for a mount at all |{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(README, &expected).unwrap();
    }
    assert_eq!(fs::read_to_string(README).unwrap(), expected);
}

/// A line of each kind that README.md lists and a report makes.
fn lines() -> Vec<(Kind, String)> {
    let mount = Mount::from(&swnclient::RegistrationRequest::new("cluster"));
    let address: IpAddr = "10.0.0.9".parse().unwrap();
    let refused = |code| Error::Refused { address, call: Call::Register, status: Status(code) };
    let failed = |error| Report::Failed {
        mount: mount.clone(),
        error,
        retry_in: None,
        again: false,
        lost: false,
    };
    let failover = |line| Report::Failover { mount: mount.clone(), others: 0, line };
    let reports = [
        Report::Absent(Absence::Module),
        Report::Absent(Absence::Option),
        Report::Absent(Absence::Namespace),
        failed(Error::NetNameIsAddress("10.0.0.9".into())),
        failed(Error::Resolve { name: "cluster".into(), reason: "not found".into() }),
        failed(Error::Connect { address: (address, 135).into(), kind: ErrorKind::TimedOut }),
        failed(Error::NoDescriptor { address: (address, 135).into() }),
        failed(Error::AccessDenied { address, detail: "".into() }),
        failed(Error::MapperAccessDenied { address, detail: "".into() }),
        failed(Error::TicketRefused { address, service: "cifs/cluster".into(), detail: "".into() }),
        failed(Error::KerberosTimeout { after: Duration::from_secs(30) }),
        failed(Error::NoWitness),
        failed(refused(87)),
        failed(refused(5023)),
        failed(refused(8)),
        Report::Unusable { mount: mount.clone(), reason: Unusable::NoPassword, again: false },
        Report::Unusable {
            mount: mount.clone(),
            reason: Unusable::Account("/x: No such file".into()),
            again: false,
        },
        failover(Line::NotByName { target: address }),
        failover(Line::Powerless),
        failover(Line::MoveFailed),
        failover(Line::TargetSilent { target: address }),
        failover(Line::SharedNumber { address, other: address }),
        failover(Line::GaveUp),
        failover(Line::Hidden),
        Report::Overrun,
    ];
    reports.iter().map(|report| (report.kind(), report.to_string())).collect()
}

#[test]
fn lines_read_as_the_catalog_says() {
    let entries = entries();
    for (kind, line) in lines() {
        let entry = entries.iter().find(|entry| entry.id == kind.message_id()).unwrap();
        let mut rest = line.as_str();
        for part in entry.says.unwrap().split("...").map(str::trim) {
            let found = rest.split_once(part);
            rest = found.unwrap_or_else(|| panic!("{part:?} is not in {line:?}")).1;
        }
    }
}

#[test]
fn a_report_has_its_fields() {
    let mut request = swnclient::RegistrationRequest::new("cluster");
    request.share_name = Some("data".into());
    let mount = Mount::from(&request);
    let report = Report::Failed {
        mount,
        error: Error::NoWitness,
        retry_in: Some(Duration::from_millis(1500)),
        again: false,
        lost: false,
    };
    let expected = [
        ("message_id", Kind::NoWitness.message_id()),
        ("swnd_mount", r"\\cluster\data"),
        ("swnd_net_name", "cluster"),
        ("swnd_share_name", "data"),
        ("swnd_error", &Error::NoWitness.to_string()),
        ("swnd_retry_seconds", "1.5"),
    ];
    assert_eq!(fields(&report), expected.map(|(name, value)| (name, value.to_owned())));
}

#[test]
fn journalctl_takes_the_catalog() {
    let root = std::env::temp_dir().join(format!("swnd-catalog-{}", std::process::id()));
    let folder = root.join("usr/lib/systemd/catalog");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("swnd.catalog"), CATALOG).unwrap();
    fs::create_dir_all(root.join("var/lib/systemd/catalog")).unwrap();
    let journalctl = |arguments: &[&str]| {
        let mut command = Command::new("journalctl");
        let output = command.arg("--root").arg(Path::new(&root)).args(arguments).output();
        let output = output.expect("journalctl is missing: install systemd");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{error}");
        // What it can't read it says, and goes on.
        assert_eq!(error, "");
        String::from_utf8(output.stdout).unwrap()
    };
    journalctl(&["--update-catalog"]);
    let dumped = journalctl(&["--dump-catalog"]);
    fs::remove_dir_all(&root).unwrap();
    for entry in entries() {
        assert!(dumped.contains(&format!("-- {}\nSubject: {}\n", entry.id, entry.subject)));
    }
}
