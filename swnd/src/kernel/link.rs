//! The link to the kernel's family `cifs`: finds it, follows it through module
//! loads and unloads, takes its messages and gives it notifications.

use super::ctrl::{self, ControllerMessage, Family};
use super::message::{self, DecodeError, KernelMessage};
use super::pending::{PendingRequests, Request};
use super::wire::{self, BadLength, EncodeError, Message, Messages};
use neli::consts::nl::Nlmsg;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::sync::Arc;
use swnclient::Notification;
use zeroize::{Zeroize, Zeroizing};

/// More than the kernel puts into one datagram (`NLMSG_DEFAULT_SIZE`, or 32 KiB
/// for a dump).
pub const DATAGRAM_MAX: usize = 32 << 10;

/// A received datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram {
    /// Its length in bytes, which can exceed the buffer's.
    pub length: usize,
    /// The sender's port id; 0 is the kernel. `None`: not a netlink address.
    pub sender: Option<u32>,
}

/// What carries the link's messages: a netlink socket, or a stand-in kernel.
pub trait Transport: Send + Sync + 'static {
    /// Waits until something may have arrived since the last call. The caller
    /// then receives until nothing is left.
    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send;

    /// Takes one datagram, or fails with `WouldBlock`.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<Datagram>;

    /// Sends one message to the kernel, which has acted on it when this returns.
    fn send(&self, message: &[u8]) -> io::Result<()>;

    /// Joins a multicast group.
    fn join(&self, group: u32) -> io::Result<()>;
}

/// What the link tells the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent<K> {
    /// The family is there and its group joined: mounts will be heard of.
    Up,
    /// The family is not there (yet, or any more), nor is any registration.
    Down,
    /// The kernel asks for something.
    Message(KernelMessage),
    /// The kernel sent what this daemon cannot use.
    Undecodable(DecodeError),
    /// The kernel answers a notification.
    Answer(KernelAnswer<K>),
    /// Messages were lost for want of room. The kernel repeats each register
    /// message at the next echo.
    Overrun,
    /// A process that is not the kernel sent something, which was dropped.
    Foreign(Option<u32>),
}

/// The kernel's answer to a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelAnswer<K> {
    /// The token that was given with it.
    pub token: K,
    /// The errno it was refused with; `EINVAL` when the number stands for nothing.
    pub result: Result<(), Errno>,
}

/// A notification on its way to the kernel.
#[derive(Debug)]
pub struct Prepared {
    sequence: u32,
    message: Vec<u8>,
}

impl Prepared {
    /// Sends it. The kernel has acted on it when this returns, which can take
    /// seconds where it waits for the lock of a connection.
    pub fn send(&self, transport: &impl Transport) -> Result<(), NotifyError> {
        Ok(transport.send(&self.message)?)
    }
}

/// Why the link cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Neither listening nor notifying is possible.
    #[error(
        "CAP_NET_ADMIN is missing, without which the kernel tells nothing about mounts; \
         run swnd as root or from its service unit"
    )]
    NotPermitted,
    /// The family lacks its group.
    #[error(
        "the kernel's family {} has no group {}: this kernel lacks CONFIG_CIFS_SWN_UPCALL",
        message::FAMILY,
        message::GROUP
    )]
    NoGroup,
    /// The socket failed.
    #[error("netlink: {0}")]
    Io(#[from] io::Error),
    /// A request could not be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Why a notification did not go to the kernel.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The family is gone, and the mount with it.
    #[error("the cifs module is gone")]
    Down,
    /// The socket failed.
    #[error("netlink: {0}")]
    Io(#[from] io::Error),
    /// The message could not be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// The link. `K` is a token that is given with each notification and comes back
/// with the kernel's answer.
///
/// It neither waits nor takes locks. When the [transport](Link::transport) is
/// readable, call [`Link::receive`], then [`Link::poll_event`] until it returns
/// `None`.
pub struct Link<T, K> {
    transport: Arc<T>,
    name: String,
    /// The family's id while the link is up.
    family: Option<u16>,
    /// Whether the controller's group is joined.
    listening: bool,
    /// Whether the daemon has been told about `family`.
    announced: bool,
    sequence: u32,
    pending: PendingRequests<K>,
    events: VecDeque<Result<LinkEvent<K>, LinkError>>,
    buffer: Zeroizing<Vec<u8>>,
    /// The last notification that was sent: room for the next one.
    message: Vec<u8>,
}

impl<T: Transport, K> Link<T, K> {
    /// Starts to look for the family `cifs`.
    pub fn open(transport: T) -> Result<Self, LinkError> {
        Self::open_for(transport, message::FAMILY)
    }

    /// Starts to look for a family by another name.
    pub(crate) fn open_for(transport: T, name: &str) -> Result<Self, LinkError> {
        let mut link = Self {
            transport: Arc::new(transport),
            name: name.into(),
            family: None,
            listening: false,
            announced: false,
            sequence: 0,
            pending: PendingRequests::default(),
            events: VecDeque::new(),
            buffer: Zeroizing::new(vec![0; DATAGRAM_MAX]),
            message: Vec::new(),
        };
        // The controller's group first, then the family: in this order its
        // appearance cannot fall between the question and the listening.
        link.look_up(Request::Controller)?;
        Ok(link)
    }

    /// Returns the transport, to wait for and to send by without the link.
    pub fn transport(&self) -> &Arc<T> {
        &self.transport
    }

    /// Receives all that has arrived.
    pub fn receive(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        if let Err(error) = self.receive_all(&mut buffer) {
            self.events.push_back(Err(error));
        }
        self.buffer = buffer;
    }

    /// Returns the next event of what was received; an error is the last one.
    pub fn poll_event(&mut self) -> Option<Result<LinkEvent<K>, LinkError>> {
        self.events.pop_front()
    }

    /// Gives the kernel a notification for its registration `id`, whose mount's address is on
    /// the link `scope_id`, where it is good on one only. The kernel has
    /// acted on it when this returns, which can take seconds where it waits for the
    /// lock of a connection; its answer follows as an event, with the token.
    pub fn notify(
        &mut self,
        id: u32,
        notification: &Notification,
        scope_id: u32,
        token: K,
    ) -> Result<(), NotifyError> {
        let sequence = self.encode(id, notification, scope_id)?;
        self.transport.send(&self.message)?;
        self.pending.push(sequence, Request::Notification(token));
        Ok(())
    }

    /// Prepares a notification for [`Prepared::send`], which can then wait in a
    /// thread of its own: nothing else waits for it.
    pub fn prepare(
        &mut self,
        id: u32,
        notification: &Notification,
        scope_id: u32,
        token: K,
    ) -> Result<Prepared, NotifyError> {
        let sequence = self.encode(id, notification, scope_id)?;
        // The answer may be there before the call returns.
        self.pending.push(sequence, Request::Notification(token));
        Ok(Prepared { sequence, message: std::mem::take(&mut self.message) })
    }

    /// Forgets a notification that could not be sent: no answer will come.
    pub fn not_sent(&mut self, prepared: &Prepared) {
        self.pending.remove(prepared.sequence);
    }

    /// Encodes a notification into `message`; returns its sequence number.
    fn encode(
        &mut self,
        id: u32,
        notification: &Notification,
        scope_id: u32,
    ) -> Result<u32, NotifyError> {
        let family = self.family.ok_or(NotifyError::Down)?;
        let sequence = self.next_sequence();
        message::encode_notify(&mut self.message, family, sequence, id, notification, scope_id)?;
        log::debug!("SWN_NOTIFY {}", Hex(&self.message));
        Ok(sequence)
    }

    /// Asks the controller for itself or for the family.
    fn look_up(&mut self, request: Request<K>) -> Result<(), LinkError> {
        let sequence = self.next_sequence();
        let name = match request {
            Request::Controller => ctrl::NAME,
            _ => self.name.as_str(),
        };
        let lookup = ctrl::lookup(name, sequence)?;
        self.pending.push(sequence, request);
        self.transport.send(&lookup)?;
        Ok(())
    }

    fn receive_all(&mut self, buffer: &mut [u8]) -> Result<(), LinkError> {
        let mut lost = false;
        loop {
            match self.transport.receive(buffer) {
                Ok(datagram) => {
                    let outcome = self.on_datagram(buffer, datagram);
                    // It may have held a password.
                    let used = datagram.length.min(buffer.len());
                    buffer.get_mut(..used).unwrap_or_default().zeroize();
                    outcome?;
                }
                Err(error) if is(&error, Errno::NOBUFS) => {
                    lost = true;
                    self.push(LinkEvent::Overrun);
                }
                // Not before there is room again for the answer.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && lost => {
                    lost = false;
                    self.resync()?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Asks again for what may be among the lost messages and is never repeated:
    /// that the module came or went. Answers that are not here by now are lost
    /// too, for the kernel answers while it is asked.
    fn resync(&mut self) -> Result<(), LinkError> {
        self.pending.clear();
        let again = if self.listening { Request::Family } else { Request::Controller };
        self.look_up(again)
    }

    fn on_datagram(&mut self, buffer: &[u8], datagram: Datagram) -> Result<(), LinkError> {
        if datagram.sender != Some(0) {
            self.push(LinkEvent::Foreign(datagram.sender));
            return Ok(());
        }
        let Some(bytes) = buffer.get(..datagram.length) else {
            self.undecodable(BadLength {
                part: "datagram",
                length: datagram.length,
                room: buffer.len(),
            });
            return Ok(());
        };
        for message in Messages::new(bytes) {
            match message {
                Ok(message) => self.on_message(&message)?,
                Err(error) => self.undecodable(error),
            }
        }
        Ok(())
    }

    fn on_message(&mut self, message: &Message<'_>) -> Result<(), LinkError> {
        if message.kind == u16::from(Nlmsg::Error) {
            self.on_answer(message)
        } else if message.kind == ctrl::id() {
            match ctrl::decode(message.payload) {
                Ok(told) => self.on_controller(message.sequence, told),
                Err(error) => {
                    self.undecodable(error);
                    Ok(())
                }
            }
        } else if Some(message.kind) == self.family {
            match message::decode(message.payload) {
                Ok(message) => self.push(LinkEvent::Message(message)),
                Err(error) => self.push(LinkEvent::Undecodable(error)),
            }
            Ok(())
        } else {
            Ok(())
        }
    }

    /// An acknowledgement, or an error.
    fn on_answer(&mut self, message: &Message<'_>) -> Result<(), LinkError> {
        let Some(result) = wire::answer(message.payload) else {
            self.push(LinkEvent::Undecodable(DecodeError::Answer));
            return Ok(());
        };
        match self.pending.remove(message.sequence) {
            Some(Request::Notification(token)) => {
                self.push(LinkEvent::Answer(KernelAnswer { token, result }));
            }
            Some(Request::Family) if result == Err(Errno::NOENT) => self.down(),
            Some(Request::Family | Request::Controller) => {
                if let Err(errno) = result {
                    return Err(io::Error::from(errno).into());
                }
            }
            None => {}
        }
        Ok(())
    }

    /// The controller's word on a family: an answer, or by itself.
    fn on_controller(
        &mut self,
        sequence: u32,
        message: ControllerMessage,
    ) -> Result<(), LinkError> {
        match message {
            ControllerMessage::Exists(family) if family.name == self.name => {
                self.pending.remove(sequence);
                self.on_family(&family)
            }
            ControllerMessage::Exists(family) if family.name == ctrl::NAME => {
                if !matches!(self.pending.remove(sequence), Some(Request::Controller)) {
                    return Ok(());
                }
                if let Some(group) = family.group(ctrl::NOTIFY_GROUP) {
                    self.transport.join(group)?;
                    self.listening = true;
                }
                self.look_up(Request::Family)
            }
            ControllerMessage::Gone(name) if name == self.name => {
                self.down();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn on_family(&mut self, family: &Family) -> Result<(), LinkError> {
        let group = family.group(message::GROUP).ok_or(LinkError::NoGroup)?;
        // A membership ends with the family. Joining again does no harm.
        match self.transport.join(group) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(LinkError::NotPermitted);
            }
            // Gone again in the meantime; the controller says so in a moment.
            Err(error) if is(&error, Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if self.family != Some(family.id) {
            if self.family.is_some() {
                self.down();
            }
            self.family = Some(family.id);
            self.announced = true;
            self.push(LinkEvent::Up);
        }
        Ok(())
    }

    fn next_sequence(&mut self) -> u32 {
        // 0 is what the kernel puts into messages of its own accord.
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
        self.sequence
    }

    fn push(&mut self, event: LinkEvent<K>) {
        self.events.push_back(Ok(event));
    }

    fn undecodable(&mut self, error: BadLength) {
        self.push(LinkEvent::Undecodable(error.into()));
    }

    fn down(&mut self) {
        let was_up = self.family.take().is_some();
        if was_up || !self.announced {
            self.announced = true;
            self.push(LinkEvent::Down);
        }
    }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

impl<T, K> std::fmt::Debug for Link<T, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

/// Bytes as hexadecimal digits, as packet captures show them.
struct Hex<'a>(&'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
