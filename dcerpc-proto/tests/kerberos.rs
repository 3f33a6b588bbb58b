//! Where tickets come from, by the system's library. It reads the environment, which a test
//! may not change: so each test runs in a process of its own, with a krb5.conf that names a
//! KDC which knows none.

#![cfg(feature = "kerberos")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use dcerpc_proto::pdu::AuthLevel;
use dcerpc_proto::security::kerberos::{KerberosCredentials, KerberosErrorKind, KerberosInitiator};
use dcerpc_proto::security::ntlm::{NtlmCredentials, NtlmInitiator};
use dcerpc_proto::security::spnego::SpnegoInitiator;
use dcerpc_proto::security::{Handshake, Secret, SecurityError, Step};
use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

/// Where a test has its files. It is set in the process that runs it.
const DIRECTORY: &str = "KERBEROS_TEST";
/// What does not wait takes far less.
const LIMIT: Duration = Duration::from_secs(20);

/// KDC_ERR_C_PRINCIPAL_UNKNOWN and KDC_ERR_PREAUTH_FAILED (RFC 4120 7.5.9).
const UNKNOWN_CLIENT: u8 = 6;
const WRONG_PASSWORD: u8 = 24;

/// Returns the kind of the error that asking for a ticket ends in.
fn ask(credentials: KerberosCredentials) -> KerberosErrorKind {
    let initiator = KerberosInitiator::new(credentials, "cifs", vec!["node".into()]);
    let asked: Result<Step, _> = Box::new(initiator).step(&[], AuthLevel::Privacy);
    match asked {
        Err(SecurityError::Kerberos(error)) => error.kind(),
        other => panic!("{other:?}"),
    }
}

/// Runs a test in a process of its own. Returns what its KDC was asked, which answers each
/// request with this error.
fn in_own_process(test: &str, code: u8, prepare: impl FnOnce(&Path)) -> Vec<Vec<u8>> {
    let directory = std::env::temp_dir().join(format!("kerberos-{test}-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    prepare(&directory);
    let kdc = UdpSocket::bind("127.0.0.1:0").unwrap();
    let config = format!(
        "[libdefaults]\ndefault_realm = WORK.EXAMPLE\ndns_lookup_kdc = false\n\
         dns_lookup_realm = false\n[realms]\nWORK.EXAMPLE = {{\nkdc = {}\n}}\n",
        kdc.local_addr().unwrap()
    );
    fs::write(directory.join("krb5.conf"), config).unwrap();
    let end = kdc.try_clone().unwrap();
    let served = std::thread::spawn(move || serve(&kdc, code));
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(DIRECTORY, &directory)
        .env("KRB5_CONFIG", directory.join("krb5.conf"))
        .env("KRB5CCNAME", directory.join("fifo"))
        .output()
        .unwrap();
    end.send_to(&[], end.local_addr().unwrap()).unwrap();
    let asked = served.join().unwrap();
    fs::remove_dir_all(directory).unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success() && said.contains("1 passed"), "{said}");
    asked
}

/// Answers each request with an error. Returns the requests.
fn serve(kdc: &UdpSocket, code: u8) -> Vec<Vec<u8>> {
    let mut asked: Vec<Vec<u8>> = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let (length, client) = kdc.recv_from(&mut buffer).unwrap();
        if length == 0 {
            return asked;
        }
        asked.push(buffer[..length].to_vec());
        kdc.send_to(&refusal(code), client).unwrap();
    }
}

/// KRB-ERROR (RFC 4120 5.9.1).
fn refusal(code: u8) -> Vec<u8> {
    fn value(tag: u8, content: &[u8]) -> Vec<u8> {
        // All are short.
        [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
    }
    let integer = |tag, number| value(tag, &value(2, &[number]));
    let text = |content: &str| value(0x1b, content.as_bytes());
    let names = value(0x30, &[text("krbtgt"), text("WORK.EXAMPLE")].concat());
    let service = value(0x30, &[integer(0xa0, 2), value(0xa1, &names)].concat());
    let fields = [
        integer(0xa0, 5),
        integer(0xa1, 30),
        value(0xa4, &value(0x18, b"20261122072700Z")),
        integer(0xa5, 0),
        integer(0xa6, code),
        value(0xa9, &text("WORK.EXAMPLE")),
        value(0xaa, &service),
    ];
    value(0x7e, &value(0x30, &fields.concat()))
}

/// A keytab with a key of each principal, which is a name in parts.
fn keytab(principals: &[&[&str]]) -> Vec<u8> {
    let counted =
        |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let mut file = vec![5, 2];
    for parts in principals {
        let mut entry = u16::try_from(parts.len()).unwrap().to_be_bytes().to_vec();
        entry.extend(counted(b"WORK.EXAMPLE"));
        entry.extend(parts.iter().flat_map(|part| counted(part.as_bytes())));
        // Of type 1, at no time, version 2, and AES-256.
        entry.extend([0, 0, 0, 1, 0, 0, 0, 0, 2, 0, 18]);
        entry.extend(counted(&[7; 32]));
        file.extend(u32::try_from(entry.len()).unwrap().to_be_bytes());
        file.extend(entry);
    }
    file
}

fn directory() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

#[test]
fn a_keytab_that_begins_with_a_service_is_used_for_its_machine_account() {
    const TEST: &str = "a_keytab_that_begins_with_a_service_is_used_for_its_machine_account";
    if let Some(directory) = directory() {
        let keytab = directory.join("keytab");
        let credentials = KerberosCredentials::from_keytab(keytab.to_str().unwrap(), None);
        assert_eq!(ask(credentials), KerberosErrorKind::UnknownClient);
        return;
    }
    let names: [&[&str]; 3] = [&["host", "laptop.work.example"], &["LAPTOP$"], &["jane"]];
    let asked = in_own_process(TEST, UNKNOWN_CLIENT, |directory| {
        fs::write(directory.join("keytab"), keytab(&names)).unwrap();
    });
    let is_about = |request: &[u8], name: &str| {
        request.windows(name.len()).any(|bytes| bytes == name.as_bytes())
    };
    let mut clients: Vec<&str> = asked
        .iter()
        .filter_map(|request| {
            ["host", "LAPTOP$", "jane"].into_iter().find(|name| is_about(request, name))
        })
        .collect();
    clients.dedup();
    assert_eq!(clients, ["host", "LAPTOP$"]);
}

#[test]
fn the_principal_of_a_keytab_that_is_named_is_the_only_one() {
    const TEST: &str = "the_principal_of_a_keytab_that_is_named_is_the_only_one";
    if let Some(directory) = directory() {
        let keytab = directory.join("keytab");
        let named = Some("host/laptop.work.example@WORK.EXAMPLE");
        let credentials = KerberosCredentials::from_keytab(keytab.to_str().unwrap(), named);
        assert_eq!(ask(credentials), KerberosErrorKind::UnknownClient);
        return;
    }
    let names: [&[&str]; 2] = [&["host", "laptop.work.example"], &["LAPTOP$"]];
    let asked = in_own_process(TEST, UNKNOWN_CLIENT, |directory| {
        fs::write(directory.join("keytab"), keytab(&names)).unwrap();
    });
    assert!(!asked.is_empty());
    let is_machine = |request: &Vec<u8>| request.windows(7).any(|bytes| bytes == b"LAPTOP$");
    assert!(!asked.iter().any(is_machine));
}

#[test]
fn the_library_is_not_let_at_a_fifo() {
    const TEST: &str = "the_library_is_not_let_at_a_fifo";
    if let Some(directory) = directory() {
        let fifo = directory.join("fifo");
        let fifo = fifo.to_str().unwrap();
        for credentials in [
            KerberosCredentials::from_cache(fifo),
            KerberosCredentials::from_keytab(fifo, None),
            KerberosCredentials::from_environment(),
        ] {
            let (said, says) = mpsc::channel();
            let description = format!("{credentials:?}");
            std::thread::spawn(move || said.send(ask(credentials)));
            let kind = says.recv_timeout(LIMIT).expect(&description);
            assert_eq!(kind, KerberosErrorKind::File, "{description}");
        }
        return;
    }
    in_own_process(TEST, UNKNOWN_CLIENT, |directory| {
        let made = Command::new("mkfifo").arg(directory.join("fifo")).status().unwrap();
        assert!(made.success());
    });
}

/// Asks for a ticket with a password, and has NTLM for where there is none.
fn negotiate() -> Result<Step, SecurityError> {
    let jane = KerberosCredentials::from_password("jane", "", Secret::new("hidden"));
    let kerberos = KerberosInitiator::new(jane, "cifs", vec!["node".into()]);
    let jane = NtlmCredentials::from_password("jane", "", "hidden");
    let random = [7; NtlmInitiator::RANDOM_LEN];
    let ntlm = NtlmInitiator::new(jane, &random, SystemTime::now());
    let both = SpnegoInitiator::new(vec![Box::new(kerberos), Box::new(ntlm)]);
    Box::new(both).step(&[], AuthLevel::Privacy)
}

#[test]
fn a_password_that_the_kdc_refuses_is_not_presented_by_ntlm_too() {
    const TEST: &str = "a_password_that_the_kdc_refuses_is_not_presented_by_ntlm_too";
    if directory().is_some() {
        let error = negotiate().unwrap_err();
        assert!(error.may_lock_account(), "{error}");
        return;
    }
    assert!(!in_own_process(TEST, WRONG_PASSWORD, |_| {}).is_empty());
}

#[test]
fn a_user_whom_the_kdc_does_not_know_logs_on_by_ntlm() {
    const TEST: &str = "a_user_whom_the_kdc_does_not_know_logs_on_by_ntlm";
    if directory().is_some() {
        assert!(matches!(negotiate(), Ok(Step::Continue { .. })));
        return;
    }
    assert!(!in_own_process(TEST, UNKNOWN_CLIENT, |_| {}).is_empty());
}
