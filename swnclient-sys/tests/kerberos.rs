//! Where Kerberos takes its tickets from.

#![cfg(feature = "kerberos")]
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const REALM: &str = "WIT.TEST";

/// An address where no KDC is, and no question to DNS.
const KRB5_CONF: &str = "\
[libdefaults]
default_realm = WIT.TEST
dns_lookup_kdc = false
dns_canonicalize_hostname = false
[realms]
WIT.TEST = {
kdc = 127.0.0.1:1
}
";

fn data(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn principal(kind: u32, names: &[&str]) -> Vec<u8> {
    let count = u32::try_from(names.len()).unwrap();
    let names = names.iter().flat_map(|name| data(name.as_bytes()));
    let head = [kind.to_be_bytes(), count.to_be_bytes()].concat();
    head.into_iter().chain(data(REALM.as_bytes())).chain(names).collect()
}

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u8::try_from(content.len()).unwrap();
    assert!(length < 128);
    [&[tag, length], &content[..]].concat()
}

/// A Ticket (RFC 4120 5.3) for the KDC, with nothing in it.
fn ticket() -> Vec<u8> {
    let number = |n| der(2, &[&[n]]);
    let text = |text: &str| der(0x1B, &[text.as_bytes()]);
    let names = der(0x30, &[&text("krbtgt"), &text(REALM)]);
    let server = der(0x30, &[&der(0xA0, &[&number(2)]), &der(0xA1, &[&names])]);
    let encrypted = der(0x30, &[&der(0xA0, &[&number(18)]), &der(0xA2, &[&der(4, &[b"secret"])])]);
    let fields = [
        der(0xA0, &[&number(5)]),
        der(0xA1, &[&text(REALM)]),
        der(0xA2, &[&server]),
        der(0xA3, &[&encrypted]),
    ];
    der(0x61, &[&der(0x30, &fields.each_ref().map(Vec::as_slice))])
}

/// A cache with a ticket-granting ticket that is valid as far as can be seen
/// from outside. See MIT's documentation of "Credential cache file format".
fn ccache() -> Vec<u8> {
    let client = principal(1, &["alice"]);
    let (aes256, until_2038, initial) = (18_u16, 0x7FFF_FFFF_u32, 0x0040_0000_u32);
    [
        &[5, 4, 0, 0],
        &client[..],
        &client,
        &principal(2, &["krbtgt", REALM]),
        &aes256.to_be_bytes(),
        &data(&[1; 32]),
        &[0; 8],
        &until_2038.to_be_bytes(),
        &[0; 5],
        &initial.to_be_bytes(),
        &[0; 8],
        &data(&ticket()),
        &data(b""),
    ]
    .concat()
}

fn write(path: &Path, content: &[u8]) {
    // Samba does not read a cache that others may.
    let mut file = fs::OpenOptions::new();
    file.create(true).truncate(true).write(true).mode(0o600);
    file.open(path).unwrap().write_all(content).unwrap();
}

#[tokio::test]
async fn tickets_come_from_the_cache_that_the_credentials_name() {
    let directory = common::scratch("kerberos");
    let (cache, config) = (directory.join("cache"), directory.join("krb5.conf"));
    write(&cache, &ccache());
    write(&config, KRB5_CONF.as_bytes());
    let environment = [
        "env",
        &format!("CONSUMER_CCACHE=FILE:{}", cache.display()),
        &format!("KRB5_CONFIG={}", config.display()),
    ];
    common::play("credential-cache", &environment).await;
}
