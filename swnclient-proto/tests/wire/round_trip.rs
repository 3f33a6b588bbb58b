//! What is encoded is decoded again, whatever the values.

use crate::decode;
use dcerpc_proto::ndr::{ContextHandle, Endian, Reader};
use dcerpc_proto::{Operation, ResponseError};
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use swnclient_proto::ResourceState;
use swnclient_proto::wire::{
    AddressFlags, AddressInfo, AsyncNotify, GetInterfaceList, Interface, NotifyMessages, Register,
    RegisterEx, Status, UnRegister, Version, encode_interface_list, encode_notify_response,
    encode_register_response, encode_status,
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
        (5..u32::MAX).prop_map(NotifyMessages::Unknown),
    ]
}

proptest! {
    #[test]
    fn register(
        names in any::<[bool; 4]>(), text in [text(), text(), text(), text()],
        version: u32, ip_notify: bool, keep_alive: u32,
    ) {
        let [net_name, share_name, ip_address, client_name] =
            [0, 1, 2, 3].map(|n| names[n].then(|| text[n].as_str().into()));
        let sent = Register {
            version, net_name, share_name, ip_address, client_name, ip_notify, keep_alive,
        };
        let received = |version, stub: &[u8]| {
            Register::decode(version, &mut Reader::new(stub, LITTLE))
        };
        let stub = RegisterEx(sent.clone()).stub();
        prop_assert_eq!(received(Version::V2, &stub), Ok(sent.clone()));
        // Version 1 knows no share, no address notification and no keep-alive.
        let stub = sent.stub();
        let less = Register { share_name: None, ip_notify: false, keep_alive: 0, ..sent };
        prop_assert_eq!(received(Version::V1, &stub), Ok(less));
    }

    #[test]
    fn register_response(handle in handle(), failure in failure()) {
        prop_assume!(!handle.is_null());
        for answer in [Ok(handle), Err(failure)] {
            let stub = encode_register_response(answer);
            let expected = answer.map_err(ResponseError::Status);
            prop_assert_eq!(decode::<Register>(&stub, LITTLE), expected);
            prop_assert_eq!(decode::<RegisterEx>(&stub, LITTLE), expected);
        }
    }

    #[test]
    fn context_handle_and_status(handle in handle(), status: u32) {
        for stub in [AsyncNotify(handle).stub(), UnRegister(handle).stub()] {
            prop_assert_eq!(stub.len(), ContextHandle::LEN);
            prop_assert_eq!(Reader::new(&stub, LITTLE).context_handle(), Ok(handle));
        }
        let status = Status(status);
        let expected = match status {
            Status::SUCCESS => Ok(()),
            status => Err(ResponseError::Status(status)),
        };
        prop_assert_eq!(decode::<UnRegister>(&encode_status(status), LITTLE), expected);
    }

    #[test]
    fn interface_list(list in vec(interface(), 0..5), failure in failure()) {
        let stub = encode_interface_list(Ok(&list));
        prop_assert_eq!(decode::<GetInterfaceList>(&stub, LITTLE), Ok(list));
        let stub = encode_interface_list(Err(failure));
        prop_assert_eq!(decode::<GetInterfaceList>(&stub, LITTLE), Err(ResponseError::Status(failure)));
    }

    #[test]
    fn notification(messages in messages(), failure in failure()) {
        let stub = encode_notify_response(Ok(Some(&messages)));
        prop_assert_eq!(decode::<AsyncNotify>(&stub, LITTLE), Ok(Some(messages)));
        let stub = encode_notify_response(Ok(None));
        prop_assert_eq!(decode::<AsyncNotify>(&stub, LITTLE), Ok(None));
        let stub = encode_notify_response(Err(failure));
        prop_assert_eq!(decode::<AsyncNotify>(&stub, LITTLE), Err(ResponseError::Status(failure)));
    }

    #[test]
    fn an_address_and_whether_it_is_in_service(address: IpAddr, online: bool) {
        let info = AddressInfo::new(address, online);
        prop_assert_eq!(info.addresses().collect::<Vec<_>>(), [address]);
        prop_assert_eq!(info.is_offline(), !online);
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
    let list = decode::<GetInterfaceList>(&stub, LITTLE).unwrap();
    assert_eq!(list, [named(&"n".repeat(259))]);
}

#[test]
fn a_list_is_kept_up_to_512_interfaces() {
    let interface = |n: u32| Interface {
        group_name: "NODE1".into(),
        version: 2,
        state: ResourceState::Available,
        ipv4: Some(Ipv4Addr::from(n)),
        ipv6: None,
        witness: true,
    };
    let sent: Vec<Interface> = (1..=1890).map(interface).collect();
    let stub = encode_interface_list(Ok(&sent));
    let list = decode::<GetInterfaceList>(&stub, Endian::Little).unwrap();
    assert_eq!(list.len(), 512);
    assert!(list == sent[..512]);
}

#[test]
fn an_address_that_claims_to_be_both_in_and_out_of_service_is_not_offline() {
    let mut info = AddressInfo::new(Ipv4Addr::LOCALHOST.into(), false);
    assert!(info.is_offline());
    info.flags |= AddressFlags::ONLINE;
    assert!(!info.is_offline());
    info.flags = AddressFlags::IPV4;
    assert!(!info.is_offline());
}
