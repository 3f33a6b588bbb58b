//! One registration: what was asked for, and where its life stands.

use super::backoff::Backoff;
use super::interning::SharedCredentials;
use super::link::LinkId;
use crate::wire::{Interface, Version};
use crate::{Error, RegistrationRequest, ResourceState};
use dcerpc::association::CallId;
use dcerpc::ndr::ContextHandle;
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
    /// registrations that got it with the same call.
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
