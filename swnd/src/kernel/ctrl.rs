//! The controller `nlctrl`: which families there are, under which numbers.

use super::wire::{Attributes, BadLength, EncodeError, Generic, MessageWriter};
use neli::consts::genl::{CtrlAttr, CtrlAttrMcastGrp, CtrlCmd};
use neli::consts::nl::{GenlId, NlmF};

/// The controller's own name.
pub const NAME: &str = "nlctrl";
/// The controller's group that announces families.
pub const NOTIFY_GROUP: &str = "notify";

/// The controller's family id, the one that never changes.
pub fn id() -> u16 {
    GenlId::Ctrl.into()
}

/// A family as the controller describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// Its id: the type of its messages.
    pub id: u16,
    /// Its name.
    pub name: String,
    /// Its multicast groups, by name.
    pub groups: Vec<(String, u32)>,
}

impl Family {
    /// The number of a multicast group.
    pub fn group(&self, name: &str) -> Option<u32> {
        self.groups.iter().find_map(|(candidate, id)| (candidate == name).then_some(*id))
    }
}

/// What the controller tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControllerMessage {
    /// The family exists: an answer, or news.
    Exists(Family),
    /// The family is gone.
    Gone(String),
    /// Something this daemon has no use for.
    Other,
}

/// Reads a message of the controller.
pub fn decode(payload: &[u8]) -> Result<ControllerMessage, BadLength> {
    let generic = Generic::new(payload)?;
    let command = CtrlCmd::from(generic.command);
    let mut family = Family { id: 0, name: String::new(), groups: Vec::new() };
    for attribute in generic.attributes {
        let attribute = attribute?;
        match CtrlAttr::from(attribute.kind) {
            CtrlAttr::FamilyId => family.id = integer(attribute.payload).unwrap_or_default(),
            CtrlAttr::FamilyName => family.name = string(attribute.payload),
            CtrlAttr::McastGroups => {
                for group in Attributes::new(attribute.payload) {
                    family.groups.extend(decode_group(group?.payload)?);
                }
            }
            _ => {}
        }
    }
    Ok(match command {
        CtrlCmd::Newfamily if family.id != 0 => ControllerMessage::Exists(family),
        CtrlCmd::Delfamily => ControllerMessage::Gone(family.name),
        _ => ControllerMessage::Other,
    })
}

fn decode_group(bytes: &[u8]) -> Result<Option<(String, u32)>, BadLength> {
    let (mut name, mut id) = (None, None);
    for attribute in Attributes::new(bytes) {
        let attribute = attribute?;
        match CtrlAttrMcastGrp::from(attribute.kind) {
            CtrlAttrMcastGrp::Name => name = Some(string(attribute.payload)),
            CtrlAttrMcastGrp::Id => {
                id = attribute.payload.try_into().ok().map(u32::from_ne_bytes);
            }
            _ => {}
        }
    }
    Ok(name.zip(id))
}

fn integer(payload: &[u8]) -> Option<u16> {
    payload.try_into().ok().map(u16::from_ne_bytes)
}

/// Returns the name of a family or a group. Those are ASCII; anything else matches
/// none.
pub fn string(payload: &[u8]) -> String {
    let end = payload.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(payload.get(..end.unwrap_or(payload.len())).unwrap_or(&[])).into()
}

/// Asks for a family by its name. The kernel answers with the family, or with
/// `ENOENT`.
pub fn lookup(name: &str, sequence: u32) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::new();
    let mut message =
        MessageWriter::new(&mut bytes, id(), NlmF::REQUEST, sequence, CtrlCmd::Getfamily);
    message.text(CtrlAttr::FamilyName, name)?;
    message.finish()?;
    Ok(bytes)
}
