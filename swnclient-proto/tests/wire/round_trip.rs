//! What is encoded is decoded again, whatever the values.

use dcerpc_proto::ndr::{ContextHandle, Endian};
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use swnclient_proto::ResourceState;
use swnclient_proto::wire::{
    AddressFlags, AddressInfo, Interface, NotifyMessages, ReceivedRegister, Register, Status,
    Version, decode_context_handle, decode_interface_list, decode_notify_response, decode_register,
    decode_register_response, decode_status, encode_context_handle, encode_interface_list,
    encode_notify_response, encode_register, encode_register_response, encode_status,
};

const LITTLE: Endian = Endian::Little;

fn text() -> impl Strategy<Value = String> {
    "[^\0]{0,60}"
}

fn state() -> impl Strategy<Value = ResourceState> {
    prop_oneof![
        Just(ResourceState::Unknown),
        Just(ResourceState::Available),
        Just(ResourceState::Unavailable),
    ]
}

fn failure() -> impl Strategy<Value = Status> {
    (1..=u32::MAX).prop_map(Status)
}

fn handle() -> impl Strategy<Value = ContextHandle> {
    any::<(u32, u128)>()
        .prop_map(|(attributes, uuid)| ContextHandle::new(attributes, uuid::Uuid::from_u128(uuid)))
}

fn interface() -> impl Strategy<Value = Interface> {
    let addresses = any::<(Option<Ipv4Addr>, Option<Ipv6Addr>)>();
    (text(), any::<u32>(), state(), addresses, any::<bool>()).prop_map(
        |(group_name, version, state, (ipv4, ipv6), witness)| Interface {
            group_name: group_name.into(),
            version,
            state,
            ipv4,
            ipv6,
            witness,
        },
    )
}

fn address() -> impl Strategy<Value = AddressInfo> {
    any::<(u32, Ipv4Addr, Ipv6Addr)>().prop_map(|(flags, ipv4, ipv6)| AddressInfo {
        flags: AddressFlags::from_bits_retain(flags),
        ipv4,
        ipv6,
    })
}

fn messages() -> impl Strategy<Value = NotifyMessages> {
    let change = (text().prop_map(Into::into), state());
    prop_oneof![
        vec(change, 0..8).prop_map(NotifyMessages::ResourceChange),
        vec(address(), 0..8).prop_map(NotifyMessages::ClientMove),
        vec(address(), 0..8).prop_map(NotifyMessages::ShareMove),
        vec(address(), 0..8).prop_map(NotifyMessages::IpChange),
    ]
}

proptest! {
    #[test]
    fn register(
        names in any::<[bool; 4]>(), text in [text(), text(), text(), text()],
        version: u32, ip_notify: bool, keep_alive: u32,
    ) {
        let [net_name, share_name, ip_address, client_name] =
            [0, 1, 2, 3].map(|n| names[n].then(|| text[n].as_str()));
        let sent = Register {
            version, net_name, share_name, ip_address, client_name, ip_notify, keep_alive,
        };
        let owned = |name: Option<&str>| name.map(String::from);
        let full = ReceivedRegister {
            version,
            net_name: owned(net_name),
            share_name: owned(share_name),
            ip_address: owned(ip_address),
            client_name: owned(client_name),
            ip_notify,
            keep_alive,
        };
        let stub = encode_register(Version::V2, &sent);
        prop_assert_eq!(decode_register(Version::V2, &stub, LITTLE), Ok(full.clone()));
        // Version 1 knows no share, no address notification and no keep-alive.
        let stub = encode_register(Version::V1, &sent);
        let less = ReceivedRegister { share_name: None, ip_notify: false, keep_alive: 0, ..full };
        prop_assert_eq!(decode_register(Version::V1, &stub, LITTLE), Ok(less));
    }

    #[test]
    fn register_response(handle in handle(), failure in failure()) {
        prop_assume!(!handle.is_null());
        for answer in [Ok(handle), Err(failure)] {
            let stub = encode_register_response(answer);
            prop_assert_eq!(decode_register_response(&stub, LITTLE), Ok(answer));
        }
    }

    #[test]
    fn context_handle_and_status(handle in handle(), status: u32) {
        let stub = encode_context_handle(&handle);
        prop_assert_eq!(stub.len(), ContextHandle::LEN);
        prop_assert_eq!(decode_context_handle(&stub, LITTLE), Ok(handle));
        let status = Status(status);
        prop_assert_eq!(decode_status(&encode_status(status), LITTLE), Ok(status));
    }

    #[test]
    fn interface_list(list in vec(interface(), 0..5), failure in failure()) {
        let stub = encode_interface_list(Ok(&list));
        prop_assert_eq!(decode_interface_list(&stub, LITTLE), Ok(Ok(list)));
        let stub = encode_interface_list(Err(failure));
        prop_assert_eq!(decode_interface_list(&stub, LITTLE), Ok(Err(failure)));
    }

    #[test]
    fn notification(messages in messages(), failure in failure()) {
        let stub = encode_notify_response(Ok(Some(&messages)));
        prop_assert_eq!(decode_notify_response(&stub, LITTLE), Ok(Ok(Some(messages))));
        let stub = encode_notify_response(Ok(None));
        prop_assert_eq!(decode_notify_response(&stub, LITTLE), Ok(Ok(None)));
        let stub = encode_notify_response(Err(failure));
        prop_assert_eq!(decode_notify_response(&stub, LITTLE), Ok(Err(failure)));
    }

    #[test]
    fn an_address_and_whether_it_is_in_service(address: IpAddr, online: bool) {
        let info = AddressInfo::new(address, online);
        prop_assert_eq!(info.addresses().collect::<Vec<_>>(), [address]);
        prop_assert_eq!(info.is_online(), online);
    }
}

#[test]
fn a_group_name_is_cut_to_what_its_field_holds() {
    let named = |name: &str| Interface {
        group_name: name.into(),
        version: 0,
        state: ResourceState::Unknown,
        ipv4: None,
        ipv6: None,
        witness: false,
    };
    let stub = encode_interface_list(Ok(&[named(&"n".repeat(300))]));
    let list = decode_interface_list(&stub, LITTLE).unwrap().unwrap();
    assert_eq!(list, [named(&"n".repeat(259))]);
}

#[test]
fn an_address_that_claims_to_be_both_in_and_out_of_service_is_not() {
    let mut info = AddressInfo::new(Ipv4Addr::LOCALHOST.into(), true);
    info.flags |= AddressFlags::OFFLINE;
    assert!(!info.is_online());
    info.flags = AddressFlags::IPV4;
    assert!(!info.is_online());
}
