use super::*;
use proptest::prelude::*;
use swnclient::ResourceState;

fn request() -> RegistrationRequest {
    RegistrationRequest {
        net_name: "witclu".into(),
        share_name: Some("data".into()),
        ip_address: Some("10.77.0.101".parse().unwrap()),
        scope_id: 0,
        net_name_notify: true,
        share_name_notify: true,
        ip_notify: false,
    }
}

fn ntlm(password: &str) -> KernelAuth {
    KernelAuth::Ntlm {
        user: Some("swnuser".into()),
        domain: None,
        password: Some(Secret::new(password)),
    }
}

/// A message by hand: a command and attributes as type and payload.
fn raw(command: u8, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![command, 1, 0, 0];
    for (kind, payload) in attributes {
        bytes.extend(u16::try_from(payload.len() + 4).unwrap().to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(*payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

fn sockaddr(beginning: &[u8]) -> [u8; 128] {
    let mut storage = [0; 128];
    storage[..beginning.len()].copy_from_slice(beginning);
    storage
}

/// `AF_INET`, port 445, 10.77.0.101.
fn ipv4() -> [u8; 128] {
    let [f0, f1] = 2u16.to_ne_bytes();
    sockaddr(&[f0, f1, 0x01, 0xbd, 10, 77, 0, 101])
}

/// The attributes the kernel sends for a mount with NTLM.
fn register<'a>(id: &'a [u8], ip: &'a [u8]) -> Vec<(u16, &'a [u8])> {
    vec![
        (1, id),
        (2, b"witclu\0"),
        (3, b"data\0"),
        (4, ip),
        (5, b""),
        (6, b""),
        (9, b"swnuser\0"),
        (10, b"swnpass\0"),
    ]
}

#[test]
fn a_register_message_of_the_kernel_is_understood() {
    let (id, ip) = (7u32.to_ne_bytes(), ipv4());
    assert_eq!(
        decode(&raw(1, &register(&id, &ip))).unwrap(),
        KernelMessage::Register { id: 7, request: request(), auth: ntlm("swnpass") }
    );
}

#[test]
fn an_ipv6_address_is_taken_from_behind_port_and_flow_label() {
    let [f0, f1] = 10u16.to_ne_bytes();
    let mut ip = sockaddr(&[f0, f1, 0x01, 0xbd, 9, 9, 9, 9, 0xfd]);
    ip[23] = 5;
    ip[24] = 3; // the scope
    let id = 7u32.to_ne_bytes();
    let message = decode(&raw(1, &register(&id, &ip))).unwrap();
    let KernelMessage::Register { request, .. } = message else {
        panic!("{message:?}");
    };
    assert_eq!((request.ip_address, request.scope_id), (Some("fd00::5".parse().unwrap()), 0));
}

#[test]
fn the_link_of_an_address_that_is_good_on_one_only_goes_both_ways() {
    let ([f0, f1], [s0, s1, s2, s3]) = (10u16.to_ne_bytes(), 0x0102_0304u32.to_ne_bytes());
    let mut ip = sockaddr(&[f0, f1, 0x01, 0xbd, 9, 9, 9, 9, 0xfe, 0x80]);
    ip[23] = 5;
    ip[24..28].copy_from_slice(&[s0, s1, s2, s3]);
    let id = 7u32.to_ne_bytes();
    let message = decode(&raw(1, &register(&id, &ip))).unwrap();
    let KernelMessage::Register { request, .. } = message else {
        panic!("{message:?}");
    };
    let expected = (Some("fe80::5".parse().unwrap()), 0x0102_0304);
    assert_eq!((request.ip_address, request.scope_id), expected);
    let moved = Notification::ClientMove { address: "fe80::6".parse().unwrap() };
    let mut bytes = Vec::new();
    encode_notify(&mut bytes, 0x1d, 5, 7, &moved, request.scope_id).unwrap();
    // Behind the headers, two integers and the attribute's own header.
    let written = &bytes[16 + 4 + 8 + 8 + 4..];
    assert_eq!(written[..2], [f0, f1]);
    assert_eq!((written[8], written[23]), (0xfe, 6));
    assert_eq!(written[24..28], [s0, s1, s2, s3]);
    // An address that is good everywhere has none.
    let moved = Notification::ClientMove { address: "fd00::6".parse().unwrap() };
    encode_notify(&mut bytes, 0x1d, 5, 7, &moved, request.scope_id).unwrap();
    assert_eq!(bytes[16 + 4 + 8 + 8 + 4..][24..28], [0; 4]);
}

#[test]
fn an_unregister_message_needs_nothing_but_its_number() {
    let id = 9u32.to_ne_bytes();
    assert_eq!(
        decode(&raw(2, &[(1, &id), (2, b"never ends")])).unwrap(),
        KernelMessage::Unregister { id: 9 }
    );
    assert_eq!(
        decode(&raw(2, &[(2, b"witclu\0")])),
        Err(DecodeError::Missing(Attribute::RegistrationId))
    );
}

#[test]
fn a_number_that_is_not_the_kernels_is_refused() {
    let ip = ipv4();
    for (number, is_good) in [(i32::MAX.unsigned_abs(), true), (1 << 31, false), (u32::MAX, false)]
    {
        let id = number.to_ne_bytes();
        for message in [raw(1, &register(&id, &ip)), raw(2, &register(&id, &ip))] {
            let expected = DecodeError::Value(Attribute::RegistrationId, number);
            assert_eq!(decode(&message).err(), (!is_good).then_some(expected), "{number}");
        }
    }
}

#[test]
fn a_kerberos_mount_brings_no_password() {
    let (id, ip) = (7u32.to_ne_bytes(), ipv4());
    let mut attributes = register(&id, &ip);
    attributes.truncate(6);
    attributes.push((8, b""));
    let message = decode(&raw(1, &attributes)).unwrap();
    assert!(matches!(message, KernelMessage::Register { auth: KernelAuth::Kerberos, .. }));
}

#[test]
fn a_password_of_another_character_set_leaves_the_mount_its_name() {
    let (id, ip) = (7u32.to_ne_bytes(), ipv4());
    for (kind, what) in [(9, "user name"), (10, "password"), (11, "domain")] {
        let mut attributes = register(&id, &ip);
        attributes.retain(|(other, _)| *other != kind);
        attributes.push((kind, b"f\xfcnf\0"));
        let expected = KernelMessage::Register {
            id: 7,
            request: request(),
            auth: KernelAuth::NotUtf8 { what },
        };
        assert_eq!(decode(&raw(1, &attributes)), Ok(expected));
    }
}

#[test]
fn a_missing_attribute_is_named() {
    let (id, ip) = (7u32.to_ne_bytes(), ipv4());
    for (kind, attribute) in
        [(1, Attribute::RegistrationId), (2, Attribute::NetName), (4, Attribute::Ip)]
    {
        let mut attributes = register(&id, &ip);
        attributes.retain(|(candidate, _)| *candidate != kind);
        assert_eq!(decode(&raw(1, &attributes)), Err(DecodeError::Missing(attribute)));
    }
}

#[test]
fn a_wrong_size_an_endless_string_and_a_strange_address_are_refused() {
    let (id, ip) = (7u32.to_ne_bytes(), ipv4());
    let unix = sockaddr(&1u16.to_ne_bytes());
    let cases: [(u16, &[u8], DecodeError); 9] = [
        (1, b"123", DecodeError::Size(Attribute::RegistrationId, 3)),
        (1, b"", DecodeError::Size(Attribute::RegistrationId, 0)),
        (2, b"witclu", DecodeError::Unterminated(Attribute::NetName)),
        (2, b"", DecodeError::Unterminated(Attribute::NetName)),
        (3, b"\xff\0", DecodeError::NotUtf8(Attribute::ShareName)),
        (4, &ip[..16], DecodeError::Size(Attribute::Ip, 16)),
        (4, &unix, DecodeError::AddressFamily(1)),
        (9, b"u", DecodeError::Unterminated(Attribute::UserName)),
        (10, b"p", DecodeError::Unterminated(Attribute::Password)),
    ];
    for (kind, payload, expected) in cases {
        let mut attributes = register(&id, &ip);
        for attribute in &mut attributes {
            if attribute.0 == kind {
                attribute.1 = payload;
            }
        }
        assert_eq!(decode(&raw(1, &attributes)), Err(expected));
    }
}

#[test]
fn attributes_of_a_newer_kernel_are_passed_over() {
    let (id, ip) = (7u32.to_ne_bytes(), ipv4());
    let mut attributes = register(&id, &ip);
    attributes.insert(0, (15, b"new"));
    attributes.insert(3, (0x3fff, b"newer"));
    attributes.insert(5, (0, b""));
    assert!(decode(&raw(1, &attributes)).is_ok());
}

#[test]
fn a_command_of_a_newer_kernel_is_refused() {
    assert_eq!(decode(&raw(4, &[])), Err(DecodeError::Command(4)));
    assert_eq!(decode(&raw(0, &[])), Err(DecodeError::Command(0)));
}

#[test]
fn a_password_shows_in_no_debug_output() {
    let (id, ip) = (7u32.to_ne_bytes(), ipv4());
    let message = decode(&raw(1, &register(&id, &ip))).unwrap();
    let text = format!("{message:?} {message:#?}");
    assert!(text.contains("swnuser"));
    assert!(!text.contains("swnpass"));
}

fn notify(sequence: u32, id: u32, notification: &Notification) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_notify(&mut bytes, 0x1d, sequence, id, notification, 0).unwrap();
    bytes
}

#[test]
fn a_client_move_has_the_layout_the_kernel_copies() {
    let notification = Notification::ClientMove { address: "10.77.0.102".parse().unwrap() };
    let bytes = notify(5, 7, &notification);
    #[rustfmt::skip]
    let mut expected = vec![
        168, 0, 0, 0, 0x1d, 0, 5, 0, 5, 0, 0, 0, 0, 0, 0, 0, // nlmsghdr: request, ack
        3, 1, 0, 0, // genlmsghdr: SWN_NOTIFY
        8, 0, 1, 0, 7, 0, 0, 0, // registration id
        8, 0, 12, 0, 2, 0, 0, 0, // notification type
        132, 0, 4, 0, 2, 0, 0, 0, 10, 77, 0, 102, // address family, port, address
    ];
    expected.resize(168, 0);
    if cfg!(target_endian = "little") {
        assert_eq!(bytes, expected);
    }
}

#[test]
fn a_resource_change_has_the_layout_the_kernel_reads() {
    let notification =
        Notification::ResourceChange { name: "NODE".into(), state: ResourceState::Unavailable };
    let bytes = notify(5, 7, &notification);
    #[rustfmt::skip]
    let expected = [
        56, 0, 0, 0, 0x1d, 0, 5, 0, 5, 0, 0, 0, 0, 0, 0, 0,
        3, 1, 0, 0,
        8, 0, 1, 0, 7, 0, 0, 0,
        8, 0, 12, 0, 1, 0, 0, 0,
        9, 0, 14, 0, b'N', b'O', b'D', b'E', 0, 0, 0, 0, // with its NUL
        8, 0, 13, 0, 0xff, 0, 0, 0,
    ];
    if cfg!(target_endian = "little") {
        assert_eq!(bytes, expected);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = decode(&bytes);
    }
}
