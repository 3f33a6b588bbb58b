//! What the kernel writes and reads: the other direction of `swnd`'s
//! [`message`](swnd::kernel::message) and [`ctrl`], by the same writer and reader.

use neli::consts::genl::{CtrlAttr, CtrlAttrMcastGrp, CtrlCmd};
use neli::consts::nl::{NlmF, Nlmsg};
use swnclient::{Notification, RegistrationRequest, ResourceState, Secret};
use swnd::kernel::KernelAuth;
use swnd::kernel::ctrl::{self, Family};
use swnd::kernel::message::{Attribute, Command, DecodeError, Fields, encode_address};
use swnd::kernel::wire::{EncodeError, Generic, MessageWriter};

/// `sizeof(struct nlmsghdr)`.
const NLMSG_HEADER: usize = 16;
/// `sizeof(struct nlmsghdr)` and `sizeof(struct genlmsghdr)`.
const HEADERS: usize = NLMSG_HEADER + 4;

/// Encodes what the kernel multicasts: `SWN_REGISTER` with `auth`,
/// `SWN_UNREGISTER` without.
pub fn encode_registration(
    family: u16,
    id: u32,
    request: &RegistrationRequest,
    auth: Option<&KernelAuth>,
) -> Result<Vec<u8>, EncodeError> {
    let command = match auth {
        Some(_) => Command::Register,
        None => Command::Unregister,
    };
    let mut bytes = Vec::new();
    let mut message = MessageWriter::new(&mut bytes, family, NlmF::empty(), 0, command);
    message.attribute(Attribute::RegistrationId, &id.to_ne_bytes())?;
    message.text(Attribute::NetName, &request.net_name)?;
    if let Some(share) = &request.share_name {
        message.text(Attribute::ShareName, share)?;
    }
    if let Some(address) = request.ip_address {
        message.attribute(Attribute::Ip, &encode_address(request.scoped(address)))?;
    }
    for (flag, attribute) in [
        (request.net_name_notify, Attribute::NetNameNotify),
        (request.share_name_notify, Attribute::ShareNameNotify),
        (request.ip_notify, Attribute::IpNotify),
    ] {
        if flag {
            message.attribute(attribute, &[])?;
        }
    }
    match auth {
        Some(KernelAuth::Kerberos) => message.attribute(Attribute::KrbAuth, &[])?,
        Some(KernelAuth::Ntlm { user, domain, password }) => {
            let password = password.as_ref().map(Secret::expose);
            for (attribute, text) in [
                (Attribute::UserName, user.as_deref()),
                (Attribute::Password, password),
                (Attribute::DomainName, domain.as_deref()),
            ] {
                if let Some(text) = text {
                    message.text(attribute, text)?;
                }
            }
        }
        Some(KernelAuth::NotUtf8 { what }) => {
            let attribute = match *what {
                "user name" => Attribute::UserName,
                "domain" => Attribute::DomainName,
                _ => Attribute::Password,
            };
            // An ü of ISO 8859-1.
            message.attribute(attribute, b"f\xfcnf\0")?;
        }
        None => {}
    }
    message.finish()?;
    Ok(bytes)
}

/// Decodes `SWN_NOTIFY`: the registration's number and the notification.
pub fn decode_notify(payload: &[u8]) -> Result<(u32, Notification), DecodeError> {
    let fields = Fields::new(payload)?;
    if Command::from(fields.command()) != Command::Notify {
        return Err(DecodeError::Command(fields.command()));
    }
    let notification = match fields.integer(Attribute::NotificationType)? {
        1 => Notification::ResourceChange {
            name: fields
                .string(Attribute::ResourceName)?
                .ok_or(DecodeError::Missing(Attribute::ResourceName))?
                .into(),
            state: {
                let code = fields.integer(Attribute::ResourceState)?;
                ResourceState::from_code(code)
                    .ok_or(DecodeError::Value(Attribute::ResourceState, code))?
            },
        },
        2 => Notification::ClientMove { address: fields.address()?.address() },
        3 => Notification::ShareMove { address: fields.address()?.address() },
        4 => Notification::IpChange { address: fields.address()?.address() },
        other => return Err(DecodeError::Value(Attribute::NotificationType, other)),
    };
    Ok((fields.integer(Attribute::RegistrationId)?, notification))
}

/// Decodes the link of the address in a `SWN_NOTIFY`; 0 where there is none.
pub fn decode_scope_id(payload: &[u8]) -> u32 {
    let address = Fields::new(payload).and_then(|fields| fields.address());
    address.map_or(0, |address| address.scope_id())
}

/// Decodes the name in a [`ctrl::lookup`].
pub fn decode_lookup(payload: &[u8]) -> Option<String> {
    let generic = Generic::new(payload).ok()?;
    (CtrlCmd::from(generic.command) == CtrlCmd::Getfamily).then_some(())?;
    generic
        .attributes
        .flatten()
        .find(|attribute| CtrlAttr::from(attribute.kind) == CtrlAttr::FamilyName)
        .map(|attribute| ctrl::string(attribute.payload))
}

/// Encodes the controller's description of a family, or its announcement that the
/// family is gone.
pub fn encode_family(
    command: CtrlCmd,
    family: &Family,
    sequence: u32,
) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::new();
    let mut message = MessageWriter::new(&mut bytes, ctrl::id(), NlmF::empty(), sequence, command);
    message.text(CtrlAttr::FamilyName, &family.name)?;
    message.attribute(CtrlAttr::FamilyId, &family.id.to_ne_bytes())?;
    if command == CtrlCmd::Newfamily {
        let groups = attributes(|groups| {
            for (index, (name, id)) in (1u16..).zip(&family.groups) {
                let group = attributes(|group| {
                    group.attribute(CtrlAttrMcastGrp::Id, &id.to_ne_bytes())?;
                    group.text(CtrlAttrMcastGrp::Name, name)
                })?;
                groups.attribute(index, &group)?;
            }
            Ok(())
        })?;
        message.attribute(CtrlAttr::McastGroups, &groups)?;
    }
    message.finish()?;
    Ok(bytes)
}

/// Returns the attributes that `write` adds, as the payload of the one they are in.
fn attributes(
    write: impl FnOnce(&mut MessageWriter<'_>) -> Result<(), EncodeError>,
) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::new();
    write(&mut MessageWriter::new(&mut bytes, 0, NlmF::empty(), 0, 0))?;
    bytes.drain(..HEADERS);
    Ok(bytes)
}

/// Encodes the kernel's answer to a message: 0 or a negative errno, and the
/// message's header again.
pub fn encode_answer(sequence: u32, code: i32) -> Vec<u8> {
    const LENGTH: u32 = 16 + 4 + 16;
    let kind: u16 = Nlmsg::Error.into();
    let mut bytes = Vec::new();
    bytes.extend(LENGTH.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(0u16.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend(0u32.to_ne_bytes());
    bytes.extend(code.to_ne_bytes());
    bytes.extend([0; NLMSG_HEADER]);
    bytes
}
