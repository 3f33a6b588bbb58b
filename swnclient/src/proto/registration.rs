//! One registration: what was asked for, and where its life stands.

use super::backoff::Backoff;
use super::interning::SharedCredentials;
use super::link::LinkId;
use crate::wire::{Interface, Version};
use crate::{Error, RegistrationRequest, ResourceState};
use dcerpc::association::CallId;
use dcerpc::ndr::ContextHandle;
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
    /// Waits for a witness to accept it. Without a call, the link is not ready yet.
    Registering { link: LinkId, call: Option<(CallId, Version)> },
    /// Registered.
    Registered(Registered),
    /// Waits for its deadline, or without one for the consumer, to try (again).
    Waiting,
    /// Waits for the witness to let it go.
    Unregistering(Unregistering),
}

/// A registration that a witness has accepted.
#[derive(Debug)]
pub(super) struct Registered {
    pub(super) link: LinkId,
    pub(super) handle: ContextHandle,
    pub(super) version: Version,
    /// The pending AsyncNotify and since when it pends; `None` for a moment
    /// where the witness answers too fast to be asked again at once.
    pub(super) notify: Option<(CallId, Instant)>,
    /// When the answer to it is overdue, or when to ask again.
    pub(super) notify_due: Option<Instant>,
    pub(super) missed: Missed,
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
    Due(Instant),
    /// The consumer was told this state from the list. Where that is also the
    /// first that the witness tells, it is the same change: a state does not
    /// change to what it is.
    Told(ResourceState),
    /// The list had nothing new; or the witness has told a change itself, and
    /// tells all that follow.
    Settled,
}

/// Whether the witness is to be chosen anew, because the address of the share
/// has moved.
#[derive(Debug, Default)]
pub(super) enum Review {
    #[default]
    NotDue,
    Due(Instant),
    /// Waits for the list of the node that serves the share.
    Listing(LinkId),
}

/// A registration that is being taken back.
#[derive(Debug)]
pub(super) struct Unregistering {
    pub(super) link: LinkId,
    /// The AsyncNotify that pends still.
    pub(super) notify: Option<CallId>,
}

/// One registration.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) request: RegistrationRequest,
    pub(super) credentials: SharedCredentials,
    pub(super) state: State,
    pub(super) deadline: Option<Instant>,
    pub(super) review: Review,
    /// The node that serves the share: as asked for, or as resolved.
    pub(super) served_by: Option<IpAddr>,
    /// Further addresses of the net name, the next one last.
    pub(super) seeds: Vec<IpAddr>,
    /// The interface list of the node that serves the share; shared by all
    /// registrations that have the same.
    pub(super) interfaces: Arc<[Interface]>,
    /// The witnesses to try in this round, the next one last.
    pub(super) candidates: Vec<IpAddr>,
    /// Whether `candidates` come from a list that was got in this round.
    pub(super) fresh_list: bool,
    pub(super) backoff: Backoff,
    pub(super) last_attempt: Option<Instant>,
    /// The last state of `served_by` that the consumer can know of.
    pub(super) known_state: Option<ResourceState>,
    /// Whether a witness has accepted it before: a change may have been missed
    /// since.
    pub(super) was_registered: bool,
    /// Why the last witness of this round failed.
    pub(super) last_error: Option<Error>,
}

impl Registration {
    pub(super) fn new(request: RegistrationRequest, credentials: SharedCredentials) -> Self {
        Self {
            served_by: request.ip_address,
            request,
            credentials,
            state: State::Waiting,
            deadline: None,
            review: Review::NotDue,
            seeds: Vec::new(),
            interfaces: Arc::new([]),
            candidates: Vec::new(),
            fresh_list: false,
            backoff: Backoff::default(),
            last_attempt: None,
            known_state: None,
            was_registered: false,
            last_error: None,
        }
    }

    /// Whether the list that tells what was missed is due again.
    pub(super) fn misses_list(&self, now: Instant) -> bool {
        match self.state {
            State::Registered(Registered { missed: Missed::Due(at), .. }) => at <= now,
            _ => false,
        }
    }

    /// What is new of the changes that its witness tells.
    pub(super) fn news(
        &mut self,
        mut changes: Vec<(SmolStr, ResourceState)>,
    ) -> Vec<(SmolStr, ResourceState)> {
        if let (State::Registered(registered), Some(&(_, first))) =
            (&mut self.state, changes.first())
        {
            if matches!(registered.missed, Missed::Told(state) if state == first) {
                changes.remove(0);
            }
            registered.missed = Missed::Settled;
        }
        changes
    }

    /// The link it depends on now.
    pub(super) fn link(&self) -> Option<LinkId> {
        match &self.state {
            State::Listing { link } | State::Registering { link, .. } => Some(*link),
            State::Registered(Registered { link, .. })
            | State::Unregistering(Unregistering { link, .. }) => Some(*link),
            State::Resolving | State::Waiting => None,
        }
    }
}
