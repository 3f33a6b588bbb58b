//! WitnessrGetInterfaceList ([MS-SWN] 3.1.4.1, 2.2.2.2, 2.2.2.3).

use super::Status;
use crate::ResourceState;
use dcerpc_proto::ndr::{NdrError, Reader, Writer};
use dcerpc_proto::{Operation, ResponseError};
use smol_str::SmolStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The length of InterfaceGroupName, in 16-bit characters.
const GROUP_NAME_CHARS: usize = 260;
/// The length of one WITNESS_INTERFACE_INFO, in bytes.
const INTERFACE_LEN: usize = 2 * GROUP_NAME_CHARS + 4 + 4 + 4 + 16 + 4;

/// How many interfaces of a list are kept: some for each node of the largest clusters.
const INTERFACES_MAX: usize = 512;

bitflags::bitflags! {
    /// The Flags of an interface.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct InterfaceFlags: u32 {
        /// The IPv4 address is valid.
        const IPV4 = 0x01;
        /// The IPv6 address is valid.
        const IPV6 = 0x02;
        /// The interface can be used as a witness: it is not one of the node
        /// that was asked.
        const WITNESS = 0x04;
        const _ = !0;
    }
}

/// An address of a node of the cluster: WITNESS_INTERFACE_INFO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The node's name, as the server gives it.
    pub group_name: SmolStr,
    /// The witness version, a hint only: 0xFFFFFFFF exists.
    pub version: u32,
    /// Whether the interface is in service.
    pub state: ResourceState,
    /// The IPv4 address, where valid.
    pub ipv4: Option<Ipv4Addr>,
    /// The IPv6 address, where valid.
    pub ipv6: Option<Ipv6Addr>,
    /// Whether the node can be a witness for the node that was asked.
    pub witness: bool,
}

impl Interface {
    /// Its addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.ipv4.map(IpAddr::V4).into_iter().chain(self.ipv6.map(IpAddr::V6))
    }
}

impl From<&Interface> for crate::Interface {
    fn from(interface: &Interface) -> Self {
        Self {
            group_name: interface.group_name.clone(),
            state: interface.state,
            addresses: interface.addresses().collect(),
            may_be_witness: interface.witness,
        }
    }
}

/// WitnessrGetInterfaceList: the addresses of the cluster's nodes, the first 512.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetInterfaceList;

impl Operation for GetInterfaceList {
    const OPNUM: u16 = 0;
    const NAME: &'static str = "GetInterfaceList";
    type Output = Vec<Interface>;
    type Status = Status;

    fn encode(&self, _: &mut Writer) {}

    fn decode_response(r: &mut Reader<'_>) -> Result<Vec<Interface>, ResponseError<Status>> {
        let mut interfaces = Vec::new();
        if r.pointer()? {
            let num = r.u32()?;
            if r.pointer()? {
                let offset = r.offset();
                let count = r.count(INTERFACE_LEN)?;
                if usize::try_from(num) != Ok(count) {
                    return Err(NdrError::Invalid { offset, what: "number of interfaces" }.into());
                }
                interfaces.reserve_exact(count.min(INTERFACES_MAX));
                for _ in 0..count {
                    let interface = read_interface(r)?;
                    if interfaces.len() < INTERFACES_MAX {
                        interfaces.push(interface);
                    }
                }
            }
        }
        Status(r.u32()?).into_result()?;
        Ok(interfaces)
    }
}

fn read_interface(r: &mut Reader<'_>) -> Result<Interface, NdrError> {
    let name = r.wide_chars(GROUP_NAME_CHARS)?;
    let name = name.split(|unit| *unit == 0).next().unwrap_or_default();
    let group_name = String::from_utf16_lossy(name).into();
    let version = r.u32()?;
    let state = ResourceState::from_wire(r.u16()?.into());
    r.align(4)?;
    // Addresses are in network order whatever the data representation says.
    let ipv4 = Ipv4Addr::from(r.array()?);
    let ipv6 = Ipv6Addr::from(r.array()?);
    let flags = InterfaceFlags::from_bits_retain(r.u32()?);
    Ok(Interface {
        group_name,
        version,
        state,
        ipv4: flags.contains(InterfaceFlags::IPV4).then_some(ipv4),
        ipv6: flags.contains(InterfaceFlags::IPV6).then_some(ipv6),
        witness: flags.contains(InterfaceFlags::WITNESS),
    })
}

/// Encodes the response as a server does.
pub fn encode_interface_list(list: Result<&[Interface], Status>) -> Vec<u8> {
    let mut w = Writer::new();
    match list {
        Err(status) => {
            w.pointer(false);
            w.u32(status.0);
        }
        Ok(interfaces) => {
            w.pointer(true);
            w.len(interfaces.len());
            w.pointer(true);
            w.len(interfaces.len());
            for interface in interfaces {
                write_interface(&mut w, interface);
            }
            w.u32(Status::SUCCESS.0);
        }
    }
    w.finish()
}

fn write_interface(w: &mut Writer, interface: &Interface) {
    let start = w.offset();
    for unit in interface.group_name.encode_utf16().take(GROUP_NAME_CHARS - 1) {
        w.u16(unit);
    }
    w.bytes(&vec![0; start + 2 * GROUP_NAME_CHARS - w.offset()]);
    w.u32(interface.version);
    w.u16(interface.state.code().into());
    w.align(4);
    w.bytes(&interface.ipv4.unwrap_or(Ipv4Addr::UNSPECIFIED).octets());
    w.bytes(&interface.ipv6.unwrap_or(Ipv6Addr::UNSPECIFIED).octets());
    let mut flags = InterfaceFlags::empty();
    flags.set(InterfaceFlags::IPV4, interface.ipv4.is_some());
    flags.set(InterfaceFlags::IPV6, interface.ipv6.is_some());
    flags.set(InterfaceFlags::WITNESS, interface.witness);
    w.u32(flags.bits());
}
