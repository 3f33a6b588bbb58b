//! The messages against Samba's: a session of Samba's own
//! client with a real witness, and what Samba's NDR encodes in both byte orders.
//! `data/README.md` says how the files were made; `data/capture.py` has the
//! calls of the session in their order.

use crate::decode;
use dcerpc_proto::ndr::{ContextHandle, Endian, NdrError, Reader};
use dcerpc_proto::pdu::{Fault, Frame, Header, PacketType, Request, Response};
use dcerpc_proto::{Operation, ResponseError};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use swnclient_proto::ResourceState;
use swnclient_proto::wire::{
    AddressFlags, AddressInfo, AsyncNotify, GetInterfaceList, Interface, NotifyMessages, Register,
    RegisterEx, Status, UnRegister, Version, encode_interface_list, encode_notify_response,
    encode_register_response, encode_status,
};

const LITTLE: Endian = Endian::Little;

/// A call of the captured session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) opnum: u16,
    pub(crate) request: Vec<u8>,
    /// The response, or the fault's status.
    pub(crate) response: Result<Vec<u8>, u32>,
}

/// The captured session, call by call. Nothing in it is fragmented.
pub(crate) fn session() -> Vec<Call> {
    let mut calls: BTreeMap<u32, Call> = BTreeMap::new();
    each_pdu(include_bytes!("../data/samba.client"), |frame| {
        if frame.header.packet_type == PacketType::Request {
            let mut body = frame.body().unwrap();
            let request = Request::read(&mut body).unwrap();
            let response = Err(0);
            let call = Call { opnum: request.opnum, request: stub(body), response };
            calls.insert(frame.header.call_id, call);
        }
    });
    each_pdu(include_bytes!("../data/samba.server"), |frame| {
        let mut body = frame.body().unwrap();
        let response = match frame.header.packet_type {
            PacketType::Response => {
                Response::read(&mut body).unwrap();
                Ok(stub(body))
            }
            PacketType::Fault => Err(Fault::read(&mut body).unwrap().status),
            _ => return,
        };
        calls.get_mut(&frame.header.call_id).unwrap().response = response;
    });
    calls.into_values().collect()
}

fn stub(mut body: Reader<'_>) -> Vec<u8> {
    body.rest().to_vec()
}

fn each_pdu(stream: &[u8], mut each: impl FnMut(Frame<'_>)) {
    let mut stream = stream.to_vec();
    let mut rest = stream.as_mut_slice();
    while !rest.is_empty() {
        let header = Header::read(rest, u16::MAX).unwrap().unwrap();
        let (pdu, after) = rest.split_at_mut(header.frag_length.into());
        each(Frame::split(header, pdu).unwrap());
        rest = after;
    }
}

/// The calls of one operation.
fn calls_of(opnum: u16) -> Vec<Call> {
    session().into_iter().filter(|call| call.opnum == opnum).collect()
}

fn interface(address: [u8; 4], witness: bool) -> Interface {
    Interface {
        group_name: "witclu".into(),
        version: 0x0002_0000,
        state: ResourceState::Available,
        ipv4: Some(address.into()),
        ipv6: None,
        witness,
    }
}

fn address(flags: u32, ipv4: &str, ipv6: &str) -> AddressInfo {
    AddressInfo {
        flags: AddressFlags::from_bits_retain(flags),
        ipv4: ipv4.parse().unwrap(),
        ipv6: ipv6.parse().unwrap(),
    }
}

#[test]
fn the_session_is_whole() {
    let opnums: Vec<u16> = session().iter().map(|call| call.opnum).collect();
    let notify = AsyncNotify::OPNUM;
    let expected = [
        &[GetInterfaceList::OPNUM, Register::OPNUM, RegisterEx::OPNUM, RegisterEx::OPNUM][..],
        &[Register::OPNUM, Register::OPNUM, UnRegister::OPNUM, UnRegister::OPNUM],
        &[RegisterEx::OPNUM],
        &[notify; 14],
        &[UnRegister::OPNUM, 9],
    ];
    assert_eq!(opnums, expected.concat());
}

#[test]
fn samba_s_interface_list_is_decoded() {
    let [call] = &calls_of(GetInterfaceList::OPNUM)[..] else { panic!() };
    // It has no arguments. Samba's client puts a verification trailer
    // ([MS-RPCE] 2.2.2.13) into its first request.
    assert!(call.request.starts_with(b"\x8a\xe3\x13\x71\x02\xf4\x36\x71"));
    let list = decode::<GetInterfaceList>(call.response.as_ref().unwrap(), LITTLE);
    // Node 1, which was asked, holds the second address.
    let expected = vec![
        interface([10, 77, 0, 103], true),
        interface([10, 77, 0, 102], false),
        interface([10, 77, 0, 101], true),
    ];
    assert_eq!(list, Ok(expected));
}

/// What a server reads in a request of version `version`.
fn received(version: Version, call: &Call) -> Result<Register, NdrError> {
    Register::decode(version, &mut Reader::new(&call.request, LITTLE))
}

/// What the server returned.
fn returned<O: Operation<Status = Status>>(call: &Call) -> Result<O::Output, Status> {
    match decode::<O>(call.response.as_ref().unwrap(), LITTLE) {
        Ok(output) => Ok(output),
        Err(ResponseError::Status(status)) => Err(status),
        Err(ResponseError::Ndr(error)) => panic!("{error}"),
    }
}

#[test]
fn register_is_encoded_and_answered_as_between_samba_s_client_and_server() {
    let calls = calls_of(Register::OPNUM);
    let register = |net_name: Option<&str>| Register {
        version: 0x0001_0001,
        net_name: net_name.map(Into::into),
        ip_address: Some("10.77.0.101".into()),
        client_name: Some("capture".into()),
        ..Register::default()
    };
    let net_names = [Some("nosuch"), None, Some("witclu")];
    for (call, net_name) in calls.iter().zip(net_names) {
        assert_eq!(register(net_name).stub(), call.request);
        assert_eq!(received(Version::V1, call), Ok(register(net_name)));
    }
    let answers: Vec<_> = calls.iter().map(returned::<Register>).collect();
    assert_eq!(answers[0], Err(Status::INVALID_PARAMETER));
    assert_eq!(answers[1], Err(Status::INVALID_PARAMETER));
    assert!(!answers[2].unwrap().is_null());
}

#[test]
fn register_ex_is_encoded_and_answered_as_between_samba_s_client_and_server() {
    let calls = calls_of(RegisterEx::OPNUM);
    let refused = Register {
        version: Version::V2.to_wire(),
        net_name: Some("witclu".into()),
        share_name: None,
        ip_address: Some("10.77.0.99".into()),
        client_name: Some("capture".into()),
        ip_notify: false,
        keep_alive: 30,
    };
    let old = Register {
        version: Version::V1.to_wire(),
        ip_address: Some("10.77.0.101".into()),
        ..refused.clone()
    };
    let full = Register {
        net_name: Some("witclu.wit.test".into()),
        share_name: Some("data".into()),
        ip_address: Some("10.77.0.101".into()),
        ip_notify: true,
        keep_alive: 2,
        ..refused.clone()
    };
    for (call, register) in calls.iter().zip([refused, old, full]) {
        assert_eq!(RegisterEx(register.clone()).stub(), call.request);
        assert_eq!(received(Version::V2, call), Ok(register));
    }
    let answers: Vec<_> = calls.iter().map(returned::<RegisterEx>).collect();
    assert_eq!(answers[0], Err(Status::INVALID_STATE));
    assert_eq!(answers[1], Err(Status::REVISION_MISMATCH));
    assert!(!answers[2].unwrap().is_null());
}

#[test]
fn context_handles_go_back_to_the_server_as_they_came() {
    let version_1 = calls_of(Register::OPNUM).pop().unwrap();
    let version_2 = calls_of(RegisterEx::OPNUM).pop().unwrap();
    let mut handles = [version_1, version_2].map(|call| returned::<Register>(&call).unwrap());
    let unregister = calls_of(UnRegister::OPNUM);
    let [first, again, second] = &unregister[..] else { panic!() };
    for (call, handle, result) in [
        (first, handles[0], Ok(())),
        (again, handles[0], Err(Status::NOT_FOUND)),
        (second, handles[1], Ok(())),
    ] {
        assert_eq!(UnRegister(handle).stub(), call.request);
        assert_eq!(Reader::new(&call.request, LITTLE).context_handle(), Ok(handle));
        assert_eq!(returned::<UnRegister>(call), result);
    }
    for call in calls_of(AsyncNotify::OPNUM) {
        assert_eq!(call.request, AsyncNotify(handles[1]).stub());
    }
    handles.sort_by_key(|handle| format!("{handle:?}"));
    assert_ne!(handles[0], handles[1]);
}

#[test]
fn samba_s_notifications_of_all_types_are_decoded() {
    let one = || vec![address(0x09, "10.77.0.102", "::")];
    let several = || {
        vec![
            address(0x12, "0.0.0.0", "fd00:77::101"),
            address(0x0b, "10.77.0.103", "fd00:77::103"),
            address(0x09, "10.77.0.102", "::"),
        ]
    };
    let two_lists = vec![
        address(0x09, "10.0.10.1", "::"),
        address(0x0a, "0.0.0.0", "fd00::10:0:10:2"),
        address(0x8000_0009, "10.0.20.1", "::"),
    ];
    let resources = vec![
        ("10.77.0.101".into(), ResourceState::Unavailable),
        ("10.77.0.102".into(), ResourceState::Available),
        ("Zürich".into(), ResourceState::Unknown),
    ];
    let expected = [
        Err(Status::TIMEOUT),
        // Success without a response.
        Ok(None),
        Ok(Some(NotifyMessages::ResourceChange(resources))),
        Ok(Some(NotifyMessages::ClientMove(one()))),
        Ok(Some(NotifyMessages::ClientMove(several()))),
        Ok(Some(NotifyMessages::ShareMove(one()))),
        Ok(Some(NotifyMessages::ShareMove(several()))),
        Ok(Some(NotifyMessages::IpChange(one()))),
        Ok(Some(NotifyMessages::IpChange(several()))),
        Ok(Some(NotifyMessages::ClientMove(two_lists))),
        // A response without a message.
        Ok(Some(NotifyMessages::ClientMove(Vec::new()))),
        Err(Status::NOT_FOUND),
        Ok(Some(NotifyMessages::ShareMove(one()))),
        Ok(Some(NotifyMessages::ClientMove(vec![address(0x09, "10.77.0.101", "::")]))),
    ];
    let calls = calls_of(AsyncNotify::OPNUM);
    assert_eq!(calls.len(), expected.len());
    for (call, expected) in calls.iter().zip(expected) {
        assert_eq!(returned::<AsyncNotify>(call), expected);
    }
}

#[test]
fn an_operation_that_samba_lacks_is_a_fault() {
    assert_eq!(session().pop().unwrap().response, Err(0x1c01_0002));
}

/// What a simulator sends is what Samba sends, but for notifications of several
/// lists or none, which it sends as one list.
#[test]
fn the_server_side_is_encoded_as_samba_encodes_it() {
    let mut same = 0;
    for call in session() {
        let Ok(response) = &call.response else { continue };
        let encoded = match call.opnum {
            GetInterfaceList::OPNUM => encode_interface_list(
                returned::<GetInterfaceList>(&call).as_deref().map_err(|s| *s),
            ),
            Register::OPNUM | RegisterEx::OPNUM => {
                encode_register_response(returned::<Register>(&call))
            }
            UnRegister::OPNUM => {
                encode_status(returned::<UnRegister>(&call).err().unwrap_or(Status::SUCCESS))
            }
            _ => {
                let decoded = returned::<AsyncNotify>(&call);
                // The number of messages.
                if response.get(12..16).is_some_and(|num| !matches!(num, [1 | 3, 0, 0, 0])) {
                    continue;
                }
                encode_notify_response(decoded.as_ref().map(Option::as_ref).map_err(|s| *s))
            }
        };
        assert_eq!(&encoded, response, "{call:?}");
        same += 1;
    }
    assert_eq!(same, 22);
}

macro_rules! packed {
    ($name:literal) => {
        [
            (LITTLE, include_bytes!(concat!("../data/packed-", $name, ".little")).as_slice()),
            (Endian::Big, include_bytes!(concat!("../data/packed-", $name, ".big")).as_slice()),
        ]
    };
}

#[test]
fn interfaces_with_ipv6_are_decoded_in_both_byte_orders() {
    let interfaces = vec![
        Interface {
            group_name: "NODE1".into(),
            version: 0x0002_0000,
            state: ResourceState::Available,
            ipv4: Some(Ipv4Addr::new(192, 0, 2, 1)),
            ipv6: Some("2001:db8::1".parse().unwrap()),
            witness: true,
        },
        Interface {
            group_name: "NODEß".into(),
            version: 0xffff_ffff,
            state: ResourceState::Unavailable,
            ipv4: None,
            ipv6: Some("2001:db8::2".parse().unwrap()),
            witness: false,
        },
        Interface {
            group_name: "NODE3".into(),
            version: 0x0001_0001,
            state: ResourceState::Unknown,
            ipv4: Some(Ipv4Addr::new(192, 0, 2, 3)),
            ipv6: None,
            witness: true,
        },
    ];
    for (endian, stub) in packed!("interfaces") {
        let list = decode::<GetInterfaceList>(stub, endian).unwrap();
        assert_eq!(list, interfaces, "{endian:?}");
    }
    let encoded = encode_interface_list(Ok(&interfaces));
    assert_eq!(encoded, packed!("interfaces")[0].1);
}

#[test]
fn context_handles_are_decoded_in_both_byte_orders() {
    let uuid = uuid::uuid!("00112233-4455-6677-8899-aabbccddeeff");
    for (endian, stub) in packed!("handle") {
        let handle = decode::<Register>(stub, endian);
        assert_eq!(handle, Ok(ContextHandle::new(1, uuid)));
    }
}

/// The messages within are little-endian whatever the rest is.
#[test]
fn notifications_are_decoded_in_both_byte_orders() {
    for (endian, stub) in packed!("resource-change") {
        let expected = vec![("node1".into(), ResourceState::Unavailable)];
        assert_eq!(
            decode::<AsyncNotify>(stub, endian),
            Ok(Some(NotifyMessages::ResourceChange(expected)))
        );
    }
    for (endian, stub) in packed!("client-move") {
        let expected = vec![address(0x0b, "192.0.2.1", "2001:db8::1")];
        assert_eq!(
            decode::<AsyncNotify>(stub, endian),
            Ok(Some(NotifyMessages::ClientMove(expected)))
        );
    }
}
