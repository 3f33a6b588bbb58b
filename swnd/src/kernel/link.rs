//! The link to the kernel's family `cifs`: finds it, follows it through module
//! loads and unloads, takes its messages and gives it notifications.

use super::ctrl::{self, ControllerMessage, Family};
use super::message::{self, DecodeError, KernelMessage};
use super::questions::{Asked, Questions};
use super::wire::{self, BadLength, EncodeError, Message, Messages};
use neli::consts::nl::Nlmsg;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use swnclient::{Notification, RegistrationId};
use tokio::sync::Notify;
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
pub enum LinkEvent {
    /// The family is there and its group joined: mounts will be heard of.
    Up,
    /// The family is not there (yet, or any more), nor is any registration.
    Down,
    /// The kernel asks for something.
    Message(KernelMessage),
    /// The kernel sent what this daemon cannot use.
    Undecodable(DecodeError),
    /// The kernel answers a notification.
    Answer(KernelAnswer),
    /// Messages were lost for want of room. The kernel repeats each register
    /// message at the next echo.
    Overrun,
    /// A process that is not the kernel sent something, which was dropped.
    Foreign(Option<u32>),
}

/// The kernel's answer to a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelAnswer {
    /// What it was sent for.
    pub target: NotifyTarget,
    /// What was sent.
    pub notification: Notification,
    /// The errno it was refused with; `EINVAL` when the number stands for nothing.
    pub result: Result<(), Errno>,
}

/// What a notification is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotifyTarget {
    /// The kernel's number.
    pub id: u32,
    /// The registration at the witness client. `None` while the mount has none.
    pub registration: Option<RegistrationId>,
}

/// A notification on its way to the kernel.
#[derive(Debug)]
pub struct Prepared {
    sequence: u32,
    message: Vec<u8>,
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
    /// A message that has arrived gives the number to something else.
    #[error("the kernel has given the number to another registration")]
    Superseded,
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

struct State {
    /// The family's id while the link is up.
    family: Option<u16>,
    /// Whether the controller's group is joined.
    listening: bool,
    /// Whether the daemon has been told about `family`.
    announced: bool,
    sequence: u32,
    asked: Questions,
    queue: VecDeque<Result<LinkEvent, LinkError>>,
    buffer: Zeroizing<Vec<u8>>,
    /// The last notification that was sent: room for the next one.
    message: Vec<u8>,
}

/// The link. Two users share it: the daemon's loop takes [`Link::next`], and
/// whoever has a notification gives it to [`Link::notify`].
pub struct Link<T> {
    transport: T,
    name: String,
    state: Mutex<State>,
    /// Something was queued by [`Link::drain`] outside the daemon's loop.
    queued: Notify,
}

impl<T: Transport> Link<T> {
    /// Starts to look for the family `cifs`.
    pub fn open(transport: T) -> Result<Self, LinkError> {
        Self::open_for(transport, message::FAMILY)
    }

    /// Starts to look for a family by another name.
    pub(crate) fn open_for(transport: T, name: &str) -> Result<Self, LinkError> {
        let link = Self {
            transport,
            name: name.into(),
            state: Mutex::new(State {
                family: None,
                listening: false,
                announced: false,
                sequence: 0,
                asked: Questions::default(),
                queue: VecDeque::new(),
                buffer: Zeroizing::new(vec![0; DATAGRAM_MAX]),
                message: Vec::new(),
            }),
            queued: Notify::new(),
        };
        // The controller's group first, then the family: in this order its
        // appearance cannot fall between the question and the listening.
        link.look_up(&mut link.state(), Asked::Controller)?;
        Ok(link)
    }

    /// The transport.
    pub fn transport(&self) -> &T {
        &self.transport
    }

    /// Waits for the next event. Cancelling loses nothing.
    pub async fn next(&self) -> Result<LinkEvent, LinkError> {
        loop {
            if let Some(event) = self.state().queue.pop_front() {
                return event;
            }
            tokio::select! {
                ready = self.transport.readable() => {
                    ready?;
                    self.drain();
                }
                () = self.queued.notified() => {}
            }
        }
    }

    /// Takes in all that has arrived, for [`Link::next`] to give out.
    fn drain(&self) {
        self.take_in(&mut self.state());
    }

    fn take_in(&self, state: &mut State) {
        let mut buffer = std::mem::take(&mut state.buffer);
        if let Err(error) = self.receive_all(state, &mut buffer) {
            state.queue.push_back(Err(error));
        }
        state.buffer = buffer;
        if !state.queue.is_empty() {
            self.queued.notify_one();
        }
    }

    /// Gives the kernel a notification for its registration `id`, unless a message
    /// that has arrived, and was not given out yet, is `superseding` it: the kernel
    /// may have given the number to another mount meanwhile. The kernel has acted on
    /// it when this returns, which can take seconds where it waits for the lock of a
    /// connection; its answer follows as an event.
    pub fn notify(
        &self,
        target: &NotifyTarget,
        notification: &Notification,
        superseding: impl FnMut(&LinkEvent) -> bool,
    ) -> Result<(), NotifyError> {
        let mut guard = self.state();
        let state = &mut *guard;
        let sequence = self.encode(state, target, notification, superseding)?;
        self.transport.send(&state.message)?;
        state.ask(sequence, target, notification);
        Ok(())
    }

    /// Prepares a notification for [`Link::send`], which can then wait in a thread of
    /// its own: nothing else waits for it.
    pub fn prepare(
        &self,
        target: &NotifyTarget,
        notification: &Notification,
        superseding: impl FnMut(&LinkEvent) -> bool,
    ) -> Result<Prepared, NotifyError> {
        let mut guard = self.state();
        let state = &mut *guard;
        let sequence = self.encode(state, target, notification, superseding)?;
        // The answer may be there before the call returns.
        state.ask(sequence, target, notification);
        Ok(Prepared { sequence, message: std::mem::take(&mut state.message) })
    }

    /// Sends what was prepared. The kernel has acted on it when this returns.
    pub fn send(&self, prepared: &Prepared) -> Result<(), NotifyError> {
        self.transport.send(&prepared.message).map_err(|error| {
            self.state().asked.answered(prepared.sequence);
            error.into()
        })
    }

    fn encode(
        &self,
        state: &mut State,
        target: &NotifyTarget,
        notification: &Notification,
        superseding: impl FnMut(&LinkEvent) -> bool,
    ) -> Result<u32, NotifyError> {
        self.take_in(state);
        if state.queue.iter().flatten().any(superseding) {
            return Err(NotifyError::Superseded);
        }
        let family = state.family.ok_or(NotifyError::Down)?;
        let sequence = state.next_sequence();
        message::encode_notify(&mut state.message, family, sequence, target.id, notification)?;
        log::debug!("SWN_NOTIFY {}", Hex(&state.message));
        Ok(sequence)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look_up(&self, state: &mut State, asked: Asked) -> Result<(), LinkError> {
        let name = match asked {
            Asked::Controller => ctrl::NAME,
            _ => self.name.as_str(),
        };
        let sequence = state.next_sequence();
        let question = ctrl::lookup(name, sequence)?;
        state.asked.ask(sequence, asked);
        self.transport.send(&question)?;
        Ok(())
    }

    fn receive_all(&self, state: &mut State, buffer: &mut [u8]) -> Result<(), LinkError> {
        let mut lost = false;
        loop {
            match self.transport.receive(buffer) {
                Ok(datagram) => {
                    let outcome = self.datagram(state, buffer, datagram);
                    // It may have held a password.
                    let used = datagram.length.min(buffer.len());
                    buffer.get_mut(..used).unwrap_or_default().zeroize();
                    outcome?;
                }
                Err(error) if is(&error, Errno::NOBUFS) => {
                    lost = true;
                    state.push(LinkEvent::Overrun);
                }
                // Not before there is room again for the answer.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && lost => {
                    lost = false;
                    self.make_good(state)?;
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
    fn make_good(&self, state: &mut State) -> Result<(), LinkError> {
        state.asked.give_up();
        let again = if state.listening { Asked::Family } else { Asked::Controller };
        self.look_up(state, again)
    }

    fn datagram(
        &self,
        state: &mut State,
        buffer: &[u8],
        datagram: Datagram,
    ) -> Result<(), LinkError> {
        if datagram.sender != Some(0) {
            state.push(LinkEvent::Foreign(datagram.sender));
            return Ok(());
        }
        let Some(bytes) = buffer.get(..datagram.length) else {
            state.undecodable(BadLength {
                part: "datagram",
                length: datagram.length,
                room: buffer.len(),
            });
            return Ok(());
        };
        for message in Messages::new(bytes) {
            match message {
                Ok(message) => self.message(state, &message)?,
                Err(error) => state.undecodable(error),
            }
        }
        Ok(())
    }

    fn message(&self, state: &mut State, message: &Message<'_>) -> Result<(), LinkError> {
        if message.kind == Nlmsg::Error.into() {
            self.answer(state, message)
        } else if message.kind == ctrl::id() {
            match ctrl::decode(message.payload) {
                Ok(news) => self.news(state, message.sequence, news),
                Err(error) => {
                    state.undecodable(error);
                    Ok(())
                }
            }
        } else if Some(message.kind) == state.family {
            match message::decode(message.payload) {
                Ok(message) => state.push(LinkEvent::Message(message)),
                Err(error) => state.push(LinkEvent::Undecodable(error)),
            }
            Ok(())
        } else {
            Ok(())
        }
    }

    /// An acknowledgement, or an error.
    fn answer(&self, state: &mut State, message: &Message<'_>) -> Result<(), LinkError> {
        let Some(result) = wire::answer(message.payload) else {
            state.push(LinkEvent::Undecodable(DecodeError::Answer));
            return Ok(());
        };
        match state.asked.answered(message.sequence) {
            Some(Asked::Notification { target, notification }) => {
                state.push(LinkEvent::Answer(KernelAnswer { target, notification, result }));
            }
            Some(Asked::Family) if result == Err(Errno::NOENT) => state.down(),
            Some(Asked::Family | Asked::Controller) => {
                if let Err(errno) = result {
                    return Err(io::Error::from(errno).into());
                }
            }
            None => {}
        }
        Ok(())
    }

    /// The controller's word on a family: an answer, or by itself.
    fn news(
        &self,
        state: &mut State,
        sequence: u32,
        news: ControllerMessage,
    ) -> Result<(), LinkError> {
        match news {
            ControllerMessage::Exists(family) if family.name == self.name => {
                state.asked.answered(sequence);
                self.up(state, &family)
            }
            ControllerMessage::Exists(family) if family.name == ctrl::NAME => {
                if !matches!(state.asked.answered(sequence), Some(Asked::Controller)) {
                    return Ok(());
                }
                if let Some(group) = family.group(ctrl::NOTIFY_GROUP) {
                    self.transport.join(group)?;
                    state.listening = true;
                }
                self.look_up(state, Asked::Family)
            }
            ControllerMessage::Gone(name) if name == self.name => {
                state.down();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn up(&self, state: &mut State, family: &Family) -> Result<(), LinkError> {
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
        if state.family != Some(family.id) {
            if state.family.is_some() {
                state.down();
            }
            state.family = Some(family.id);
            state.announced = true;
            state.push(LinkEvent::Up);
        }
        Ok(())
    }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

impl State {
    fn next_sequence(&mut self) -> u32 {
        // 0 is what the kernel puts into messages of its own accord.
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
        self.sequence
    }

    fn ask(&mut self, sequence: u32, target: &NotifyTarget, notification: &Notification) {
        let (target, notification) = (*target, notification.clone());
        self.asked.ask(sequence, Asked::Notification { target, notification });
    }

    fn push(&mut self, event: LinkEvent) {
        self.queue.push_back(Ok(event));
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

impl<T> std::fmt::Debug for Link<T> {
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
