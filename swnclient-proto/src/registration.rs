//! One registration: what was asked for, and where its life stands.

use super::allowance::Allowance;
use super::backoff::Backoff;
use super::interning::SharedCredentials;
use super::link::LinkId;
use super::overlap::{Overlap, Told};
use crate::wire::{Interface, Version};
use crate::{Error, Notification, RegistrationRequest, ResourceState};
use dcerpc_proto::association::CallId;
use dcerpc_proto::ndr::ContextHandle;
use smol_str::SmolStr;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// Where a registration's life stands ([MS-SWN] 3.2.4). Changed in
/// [`Client`](super::Client) only.
#[derive(Debug)]
pub(super) enum State {
    /// Waits for the addresses of its net name.
    Resolving,
    /// Waits for the interface list of the node that serves the share.
    Listing { link: LinkId },
    /// Waits for a witness to accept it.
    Registering(Attempt),
    /// Registered.
    Registered(Registered),
    /// Waits for its deadline, or without one for the consumer, to try (again).
    Waiting,
    /// Waits for the witness to let it go.
    Unregistering(Unregistering),
}

/// An attempt to register at one witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) link: LinkId,
    /// The call and its version. `None` until the link is ready.
    pub(super) call: Option<(CallId, Version)>,
}

impl Attempt {
    /// An attempt whose call has not been made yet.
    pub(super) fn at(link: LinkId) -> Self {
        Self { link, call: None }
    }
}

/// A registration that a witness has accepted.
#[derive(Debug)]
pub(super) struct Registered {
    pub(super) link: LinkId,
    pub(super) handle: ContextHandle,
    pub(super) version: Version,
    /// When the witness accepted it.
    pub(super) since: Instant,
    /// The pending AsyncNotify and since when it pends; `None` for a moment
    /// where the witness answers too fast to be asked again at once, and while
    /// the previous registration is still asked.
    pub(super) notify: Option<(CallId, Instant)>,
    pub(super) missed: Missed,
    /// The registration that it takes over from.
    pub(super) overlap: Option<Box<Overlap>>,
}

impl Registered {
    pub(super) fn new(
        link: LinkId,
        handle: ContextHandle,
        version: Version,
        since: Instant,
        missed: Missed,
    ) -> Self {
        Self { link, handle, version, since, notify: None, missed, overlap: None }
    }

    /// The previous registration, while it is still asked.
    pub(super) fn previous(&self) -> Option<&Self> {
        self.overlap.as_ref()?.previous.as_ref()
    }

    /// The previous registration, while it is still asked.
    pub(super) fn previous_mut(&mut self) -> Option<&mut Self> {
        self.overlap.as_mut()?.previous.as_mut()
    }

    /// Returns what is new of the changes that its witness tells.
    fn news(
        &mut self,
        mut changes: Vec<(SmolStr, ResourceState)>,
    ) -> Vec<(SmolStr, ResourceState)> {
        if let Some(&(_, first)) = changes.first() {
            if matches!(self.missed, Missed::Told(state) if state == first) {
                changes.remove(0);
            }
            self.missed = Missed::Settled;
        }
        changes
    }
}

/// What is found out of a change that came while nobody watched. The witness
/// is asked for its list after it has registered, so that no change falls
/// between: whatever comes later is in its queue ([MS-SWN] 3.1.4.4). What comes
/// between the two is in both.
#[derive(Debug)]
pub(super) enum Missed {
    /// Waits for the list.
    Listing,
    /// The list could not be had and is asked for again.
    Due,
    /// The consumer was told this state from the list. Where that is also the
    /// first that the witness tells, it is the same change: a state does not
    /// change to what it is.
    Told(ResourceState),
    /// The list had nothing new; or the witness has told a change itself, and
    /// tells all that follow.
    Settled,
}

/// Selects the witness again and registers there, while the registration that
/// the consumer has stays in force.
#[derive(Debug, Default)]
pub(super) enum Reselection {
    #[default]
    NotDue,
    /// Waits for its time.
    Due,
    /// Waits for the list of the node that serves the share.
    Listing(LinkId),
    /// Waits for a witness to accept it.
    Registering(Attempt),
}

impl Reselection {
    /// The link that it depends on now.
    pub(super) fn link(&self) -> Option<LinkId> {
        match self {
            Self::Listing(link) | Self::Registering(Attempt { link, .. }) => Some(*link),
            Self::NotDue | Self::Due => None,
        }
    }
}

/// Why the witness is selected again, and how that goes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reselect {
    /// The address has moved: the registration is made again even where the
    /// witness stays the same, since a witness may drop what was registered
    /// before (Samba does so after five seconds).
    pub(super) moved: bool,
    /// It has moved once more since the list was asked for.
    pub(super) again: bool,
    /// How often it failed since.
    pub(super) failures: u8,
}

/// A registration that is being taken back.
#[derive(Debug)]
pub(super) struct Unregistering {
    pub(super) link: LinkId,
    /// The Register call whose response decides whether there is something to
    /// take back.
    pub(super) register: Option<CallId>,
    /// The AsyncNotify that pends still.
    pub(super) notify: Option<CallId>,
}

/// One registration.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) request: RegistrationRequest,
    pub(super) credentials: SharedCredentials,
    pub(super) state: State,
    pub(super) reselection: Reselection,
    /// How the next reselection, or the one under way, treats a witness that
    /// can stay.
    pub(super) reselect: Reselect,
    /// What the consumer was told since the call of a reselection was made: the
    /// registration that it makes may tell it again.
    pub(super) told: Told,
    /// The node that serves the share: as asked for, or as resolved.
    pub(super) served_by: Option<IpAddr>,
    /// Further addresses of the net name, the next one last.
    pub(super) seeds: Vec<IpAddr>,
    /// The interface list of the node that serves the share; shared by all
    /// registrations that have the same.
    pub(super) interfaces: Arc<[Interface]>,
    /// The last list that was got, of whichever node.
    pub(super) last_list: Arc<[Interface]>,
    /// The witnesses to try in this round, the next one last.
    pub(super) candidates: Vec<IpAddr>,
    /// Whether `candidates` come from a list that was got in this round.
    pub(super) fresh_list: bool,
    pub(super) backoff: Backoff,
    /// The pace of registering again while registrations don't last.
    pub(super) losses: Backoff,
    /// The pace of selecting the witness again.
    pub(super) reselections: Backoff,
    pub(super) last_attempt: Option<Instant>,
    /// The pace of asking witnesses that have news each time.
    pub(super) asking: Allowance,
    /// The last state of `served_by` that the consumer can know of.
    pub(super) known_state: Option<ResourceState>,
    /// Whether a witness has accepted it before: a change may have been missed
    /// since.
    pub(super) was_registered: bool,
    /// Why the last witness of this round failed.
    pub(super) last_error: Option<Error>,
    /// Witnesses have not known the net name, so its first label is tried, or in force.
    pub(super) by_first_label: bool,
}

impl Registration {
    pub(super) fn new(request: RegistrationRequest, credentials: SharedCredentials) -> Self {
        Self {
            served_by: request.ip_address,
            request,
            credentials,
            state: State::Waiting,
            reselection: Reselection::NotDue,
            reselect: Reselect::default(),
            told: Told::default(),
            seeds: Vec::new(),
            interfaces: Arc::new([]),
            last_list: Arc::new([]),
            candidates: Vec::new(),
            fresh_list: false,
            backoff: Backoff::default(),
            losses: Backoff::default(),
            reselections: Backoff::default(),
            last_attempt: None,
            asking: Allowance::default(),
            known_state: None,
            was_registered: false,
            last_error: None,
            by_first_label: false,
        }
    }

    /// The net name for a witness.
    pub(super) fn net_name(&self) -> SmolStr {
        match self.request.net_name.split_once('.') {
            Some((label, _)) if self.by_first_label => label.into(),
            _ => self.request.net_name.clone(),
        }
    }

    /// Has the other form of the net name tried, where there is one and it is its turn:
    /// after the name as mounted its first label, after which the next witness has its.
    pub(super) fn next_name(&mut self) -> bool {
        let has_two = self.request.net_name.contains('.');
        self.by_first_label = has_two && !self.by_first_label;
        self.by_first_label
    }

    /// Returns what is new of the changes that a witness tells: its own, or
    /// with `previous` the one that it takes over from.
    pub(super) fn news(
        &mut self,
        previous: bool,
        changes: Vec<(SmolStr, ResourceState)>,
    ) -> Vec<(SmolStr, ResourceState)> {
        let State::Registered(registered) = &mut self.state else {
            return changes;
        };
        if !previous {
            return registered.news(changes);
        }
        if !changes.is_empty() {
            // A list may be older than this.
            registered.missed = Missed::Settled;
        }
        match registered.previous_mut() {
            Some(previous) => previous.news(changes),
            None => changes,
        }
    }

    /// Whether the witness in force tells again what the one before has told.
    pub(super) fn is_copy(&mut self, notification: &Notification, now: Instant) -> bool {
        let State::Registered(registered) = &mut self.state else {
            return false;
        };
        match &mut registered.overlap {
            Some(overlap) if now <= overlap.until => overlap.told.is_copy(notification),
            _ => {
                registered.overlap = None;
                false
            }
        }
    }

    /// The attempt that is under way.
    pub(super) fn attempt(&self) -> Option<&Attempt> {
        match (&self.state, &self.reselection) {
            (State::Registering(attempt), _) | (_, Reselection::Registering(attempt)) => {
                Some(attempt)
            }
            _ => None,
        }
    }

    /// The attempt that is under way.
    pub(super) fn attempt_mut(&mut self) -> Option<&mut Attempt> {
        match (&mut self.state, &mut self.reselection) {
            (State::Registering(attempt), _) | (_, Reselection::Registering(attempt)) => {
                Some(attempt)
            }
            _ => None,
        }
    }

    /// The link that its state depends on now.
    pub(super) fn link(&self) -> Option<LinkId> {
        match &self.state {
            State::Listing { link } | State::Registering(Attempt { link, .. }) => Some(*link),
            State::Registered(Registered { link, .. })
            | State::Unregistering(Unregistering { link, .. }) => Some(*link),
            State::Resolving | State::Waiting => None,
        }
    }

    /// The previous registration, while it is still asked.
    pub(super) fn previous(&self) -> Option<&Registered> {
        match &self.state {
            State::Registered(registered) => registered.previous(),
            _ => None,
        }
    }

    /// Whether it depends on a link for more than a list of what was missed.
    pub(super) fn depends_on(&self, link: LinkId) -> bool {
        self.link() == Some(link)
            || self.reselection.link() == Some(link)
            || self.previous().is_some_and(|previous| previous.link == link)
    }

    /// Whether a call by that link that makes or ends a registration has
    /// somebody who waits for it.
    pub(super) fn awaits(&self, link: LinkId) -> bool {
        let ends = matches!(&self.state, State::Unregistering(ending) if ending.link == link);
        ends || self.attempt().is_some_and(|attempt| attempt.link == link)
    }
}
