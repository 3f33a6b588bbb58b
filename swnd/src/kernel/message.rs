//! The messages of the kernel's family `cifs` (`linux/cifs/cifs_netlink.h`).

use super::wire::{BadLength, EncodeError, Generic, MessageWriter};
use crate::mount::MountKind;
use neli::consts::nl::NlmF;
use neli::neli_enum;
use smol_str::SmolStr;
use std::net::{IpAddr, Ipv6Addr};
use swnclient::{Notification, RegistrationRequest, ScopedAddr, Secret};

/// `CIFS_GENL_NAME`.
pub const FAMILY: &str = "cifs";
/// `CIFS_GENL_MCGRP_SWN_NAME`.
pub const GROUP: &str = "cifs_mcgrp_swn";
/// `sizeof(struct sockaddr_storage)`: the kernel copies that much, whatever the
/// address family.
const SOCKADDR_STORAGE: usize = 128;
/// `cifs_swn_notify` copies a resource's name into 256 bytes with their NUL.
const RESOURCE_NAME_MAX: usize = 255;

/// `enum cifs_genl_commands`.
#[neli_enum(serialized_type = "u8")]
pub enum Command {
    Register = 1,
    Unregister = 2,
    Notify = 3,
}

/// `enum cifs_genl_attributes`, without the prefix `SWN_`.
#[neli_enum(serialized_type = "u16")]
pub enum Attribute {
    RegistrationId = 1,
    NetName = 2,
    ShareName = 3,
    Ip = 4,
    NetNameNotify = 5,
    ShareNameNotify = 6,
    IpNotify = 7,
    KrbAuth = 8,
    UserName = 9,
    Password = 10,
    DomainName = 11,
    NotificationType = 12,
    ResourceState = 13,
    ResourceName = 14,
}

/// What the kernel asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelMessage {
    /// `SWN_REGISTER`: at a mount, and again at each echo.
    Register {
        /// The kernel's number for this net name and share.
        id: u32,
        /// What to watch.
        request: RegistrationRequest,
        /// What the mount authenticates with.
        auth: KernelAuth,
    },
    /// `SWN_UNREGISTER`. Its other attributes repeat what the number stands for.
    Unregister {
        /// The kernel's number, free for reuse from now on.
        id: u32,
    },
}

/// What a mount authenticates with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelAuth {
    /// `sec=krb5`: a ticket, which is not in the message.
    Kerberos,
    /// `sec=ntlmssp`; the kernel leaves out what the mount was not given.
    Ntlm {
        /// The user's name.
        user: Option<SmolStr>,
        /// The user's domain.
        domain: Option<SmolStr>,
        /// The user's password.
        password: Option<Secret>,
    },
    /// `sec=ntlmssp`, in another character set than UTF-8 (mount option `iocharset`).
    NotUtf8 {
        /// What of it.
        what: &'static str,
    },
}

/// Why a message cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A length leads out of the message.
    #[error(transparent)]
    Length(#[from] BadLength),
    /// Neither an acknowledgement nor an errno.
    #[error("an answer without a result")]
    Answer,
    /// Not one of the commands of the version this daemon knows.
    #[error("unknown command {0}")]
    Command(u8),
    /// The message lacks what it cannot be used without.
    #[error("attribute {0:?} is missing")]
    Missing(Attribute),
    /// An attribute whose size is fixed has another.
    #[error("attribute {0:?} has {1} bytes")]
    Size(Attribute, usize),
    /// A string without its final NUL.
    #[error("attribute {0:?} is a string without an end")]
    Unterminated(Attribute),
    /// A string that is not UTF-8.
    #[error("attribute {0:?} is not UTF-8: mount with iocharset=utf8")]
    NotUtf8(Attribute),
    /// An address that is neither IPv4 nor IPv6.
    #[error("address family {0} is neither IPv4 nor IPv6")]
    AddressFamily(u16),
    /// A value outside its enumeration.
    #[error("attribute {0:?} has the unknown value {1}")]
    Value(Attribute, u32),
}

/// The attributes of one message, by type; of two of a type the last counts, as
/// in the kernel.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    command: u8,
    by_type: [Option<&'a [u8]>; 15],
}

impl<'a> Fields<'a> {
    /// Reads what follows the netlink header.
    pub fn new(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let generic = Generic::new(payload)?;
        let mut by_type = [None; 15];
        for attribute in generic.attributes {
            let attribute = attribute?;
            // A newer kernel's attributes are none of our business.
            if let Some(slot) = by_type.get_mut(usize::from(attribute.kind)) {
                *slot = Some(attribute.payload);
            }
        }
        Ok(Self { command: generic.command, by_type })
    }

    /// Returns the command, one of [`Command`] where it is known.
    pub fn command(&self) -> u8 {
        self.command
    }

    fn get(&self, attribute: Attribute) -> Option<&'a [u8]> {
        let kind: u16 = attribute.into();
        self.by_type.get(usize::from(kind)).copied().flatten()
    }

    fn flag(&self, attribute: Attribute) -> bool {
        self.get(attribute).is_some()
    }

    /// Returns a `u32`, which must be there.
    pub fn integer(&self, attribute: Attribute) -> Result<u32, DecodeError> {
        let payload = self.get(attribute).ok_or(DecodeError::Missing(attribute))?;
        match payload.try_into() {
            Ok(bytes) => Ok(u32::from_ne_bytes(bytes)),
            Err(_) => Err(DecodeError::Size(attribute, payload.len())),
        }
    }

    /// Returns a text, which ends with a zero.
    pub fn string(&self, attribute: Attribute) -> Result<Option<&'a str>, DecodeError> {
        let Some(payload) = self.get(attribute) else {
            return Ok(None);
        };
        let text = payload
            .split(|byte| *byte == 0)
            .next()
            .filter(|text| text.len() < payload.len())
            .ok_or(DecodeError::Unterminated(attribute))?;
        match std::str::from_utf8(text) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(DecodeError::NotUtf8(attribute)),
        }
    }

    /// Returns the address of [`Attribute::Ip`], which must be there.
    pub fn address(&self) -> Result<ScopedAddr, DecodeError> {
        let attribute = Attribute::Ip;
        let payload = self.get(attribute).ok_or(DecodeError::Missing(attribute))?;
        let storage: &[u8; SOCKADDR_STORAGE] =
            payload.try_into().map_err(|_| DecodeError::Size(attribute, payload.len()))?;
        decode_address(storage)
    }

    fn request(&self) -> Result<RegistrationRequest, DecodeError> {
        let address = self.address()?;
        Ok(RegistrationRequest {
            net_name: self
                .string(Attribute::NetName)?
                .ok_or(DecodeError::Missing(Attribute::NetName))?
                .into(),
            share_name: self.string(Attribute::ShareName)?.map(Into::into),
            ip_address: Some(address.address()),
            scope_id: address.scope_id(),
            net_name_notify: self.flag(Attribute::NetNameNotify),
            share_name_notify: self.flag(Attribute::ShareNameNotify),
            ip_notify: self.flag(Attribute::IpNotify),
        })
    }

    fn auth(&self) -> Result<KernelAuth, DecodeError> {
        if self.flag(Attribute::KrbAuth) {
            return Ok(KernelAuth::Kerberos);
        }
        let texts = (
            self.string(Attribute::UserName),
            self.string(Attribute::DomainName),
            self.string(Attribute::Password),
        );
        // What is wrong with these is told by the mount.
        let what = match &texts {
            (Err(DecodeError::NotUtf8(_)), ..) => "user name",
            (_, Err(DecodeError::NotUtf8(_)), _) => "domain",
            (.., Err(DecodeError::NotUtf8(_))) => "password",
            _ => {
                let (user, domain, password) = (texts.0?, texts.1?, texts.2?);
                return Ok(KernelAuth::Ntlm {
                    user: user.map(Into::into),
                    domain: domain.map(Into::into),
                    password: password.map(Secret::new),
                });
            }
        };
        Ok(KernelAuth::NotUtf8 { what })
    }
}

/// Reads what the kernel multicasts, from what follows the netlink header.
pub fn decode(payload: &[u8]) -> Result<KernelMessage, DecodeError> {
    let fields = Fields::new(payload)?;
    let id = || match fields.integer(Attribute::RegistrationId)? {
        id if MountKind::of(id) == MountKind::Kernel => Ok(id),
        id => Err(DecodeError::Value(Attribute::RegistrationId, id)),
    };
    match Command::from(fields.command) {
        Command::Register => Ok(KernelMessage::Register {
            id: id()?,
            request: fields.request()?,
            auth: fields.auth()?,
        }),
        Command::Unregister => Ok(KernelMessage::Unregister { id: id()? }),
        _ => Err(DecodeError::Command(fields.command)),
    }
}

/// Writes `SWN_NOTIFY` for the family with the id `family`, asking for the
/// kernel's answer, in place of what `bytes` holds. `scope_id` is the link of the mount's
/// address, where it is good on one link only.
pub fn encode_notify(
    bytes: &mut Vec<u8>,
    family: u16,
    sequence: u32,
    id: u32,
    notification: &Notification,
    scope_id: u32,
) -> Result<(), EncodeError> {
    let flags = NlmF::REQUEST | NlmF::ACK;
    let mut message = MessageWriter::new(bytes, family, flags, sequence, Command::Notify);
    message.attribute(Attribute::RegistrationId, &id.to_ne_bytes())?;
    let (kind, to): (u32, _) = match notification {
        Notification::ResourceChange { .. } => (1, None),
        Notification::ClientMove { address } => (2, Some(address)),
        Notification::ShareMove { address } => (3, Some(address)),
        Notification::IpChange { address } => (4, Some(address)),
    };
    message.attribute(Attribute::NotificationType, &kind.to_ne_bytes())?;
    if let Some(address) = to {
        message.attribute(Attribute::Ip, &encode_address(ScopedAddr::new(*address, scope_id)))?;
    }
    if let Notification::ResourceChange { name, state } = notification {
        message.text(Attribute::ResourceName, cut(name, RESOURCE_NAME_MAX))?;
        message.attribute(Attribute::ResourceState, &u32::from(state.code()).to_ne_bytes())?;
    }
    message.finish()
}

/// An address as a `struct sockaddr_storage`. The port stays zero: the kernel
/// puts in the port of the mount.
pub fn encode_address(address: ScopedAddr) -> [u8; SOCKADDR_STORAGE] {
    let mut storage = [0; SOCKADDR_STORAGE];
    let mut put = |offset: usize, bytes: &[u8]| {
        for (to, from) in storage.iter_mut().skip(offset).zip(bytes) {
            *to = *from;
        }
    };
    match address.address() {
        IpAddr::V4(v4) => {
            put(0, &AF_INET.to_ne_bytes());
            put(4, &v4.octets());
        }
        IpAddr::V6(v6) => {
            put(0, &AF_INET6.to_ne_bytes());
            put(8, &v6.octets());
            put(24, &address.scope_id().to_ne_bytes());
        }
    }
    storage
}

fn decode_address(storage: &[u8; SOCKADDR_STORAGE]) -> Result<ScopedAddr, DecodeError> {
    let [f0, f1, _, _, a, b, c, d, rest @ ..] = storage;
    match u16::from_ne_bytes([*f0, *f1]) {
        AF_INET => Ok(IpAddr::from([*a, *b, *c, *d]).into()),
        AF_INET6 => {
            let read = rest.split_first_chunk::<16>().and_then(|(octets, rest)| {
                let scope_id = u32::from_ne_bytes(*rest.first_chunk()?);
                Some(ScopedAddr::new(Ipv6Addr::from(*octets).into(), scope_id))
            });
            read.ok_or(DecodeError::AddressFamily(AF_INET6))
        }
        other => Err(DecodeError::AddressFamily(other)),
    }
}

/// `AF_INET` and `AF_INET6` in the width of `sa_family_t`.
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// The longest beginning of `text` that fits `max` bytes.
fn cut(text: &str, max: usize) -> &str {
    (0..=max.min(text.len())).rev().find_map(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
