//! What a broken or hostile server answers.

use crate::decode;
use crate::samba::session;
use dcerpc_proto::ndr::{Endian, NdrError, Reader};
use dcerpc_proto::{Operation, ResponseError};
use proptest::prelude::*;
use proptest::sample::Index;
use std::net::{IpAddr, Ipv4Addr};
use swnclient_proto::ResourceState;
use swnclient_proto::wire::{
    AddressInfo, AsyncNotify, GetInterfaceList, Interface, NotifyMessages, Register, RegisterEx,
    Status, UnRegister, encode_interface_list,
};

const LITTLE: Endian = Endian::Little;

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A notify response whose lengths and type can lie.
fn notify(kind: u32, length: u32, count: u32, size: u32, block: &[u8]) -> Vec<u8> {
    let mut stub = words(&[0x0002_0000, kind, length, count, 0x0002_0004, size]);
    stub.extend(block);
    stub.resize(stub.len().next_multiple_of(4), 0);
    stub.extend(words(&[0]));
    stub
}

/// One that tells the truth about its block.
fn block(kind: u32, count: u32, block: &[u8]) -> Result<NotifyMessages, ResponseError<Status>> {
    let len = u32::try_from(block.len()).unwrap();
    let stub = notify(kind, len, count, len, block);
    decode::<AsyncNotify>(&stub, LITTLE).map(|messages| messages.unwrap())
}

/// The lengths of a RESOURCE_CHANGE and its contents.
fn change(length: u32, state: u32, name: &[u16]) -> Vec<u8> {
    let mut message = words(&[length, state]);
    message.extend(name.iter().flat_map(|unit| unit.to_le_bytes()));
    message
}

/// An IPADDR_INFO_LIST of `entries` addresses.
fn list(length: u32, count: u32, entries: u8) -> Vec<u8> {
    let mut message = words(&[length, 0, count]);
    for n in 0..entries {
        message.extend(words(&[9]));
        message.extend([192, 0, 2, n]);
        message.extend([0; 16]);
    }
    message
}

fn refused(result: Result<NotifyMessages, ResponseError<Status>>) -> bool {
    matches!(result, Err(ResponseError::Ndr(NdrError::Invalid { what: "notification", .. })))
}

#[test]
fn a_message_length_that_contradicts_the_block_is_refused() {
    let message = list(36, 1, 1);
    assert!(decode::<AsyncNotify>(&notify(2, 36, 1, 36, &message), LITTLE).is_ok());
    for (length, size) in [(35, 36), (37, 36), (36, 32), (0, 36), (u32::MAX, 36)] {
        assert!(matches!(
            decode::<AsyncNotify>(&notify(2, length, 1, size, &message), LITTLE),
            Err(ResponseError::Ndr(NdrError::Invalid { what: "message length", .. }))
        ));
    }
    for size in [41, 1000, u32::MAX] {
        assert!(matches!(
            decode::<AsyncNotify>(&notify(2, size, 1, size, &message), LITTLE),
            Err(ResponseError::Ndr(NdrError::Count { count, .. })) if count == size
        ));
    }
}

#[test]
fn counts_are_not_trusted() {
    let [first, second] =
        [0, 1].map(|n| AddressInfo::new(Ipv4Addr::new(192, 0, 2, n).into(), true));
    let expected = NotifyMessages::ClientMove(vec![first, second]);
    for count in [0, 1, 2, 3, u32::MAX] {
        // Of messages, and of addresses.
        assert_eq!(block(2, count, &list(60, 2, 2)), Ok(expected.clone()));
        assert_eq!(block(2, 1, &list(60, count, 2)), Ok(expected.clone()));
    }
}

#[test]
fn a_message_that_lies_about_its_length_is_refused() {
    for kind in 2..=4 {
        assert!(block(kind, 1, &list(36, 1, 1)).is_ok());
        // Nothing, less than its own fields, not whole entries, beyond the block.
        for length in [0, 1, 3, 4, 11, 13, 35, 37, 60, u32::MAX] {
            assert!(refused(block(kind, 1, &list(length, 1, 1))), "{length}");
        }
    }
    let name = &[0x41, 0];
    assert!(block(1, 1, &change(12, 1, name)).is_ok());
    for length in [0, 3, 4, 7, 9, 11, 13, 1000, u32::MAX] {
        assert!(refused(block(1, 1, &change(length, 1, name))), "{length}");
    }
}

#[test]
fn bytes_behind_the_last_message_cost_nothing() {
    for behind in [&[0_u8][..], &[0; 3], &[0; 4], &[0xff; 4], &[0xff; 100]] {
        let expected = block(2, 1, &list(36, 1, 1));
        assert!(expected.is_ok());
        assert_eq!(block(2, 1, &[&list(36, 1, 1), behind].concat()), expected);
        let change = change(12, 1, &[0x41, 0]);
        assert_eq!(block(1, 1, &[&change, behind].concat()), block(1, 1, &change));
    }
}

#[test]
fn an_unknown_type_of_notification_is_known_as_that() {
    for kind in [0, 5, 255, u32::MAX] {
        assert_eq!(block(kind, 1, &list(36, 1, 1)), Ok(NotifyMessages::Unknown(kind)));
    }
}

#[test]
fn of_many_changes_the_last_state_of_each_resource_is_kept() {
    let changes = |changes: &[(u16, u32)]| {
        let messages: Vec<u8> =
            changes.iter().flat_map(|(name, state)| change(10, *state, &[*name])).collect();
        let count = u32::try_from(changes.len()).unwrap();
        match block(1, count, &messages).unwrap() {
            NotifyMessages::ResourceChange(changes) => changes,
            other => panic!("{other:?}"),
        }
    };
    let state = |state: u32| match state {
        1 => ResourceState::Available,
        _ => ResourceState::Unavailable,
    };
    let expected = |changes: &[(u16, u32)]| -> Vec<_> {
        let name = |unit: u16| String::from_utf16(&[unit]).unwrap().into();
        changes.iter().map(|(unit, is)| (name(*unit), state(*is))).collect()
    };
    let flap = |times: usize| [(97, 0xff), (97, 1)].into_iter().cycle().take(times);
    // As many as a server may have to tell come as they are.
    let few: Vec<_> = flap(64).collect();
    assert_eq!(changes(&few), expected(&few));
    let many: Vec<_> = flap(100_000).chain([(98, 1), (97, 0xff)]).collect();
    assert_eq!(changes(&many), expected(&[(98, 1), (97, 0xff)]));
    let names: Vec<_> = (0x4e00..0x9e00).map(|name| (name, 1)).collect();
    assert_eq!(changes(&names), expected(&names[names.len() - 64..]));
}

#[test]
fn names_end_where_they_end() {
    let named = |name: &str, state| Ok(NotifyMessages::ResourceChange(vec![(name.into(), state)]));
    // Without terminator; with something behind it; none at all; half a surrogate pair.
    let available = ResourceState::Available;
    assert_eq!(block(1, 1, &change(12, 1, &[0x41, 0x42])), named("AB", available));
    assert_eq!(block(1, 1, &change(14, 1, &[0x41, 0, 0x42])), named("A", available));
    assert_eq!(block(1, 1, &change(8, 1, &[])), named("", available));
    assert_eq!(block(1, 1, &change(12, 1, &[0xd800, 0])), named("\u{fffd}", available));
    for state in [2, 0x100, u32::MAX] {
        assert_eq!(block(1, 1, &change(12, state, &[0x41, 0])), named("A", ResourceState::Unknown));
    }
}

#[test]
fn a_name_is_read_up_to_a_length_and_a_list_of_addresses_up_to_a_number() {
    let name = vec![u16::from(b'n'); 300_000];
    let length = 8 + 2 * 300_000;
    match block(1, 1, &change(length, 0xff, &name)).unwrap() {
        NotifyMessages::ResourceChange(changes) => {
            assert_eq!((changes.len(), changes[0].0.len()), (1, 1024));
        }
        other => panic!("{other:?}"),
    }
    let lists = list(12 + 24 * 250, 250, 250).repeat(3);
    let NotifyMessages::ClientMove(addresses) = block(2, 3, &lists).unwrap() else {
        panic!("it is a move");
    };
    assert_eq!(addresses.len(), 512);
}

#[test]
fn messages_of_odd_lengths_follow_each_other_without_alignment() {
    let mut both = change(10, 1, &[0x41]);
    both.extend(change(12, 0xff, &[0x42, 0]));
    let expected =
        vec![("A".into(), ResourceState::Available), ("B".into(), ResourceState::Unavailable)];
    assert_eq!(block(1, 2, &both), Ok(NotifyMessages::ResourceChange(expected)));
}

#[test]
fn an_address_that_an_ip_change_takes_away_is_offline() {
    let mut message = words(&[12 + 3 * 24, 0, 3]);
    // As Windows tells it; with bits of no meaning; and one that is both.
    for (flags, last) in [(0x11, 1), (0x4d, 2), (0x19, 3)] {
        message.extend(words(&[flags]));
        message.extend([192, 0, 2, last]);
        // Garbage, since the flags don't have it.
        message.extend([0xfd; 16]);
    }
    let Ok(NotifyMessages::IpChange(list)) = block(4, 1, &message) else {
        panic!("no IP change");
    };
    let told: Vec<_> =
        list.iter().map(|info| (info.addresses().collect::<Vec<_>>(), info.is_offline())).collect();
    let ip = |last| vec![IpAddr::from([192, 0, 2, last])];
    assert_eq!(told, [(ip(1), true), (ip(2), false), (ip(3), false)]);
}

#[test]
fn a_response_without_a_message_is_nothing_new() {
    for stub in [words(&[0, 0]), words(&[1, 2, 0, 0, 0, 0])] {
        assert_eq!(decode::<AsyncNotify>(&stub, LITTLE), Ok(None));
    }
}

fn some_list() -> Vec<u8> {
    encode_interface_list(Ok(&[Interface {
        group_name: "node".into(),
        version: 1,
        state: ResourceState::Available,
        ipv4: Some(Ipv4Addr::LOCALHOST),
        ipv6: None,
        witness: true,
    }]))
}

#[test]
fn numbers_of_interfaces_beyond_the_data_or_contradicting_each_other_are_refused() {
    let altered = |num: u32, count: u32| {
        let mut stub = some_list();
        stub[4..8].copy_from_slice(&num.to_le_bytes());
        stub[12..16].copy_from_slice(&count.to_le_bytes());
        decode::<GetInterfaceList>(&stub, LITTLE)
    };
    assert!(altered(1, 1).is_ok());
    for count in [2, 0x0010_0000, u32::MAX] {
        assert!(matches!(altered(count, count), Err(ResponseError::Ndr(NdrError::Count { .. }))));
        assert!(matches!(altered(1, count), Err(ResponseError::Ndr(NdrError::Count { .. }))));
        assert!(matches!(
            altered(count, 1),
            Err(ResponseError::Ndr(NdrError::Invalid { what: "number of interfaces", .. }))
        ));
    }
    assert!(matches!(altered(1, 0), Err(ResponseError::Ndr(NdrError::Invalid { .. }))));
}

#[test]
fn a_list_that_is_not_there_is_empty() {
    for stub in [words(&[0, 0]), words(&[1, 0, 0, 0]), words(&[1, 7, 0, 0])] {
        assert_eq!(decode::<GetInterfaceList>(&stub, LITTLE), Ok(Vec::new()));
    }
    assert_eq!(
        decode::<GetInterfaceList>(&words(&[0, 5]), LITTLE),
        Err(ResponseError::Status(Status::ACCESS_DENIED))
    );
}

#[test]
fn odd_names_and_states_of_interfaces_are_read_as_far_as_they_go() {
    let mut stub = some_list();
    // No terminator in the whole field, then half a surrogate pair.
    for unit in stub[16..16 + 520].chunks_exact_mut(2) {
        unit.copy_from_slice(&[0x41, 0]);
    }
    stub[16..18].copy_from_slice(&0xdc00_u16.to_le_bytes());
    // State, and flags that don't exist.
    stub[16 + 524..16 + 526].copy_from_slice(&7_u16.to_le_bytes());
    stub[16 + 548..16 + 552].copy_from_slice(&0xffff_fff8_u32.to_le_bytes());
    let list = decode::<GetInterfaceList>(&stub, LITTLE).unwrap();
    assert_eq!(list[0].group_name, format!("\u{fffd}{}", "A".repeat(259)));
    assert_eq!(list[0].state, ResourceState::Unknown);
    assert_eq!((list[0].ipv4, list[0].ipv6, list[0].witness), (None, None, false));
}

#[test]
fn success_without_a_handle_is_refused() {
    let stub = words(&[0; 6]);
    assert!(matches!(
        decode::<Register>(&stub, LITTLE),
        Err(ResponseError::Ndr(NdrError::Invalid { .. }))
    ));
}

/// Decodes a response of the given operation; whether it is well-formed.
fn is_well_formed(opnum: u16, stub: &[u8], endian: Endian) -> bool {
    fn of<O: Operation>(stub: &[u8], endian: Endian) -> bool {
        !matches!(decode::<O>(stub, endian), Err(ResponseError::Ndr(_)))
    }
    match opnum {
        GetInterfaceList::OPNUM => of::<GetInterfaceList>(stub, endian),
        Register::OPNUM => of::<Register>(stub, endian),
        RegisterEx::OPNUM => of::<RegisterEx>(stub, endian),
        UnRegister::OPNUM => of::<UnRegister>(stub, endian),
        AsyncNotify::OPNUM => of::<AsyncNotify>(stub, endian),
        _ => Reader::new(stub, endian).context_handle().is_ok(),
    }
}

#[test]
fn every_response_of_samba_s_is_refused_when_cut_anywhere() {
    for call in session() {
        let Ok(stub) = call.response else { continue };
        assert!(is_well_formed(call.opnum, &stub, LITTLE));
        for len in 0..stub.len() {
            assert!(!is_well_formed(call.opnum, &stub[..len], LITTLE), "{len} of {stub:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_damage_to_a_response_panics(
        call in any::<Index>(), damages in prop::collection::vec(any::<(Index, u8)>(), 1..6),
        as_opnum in prop::option::of(0..6u16), big: bool,
    ) {
        let session: Vec<_> = session().into_iter().filter(|call| call.response.is_ok()).collect();
        let call = call.get(&session);
        let mut stub = call.response.clone().unwrap();
        for (at, to) in damages {
            let at = at.index(stub.len());
            stub[at] = to;
        }
        let endian = if big { Endian::Big } else { LITTLE };
        is_well_formed(as_opnum.unwrap_or(call.opnum), &stub, endian);
    }

    #[test]
    fn noise_does_not_panic(stub: Vec<u8>, big: bool) {
        for opnum in 0..6 {
            is_well_formed(opnum, &stub, if big { Endian::Big } else { LITTLE });
        }
    }
}
