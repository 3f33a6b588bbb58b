//! The kernel and swnd understand each other.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that panics fails, which is what it is for"
)]

use kernel_sim::{decode_lookup, decode_notify, encode_family, encode_registration};
use neli::consts::genl::CtrlCmd;
use proptest::prelude::*;
use std::net::IpAddr;
use swnclient::{Notification, RegistrationRequest, ResourceState, Secret};
use swnd::kernel::ctrl::{self, ControllerMessage, Family};
use swnd::kernel::message::{decode, encode_notify};
use swnd::kernel::wire::Messages;
use swnd::kernel::{KernelAuth, KernelMessage};

fn payload(datagram: &[u8]) -> &[u8] {
    let messages: Vec<_> = Messages::new(datagram).map(Result::unwrap).collect();
    assert_eq!(messages.len(), 1);
    messages[0].payload
}

fn notify(sequence: u32, id: u32, notification: &Notification) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_notify(&mut bytes, 0x1d, sequence, id, notification, 0).unwrap();
    bytes
}

#[test]
fn a_resource_name_is_cut_to_what_the_kernel_takes() {
    for (name, expected) in [("x".repeat(300), "x".repeat(255)), ("ä".repeat(128), "ä".repeat(127))]
    {
        let notification =
            Notification::ResourceChange { name: name.into(), state: ResourceState::Available };
        let bytes = notify(5, 7, &notification);
        let (_, notification) = decode_notify(payload(&bytes)).unwrap();
        let Notification::ResourceChange { name, .. } = notification else {
            panic!("{notification:?}");
        };
        assert_eq!(name, expected);
    }
}

#[test]
fn the_controller_describes_a_family_and_says_that_it_is_gone() {
    let groups = vec![("cifs_mcgrp_swn".to_owned(), 7), ("other".to_owned(), 8)];
    let family = Family { id: 0x1d, name: "cifs".into(), groups };
    let bytes = encode_family(CtrlCmd::Newfamily, &family, 3).unwrap();
    assert_eq!(ctrl::decode(payload(&bytes)), Ok(ControllerMessage::Exists(family.clone())));
    let bytes = encode_family(CtrlCmd::Delfamily, &family, 0).unwrap();
    assert_eq!(ctrl::decode(payload(&bytes)), Ok(ControllerMessage::Gone("cifs".into())));
}

#[test]
fn the_controller_is_asked_for_a_family_by_name() {
    let bytes = ctrl::lookup("cifs", 3).unwrap();
    assert_eq!(decode_lookup(payload(&bytes)).as_deref(), Some("cifs"));
}

fn text() -> impl Strategy<Value = String> {
    "[^\0]{0,40}"
}

/// The kernel's numbers are a signed int's, and not negative.
fn any_id() -> impl Strategy<Value = u32> {
    0..=i32::MAX.unsigned_abs()
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from),]
}

fn any_request() -> impl Strategy<Value = RegistrationRequest> {
    (text(), proptest::option::of(text()), any_address(), any::<[bool; 3]>()).prop_map(
        |(net_name, share_name, address, [net, share, ip])| RegistrationRequest {
            net_name: net_name.into(),
            share_name: share_name.map(Into::into),
            ip_address: Some(address),
            scope_id: 0,
            net_name_notify: net,
            share_name_notify: share,
            ip_notify: ip,
        },
    )
}

fn any_auth() -> impl Strategy<Value = KernelAuth> {
    let text = || proptest::option::of(text());
    prop_oneof![
        Just(KernelAuth::Kerberos),
        (text(), text(), text()).prop_map(|(user, domain, password)| KernelAuth::Ntlm {
            user: user.map(Into::into),
            domain: domain.map(Into::into),
            password: password.as_deref().map(Secret::new),
        }),
    ]
}

fn any_notification() -> impl Strategy<Value = Notification> {
    let state = prop_oneof![
        Just(ResourceState::Unknown),
        Just(ResourceState::Available),
        Just(ResourceState::Unavailable),
    ];
    prop_oneof![
        (text(), state)
            .prop_map(|(name, state)| Notification::ResourceChange { name: name.into(), state }),
        any_address().prop_map(|address| Notification::ClientMove { address }),
        any_address().prop_map(|address| Notification::ShareMove { address }),
        any_address().prop_map(|address| Notification::IpChange { address }),
    ]
}

proptest! {
    #[test]
    fn registrations_survive_the_round_trip(
        id in any_id(), request in any_request(), auth in any_auth()
    ) {
        let bytes = encode_registration(0x1d, id, &request, Some(&auth)).unwrap();
        prop_assert_eq!(
            decode(payload(&bytes)).unwrap(),
            KernelMessage::Register { id, request: request.clone(), auth }
        );
        let bytes = encode_registration(0x1d, id, &request, None).unwrap();
        prop_assert_eq!(decode(payload(&bytes)).unwrap(), KernelMessage::Unregister { id });
    }

    #[test]
    fn notifications_survive_the_round_trip(
        id: u32, sequence: u32, notification in any_notification()
    ) {
        let bytes = notify(sequence, id, &notification);
        prop_assert_eq!(decode_notify(payload(&bytes)).unwrap(), (id, notification));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = decode_notify(&bytes);
        let _ = decode_lookup(&bytes);
    }

    #[test]
    fn no_damage_to_a_message_makes_the_decoder_panic(
        request in any_request(),
        auth in any_auth(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
        length in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = encode_registration(0x1d, 1, &request, Some(&auth)).unwrap();
        for (index, value) in damage {
            let index = index.index(bytes.len());
            bytes[index] = value;
        }
        bytes.truncate(length.index(bytes.len() + 1));
        for message in Messages::new(&bytes).flatten() {
            let _ = decode(message.payload);
        }
    }
}
