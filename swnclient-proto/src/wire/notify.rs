//! WitnessrAsyncNotify ([MS-SWN] 3.1.4.4, 2.2.2.4 to 2.2.2.8).
//!
//! The messages are one opaque block of bytes within the response, without
//! alignment and always little-endian. The block's length bounds them; the
//! count that comes with it can lie and is not trusted. Bytes behind the last
//! message that are none are left alone.

use super::Status;
use crate::ResourceState;
use dcerpc_proto::ndr::{ContextHandle, NdrError, Reader, Writer};
use dcerpc_proto::{Operation, ResponseError};
use smol_str::SmolStr;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const RESOURCE_CHANGE: u32 = 1;
const CLIENT_MOVE: u32 = 2;
const SHARE_MOVE: u32 = 3;
const IP_CHANGE: u32 = 4;
/// More resource changes in one response are not taken as they come: a response has
/// room for 131,000 of them.
const CHANGES_MAX: usize = 64;
/// In UTF-16 units: a DNS name has 255 characters at most, a node's field for it 260.
const NAME_MAX: usize = 1024;
/// As many as a list of interfaces may have.
const ADDRESSES_MAX: usize = 512;
/// The length of one IPADDR_INFO, in bytes.
const ADDRESS_LEN: usize = 4 + 4 + 16;

bitflags::bitflags! {
    /// The Flags of an address ([MS-SWN] 2.2.2.1); other bits are arbitrary.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct AddressFlags: u32 {
        /// The IPv4 address is valid.
        const IPV4 = 0x01;
        /// The IPv6 address is valid.
        const IPV6 = 0x02;
        /// The address is in service.
        const ONLINE = 0x08;
        /// The address is out of service.
        const OFFLINE = 0x10;
        const _ = !0;
    }
}

/// One entry of an address list: IPADDR_INFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressInfo {
    /// The flags, arbitrary bits and all.
    pub flags: AddressFlags,
    /// The IPv4 address; valid where the flags say so.
    pub ipv4: Ipv4Addr,
    /// The IPv6 address; valid where the flags say so.
    pub ipv6: Ipv6Addr,
}

impl AddressInfo {
    /// An entry for one address.
    pub fn new(address: IpAddr, online: bool) -> Self {
        let state = if online { AddressFlags::ONLINE } else { AddressFlags::OFFLINE };
        match address {
            IpAddr::V4(ipv4) => {
                Self { flags: state | AddressFlags::IPV4, ipv4, ipv6: Ipv6Addr::UNSPECIFIED }
            }
            IpAddr::V6(ipv6) => {
                Self { flags: state | AddressFlags::IPV6, ipv4: Ipv4Addr::UNSPECIFIED, ipv6 }
            }
        }
    }

    /// The entry's valid addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let v4 = self.flags.contains(AddressFlags::IPV4).then_some(IpAddr::V4(self.ipv4));
        let v6 = self.flags.contains(AddressFlags::IPV6).then_some(IpAddr::V6(self.ipv6));
        v4.into_iter().chain(v6)
    }

    /// Whether the server says that the address is out of service. The flags mean
    /// something in version 2 only.
    pub fn is_offline(&self) -> bool {
        self.flags.contains(AddressFlags::OFFLINE) && !self.flags.contains(AddressFlags::ONLINE)
    }
}

/// The messages of one response; all are of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum NotifyMessages {
    /// Up to 64 as they came. Of more, the last states of the 64 that changed last.
    ResourceChange(Vec<(SmolStr, ResourceState)>),
    ClientMove(Vec<AddressInfo>),
    ShareMove(Vec<AddressInfo>),
    IpChange(Vec<AddressInfo>),
    /// Of a type that [MS-SWN] 2.2.2.4 does not have.
    Unknown(u32),
}

/// WitnessrAsyncNotify: answered once there is something to tell about the
/// registration with this handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsyncNotify(pub ContextHandle);

impl Operation for AsyncNotify {
    const OPNUM: u16 = 3;
    const NAME: &'static str = "AsyncNotify";
    /// `None`: success without a message, which some servers send; there is
    /// nothing new then.
    type Output = Option<NotifyMessages>;
    type Status = Status;

    fn encode(&self, w: &mut Writer) {
        w.context_handle(&self.0);
    }

    fn decode_response(r: &mut Reader<'_>) -> Result<Self::Output, ResponseError<Status>> {
        let mut messages = None;
        if r.pointer()? {
            let offset = r.offset();
            let (kind, length, _count) = (r.u32()?, r.u32()?, r.u32()?);
            if r.pointer()? {
                let len = r.count(1)?;
                if usize::try_from(length) != Ok(len) {
                    return Err(NdrError::Invalid { offset, what: "message length" }.into());
                }
                messages = read_messages(kind, r.bytes(len)?)
                    .ok_or(NdrError::Invalid { offset, what: "notification" })
                    .map(Some)?;
            }
        }
        Status(r.u32()?).into_result()?;
        Ok(messages)
    }
}

fn read_messages(kind: u32, block: &[u8]) -> Option<NotifyMessages> {
    Some(match kind {
        RESOURCE_CHANGE => NotifyMessages::ResourceChange(read_resource_changes(block)?),
        CLIENT_MOVE => NotifyMessages::ClientMove(read_address_lists(block)?),
        SHARE_MOVE => NotifyMessages::ShareMove(read_address_lists(block)?),
        IP_CHANGE => NotifyMessages::IpChange(read_address_lists(block)?),
        kind => NotifyMessages::Unknown(kind),
    })
}

/// Cuts off a message that starts with its own length, which counts itself.
fn split_message<'a>(block: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_le_bytes(*block.first_chunk()?);
    let (message, rest) = block.split_at_checked(usize::try_from(length).ok()?)?;
    *block = rest;
    message.get(4..)
}

/// Reads the messages of a block up to what is none; `None` where nothing in it is.
fn read_each<'a>(mut block: &'a [u8], mut read: impl FnMut(&'a [u8]) -> Option<()>) -> Option<()> {
    let mut any = block.is_empty();
    while split_message(&mut block).and_then(&mut read).is_some() {
        any = true;
    }
    any.then_some(())
}

/// RESOURCE_CHANGE ([MS-SWN] 2.2.2.6): length, ChangeType, name to the end.
fn read_resource_changes(block: &[u8]) -> Option<Vec<(SmolStr, ResourceState)>> {
    let mut changes = Vec::new();
    read_each(block, |message| {
        let (state, name) = message.split_first_chunk()?;
        let state = ResourceState::from_wire(u32::from_le_bytes(*state));
        (name.len() % 2 == 0).then(|| changes.push((name, state)))
    })?;
    if changes.len() > CHANGES_MAX {
        keep_last_states(&mut changes);
    }
    Some(changes.into_iter().map(|(name, state)| (read_name(name), state)).collect())
}

/// Keeps the last state of each resource, of the [`CHANGES_MAX`] that changed last.
fn keep_last_states(changes: &mut Vec<(&[u8], ResourceState)>) {
    let mut names = BTreeSet::new();
    let mut last: Vec<_> =
        changes.drain(..).rev().filter(|(name, _)| names.insert(*name)).take(CHANGES_MAX).collect();
    last.reverse();
    *changes = last;
}

/// Returns a name up to its NUL, if it has one, and up to [`NAME_MAX`].
fn read_name(name: &[u8]) -> SmolStr {
    let units: Vec<u16> = name
        .chunks_exact(2)
        .map_while(|unit| unit.first_chunk().copied().map(u16::from_le_bytes))
        .take_while(|unit| *unit != 0)
        .take(NAME_MAX)
        .collect();
    String::from_utf16_lossy(&units).into()
}

/// IPADDR_INFO_LIST ([MS-SWN] 2.2.2.5): length, reserved, count, entries. The
/// length bounds the entries, not the count. Those beyond [`ADDRESSES_MAX`] are left out.
fn read_address_lists(block: &[u8]) -> Option<Vec<AddressInfo>> {
    let mut addresses = Vec::with_capacity((block.len() / ADDRESS_LEN).min(ADDRESSES_MAX));
    read_each(block, |message| {
        let entries = message.get(8..)?;
        let entries = (entries.len() % ADDRESS_LEN == 0).then_some(entries)?;
        let left = ADDRESSES_MAX.saturating_sub(addresses.len());
        addresses.extend(entries.chunks_exact(ADDRESS_LEN).filter_map(read_address).take(left));
        Some(())
    })?;
    Some(addresses)
}

fn read_address(entry: &[u8]) -> Option<AddressInfo> {
    let (flags, rest) = entry.split_first_chunk()?;
    let (ipv4, ipv6) = rest.split_first_chunk::<4>()?;
    Some(AddressInfo {
        flags: AddressFlags::from_bits_retain(u32::from_le_bytes(*flags)),
        ipv4: Ipv4Addr::from(*ipv4),
        ipv6: Ipv6Addr::from(*ipv6.first_chunk::<16>()?),
    })
}

/// Encodes the response as a server does.
pub fn encode_notify_response(response: Result<Option<&NotifyMessages>, Status>) -> Vec<u8> {
    let mut w = Writer::new();
    let messages = response.ok().flatten();
    w.pointer(messages.is_some());
    if let Some(messages) = messages {
        let (kind, count, block) = write_messages(messages);
        w.u32(kind);
        w.len(block.len());
        w.len(count);
        w.pointer(true);
        w.len(block.len());
        w.bytes(&block);
    }
    w.u32(response.err().unwrap_or(Status::SUCCESS).0);
    w.finish()
}

fn write_messages(messages: &NotifyMessages) -> (u32, usize, Vec<u8>) {
    match messages {
        NotifyMessages::ResourceChange(changes) => {
            let mut block = Vec::new();
            for (name, state) in changes {
                let mut message = u32::from(state.code()).to_le_bytes().to_vec();
                message.extend(name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
                push_message(&mut block, &message);
            }
            (RESOURCE_CHANGE, changes.len(), block)
        }
        NotifyMessages::ClientMove(list) => (CLIENT_MOVE, 1, write_address_list(list)),
        NotifyMessages::ShareMove(list) => (SHARE_MOVE, 1, write_address_list(list)),
        NotifyMessages::IpChange(list) => (IP_CHANGE, 1, write_address_list(list)),
        NotifyMessages::Unknown(kind) => (*kind, 0, Vec::new()),
    }
}

fn push_message(block: &mut Vec<u8>, message: &[u8]) {
    let length = u32::try_from(4 + message.len()).unwrap_or(u32::MAX);
    block.extend_from_slice(&length.to_le_bytes());
    block.extend_from_slice(message);
}

fn write_address_list(list: &[AddressInfo]) -> Vec<u8> {
    let mut message = vec![0; 4];
    message.extend_from_slice(&u32::try_from(list.len()).unwrap_or(u32::MAX).to_le_bytes());
    for address in list {
        message.extend_from_slice(&address.flags.bits().to_le_bytes());
        message.extend_from_slice(&address.ipv4.octets());
        message.extend_from_slice(&address.ipv6.octets());
    }
    let mut block = Vec::new();
    push_message(&mut block, &message);
    block
}
