//! One registration: what was asked for, and how far its life is. Its state is changed
//! here only.

use crate::allowance::Allowance;
use crate::backoff::Backoff;
use crate::interning::SharedCredentials;
use crate::link::LinkId;
use crate::overlap::Told;
use crate::search::Search;
use crate::wire::Version;
use crate::{Notification, RegistrationRequest, ResourceState};
use dcerpc_proto::association::CallId;
use dcerpc_proto::ndr::ContextHandle;
use smol_str::SmolStr;
use std::net::IpAddr;
use std::time::Instant;

/// How far the life of a registration is ([MS-SWN] 3.2.4).
///
/// ```text
///            no address          an address
///   register ───────▶ Resolving ──────────▶ Listing ─────▶ Registering ──▶ Registered
///                         │                   │ ▲ no list    │   ▲ │ next      │
///                         │ no address        │ └─ next node │   └─┘ witness   │ lost
///                         ▼                   ▼              ▼                 ▼
///                      Waiting ◀──────────────┴── none left ─┴──────────── Waiting
///                         │ its time has come: candidates of the old list, else a new one
///                         └────▶ Registering, Listing or Resolving
///
///   unregister: Registered, and Registering whose call is on its way ──▶ Unregistering,
///   which ends with the answer or in time; all else ends at once.
/// ```
///
/// In Listing (with the addresses of a name) and in Registering, several servers may be tried
/// at once, as long as they are silent: see `lifecycle/race.rs`.
///
/// While Registered, a reselection ([`Reselection`]) makes the next registration beside
/// it ([`Registration::take_over`]), and where that is lost at once, the one before is in
/// force again ([`Registration::fall_back`]).
#[derive(Debug)]
pub(crate) enum State {
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
pub(crate) struct Attempt {
    pub(crate) link: LinkId,
    /// The call and its version. `None` until the link is ready.
    pub(crate) call: Option<(CallId, Version)>,
}

impl Attempt {
    /// An attempt whose call has not been made yet.
    pub(crate) fn at(link: LinkId) -> Self {
        Self { link, call: None }
    }

    /// The version that it was asked for in, where that is this call.
    pub(crate) fn version_of(&self, link: LinkId, call: CallId) -> Option<Version> {
        let (asked, version) = self.call?;
        (self.link == link && asked == call).then_some(version)
    }
}

/// A registration that a witness has accepted.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) link: LinkId,
    pub(crate) handle: ContextHandle,
    pub(crate) version: Version,
    /// When the witness accepted it.
    pub(crate) since: Instant,
    /// The pending AsyncNotify and since when it pends; `None` for a moment
    /// where the witness answers too fast to be asked again at once, and while
    /// the previous registration is still asked.
    pub(crate) notify: Option<(CallId, Instant)>,
    pub(crate) missed: Missed,
    /// The registration that it takes over from.
    pub(crate) overlap: Option<Box<Overlap>>,
}

/// The registration before, for a moment: see `overlap.rs`.
#[derive(Debug)]
pub(crate) struct Overlap {
    /// The previous registration, until it is released.
    pub(crate) previous: Option<Registered>,
    /// When the list that the previous registration lacks was to be asked for
    /// again: then it is, where that one is in force again.
    pub(crate) catch_up: Option<Instant>,
    /// When the previous registration is released; after that, until when
    /// copies are passed over.
    pub(crate) until: Instant,
    /// What the previous one told that the new one may tell again.
    pub(crate) told: Told,
}

impl Registered {
    pub(crate) fn new(
        link: LinkId,
        handle: ContextHandle,
        version: Version,
        since: Instant,
        missed: Missed,
    ) -> Self {
        Self { link, handle, version, since, notify: None, missed, overlap: None }
    }

    /// The previous registration, while it is still asked.
    pub(crate) fn previous(&self) -> Option<&Self> {
        self.overlap.as_ref()?.previous.as_ref()
    }

    /// The previous registration, while it is still asked.
    pub(crate) fn previous_mut(&mut self) -> Option<&mut Self> {
        self.overlap.as_mut()?.previous.as_mut()
    }

    /// Whether this AsyncNotify is the one that pends.
    pub(crate) fn awaits(&self, link: LinkId, call: CallId) -> bool {
        self.link == link && self.notify.is_some_and(|(pending, _)| pending == call)
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

/// What is found out of a change that came while no witness watched. The witness
/// is asked for its list after it has registered, so that no change falls
/// between: whatever comes later is in its queue ([MS-SWN] 3.1.4.4). What comes
/// between the two is in both.
#[derive(Debug)]
pub(crate) enum Missed {
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
pub(crate) enum Reselection {
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
    pub(crate) fn link(&self) -> Option<LinkId> {
        match self {
            Self::Listing(link) | Self::Registering(Attempt { link, .. }) => Some(*link),
            Self::NotDue | Self::Due => None,
        }
    }
}

/// Why the witness is selected again, and how that goes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reselect {
    /// The address has moved: the registration is made again even where the
    /// witness stays the same, since a witness may drop what was registered
    /// before (Samba does so after five seconds).
    pub(crate) moved: bool,
    /// It has moved once more since the list was asked for.
    pub(crate) again: bool,
    /// How often it failed since.
    pub(crate) failures: u8,
    /// No other node than the one that serves the share has offered a witness, so that
    /// its own death would be told by none.
    pub(crate) is_alone: bool,
}

/// A registration that is being taken back.
#[derive(Debug)]
pub(crate) struct Unregistering {
    pub(crate) link: LinkId,
    /// UnRegister; or the Register call whose response decides whether there is
    /// something to take back.
    pub(crate) call: CallId,
    /// The AsyncNotify that pends still.
    pub(crate) notify: Option<CallId>,
}

impl Unregistering {
    /// Whether this is the call that its end waits for.
    pub(crate) fn is_by(&self, link: LinkId, call: CallId) -> bool {
        self.link == link && self.call == call
    }
}

/// How soon something is done again.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// After an attempt that failed.
    pub(crate) backoff: Backoff,
    /// After a loss: grows while registrations don't last.
    pub(crate) losses: Backoff,
    /// Selecting the witness again.
    pub(crate) reselections: Backoff,
    /// Asking witnesses that have news each time.
    pub(crate) asking: Allowance,
    /// When the last attempt began.
    pub(crate) last_attempt: Option<Instant>,
}

/// One registration.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) request: RegistrationRequest,
    pub(crate) credentials: SharedCredentials,
    state: State,
    pub(crate) reselection: Reselection,
    /// How the next reselection, or the one under way, treats a witness that
    /// can stay.
    pub(crate) reselect: Reselect,
    /// What the consumer was told since the call of a reselection was made: the
    /// registration that it makes may tell it again.
    pub(crate) told: Told,
    /// The node that serves the share: as asked for, or as resolved.
    pub(crate) served_by: Option<IpAddr>,
    /// The last state of `served_by` that the consumer can know of.
    pub(crate) known_state: Option<ResourceState>,
    /// Whether a list has had `served_by`: only then is it out of service where the next
    /// one lacks it. The lists of Windows lack the address of a role that is not
    /// scale-out, those of ONTAP have the partner's only.
    pub(crate) is_listed: bool,
    /// Whether a witness has accepted it before: a change may have been missed
    /// since.
    pub(crate) was_registered: bool,
    /// Witnesses have not known the net name, so its first label is tried, or in force.
    by_first_label: bool,
    pub(crate) search: Search,
    pub(crate) pace: Pace,
    /// The link to the node that serves the share, where it is kept: see `lifecycle/kept.rs`.
    pub(crate) kept: Option<LinkId>,
}

impl Registration {
    pub(crate) fn new(request: RegistrationRequest, credentials: SharedCredentials) -> Self {
        Self {
            served_by: request.ip_address,
            request,
            credentials,
            state: State::Waiting,
            reselection: Reselection::NotDue,
            reselect: Reselect::default(),
            told: Told::default(),
            known_state: None,
            is_listed: false,
            was_registered: false,
            by_first_label: false,
            search: Search::new(),
            pace: Pace::default(),
            kept: None,
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Begins another part of its life. Its deadlines and what its links know of it are
    /// the caller's: `Registrations::set_state`.
    pub(crate) fn enter(&mut self, state: State) {
        self.state = state;
    }

    /// A new registration is in force, and takes over from the one before, which is
    /// asked for a while yet.
    pub(crate) fn take_over(&mut self, new: Registered, catch_up: Option<Instant>, until: Instant) {
        let told = std::mem::take(&mut self.told);
        if let State::Registered(registered) = &mut self.state {
            let previous = std::mem::replace(registered, new);
            let previous = Some(previous);
            registered.overlap = Some(Box::new(Overlap { previous, catch_up, until, told }));
        }
    }

    /// The registration before is in force again.
    pub(crate) fn fall_back(&mut self, previous: Registered) {
        self.state = State::Registered(previous);
    }

    /// What a witness has accepted, where it has.
    pub(crate) fn registered(&self) -> Option<&Registered> {
        match &self.state {
            State::Registered(registered) => Some(registered),
            _ => None,
        }
    }

    /// What a witness has accepted, where it has.
    pub(crate) fn registered_mut(&mut self) -> Option<&mut Registered> {
        match &mut self.state {
            State::Registered(registered) => Some(registered),
            _ => None,
        }
    }

    /// An AsyncNotify that pended when it was ended has been answered.
    pub(crate) fn forget_notify(&mut self, link: LinkId, call: CallId) {
        if let State::Unregistering(ending) = &mut self.state {
            ending.notify.take_if(|pending| ending.link == link && *pending == call);
        }
    }

    /// The list that tells what was missed has come or failed; returns whether it was
    /// waited for.
    pub(crate) fn settle_missed(&mut self) -> bool {
        let Some(registered) = self.registered_mut() else {
            return false;
        };
        let is_listing = matches!(registered.missed, Missed::Listing);
        if is_listing {
            registered.missed = Missed::Settled;
        }
        is_listing
    }

    /// The net name for a witness.
    pub(crate) fn net_name(&self) -> SmolStr {
        match self.request.net_name.split_once('.') {
            Some((label, _)) if self.by_first_label => label.into(),
            _ => self.request.net_name.clone(),
        }
    }

    /// Has the other form of the net name tried, where there is one and it is its turn:
    /// after the name as mounted its first label, after which the next witness has its.
    pub(crate) fn next_name(&mut self) -> bool {
        let has_two = self.request.net_name.contains('.');
        self.by_first_label = has_two && !self.by_first_label;
        self.by_first_label
    }

    /// Returns what is new of the changes that a witness tells: its own, or
    /// with `previous` the one that it takes over from.
    pub(crate) fn news(
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

    /// Whether a witness, with `previous` the one before, tells again what the one before
    /// it has told.
    pub(crate) fn is_copy(
        &mut self,
        previous: bool,
        notification: &Notification,
        now: Instant,
    ) -> bool {
        let asked = match previous {
            true => self.previous_mut(),
            false => self.registered_mut(),
        };
        let Some(asked) = asked else {
            return false;
        };
        asked.overlap.take_if(|overlap| overlap.until < now && overlap.previous.is_none());
        let overlap = asked.overlap.as_mut().filter(|overlap| now <= overlap.until);
        overlap.is_some_and(|overlap| overlap.told.is_copy(notification))
    }

    /// A notification goes to the consumer, with `previous` from the witness before: what
    /// another witness may tell again is remembered.
    pub(crate) fn remember_told(&mut self, previous: bool, notification: &Notification) {
        let is_registering =
            matches!(self.reselection, Reselection::Registering(Attempt { call: Some(_), .. }));
        if is_registering {
            self.told.add(notification);
        }
        let overlap = self.registered_mut().and_then(|registered| registered.overlap.as_mut());
        if let Some(overlap) = overlap.filter(|_| previous) {
            overlap.told.add(notification);
        }
    }

    /// The attempt that is under way.
    pub(crate) fn attempt(&self) -> Option<&Attempt> {
        match (&self.state, &self.reselection) {
            (State::Registering(attempt), _) | (_, Reselection::Registering(attempt)) => {
                Some(attempt)
            }
            _ => None,
        }
    }

    /// The attempt that is under way.
    pub(crate) fn attempt_mut(&mut self) -> Option<&mut Attempt> {
        match (&mut self.state, &mut self.reselection) {
            (State::Registering(attempt), _) | (_, Reselection::Registering(attempt)) => {
                Some(attempt)
            }
            _ => None,
        }
    }

    /// The link that its state depends on now.
    pub(crate) fn link(&self) -> Option<LinkId> {
        match &self.state {
            State::Listing { link } | State::Registering(Attempt { link, .. }) => Some(*link),
            State::Registered(Registered { link, .. })
            | State::Unregistering(Unregistering { link, .. }) => Some(*link),
            State::Resolving | State::Waiting => None,
        }
    }

    /// The node at this address serves the share, as far as is known.
    pub(crate) fn serve_by(&mut self, address: IpAddr) {
        self.is_listed &= self.served_by == Some(address);
        self.served_by = Some(address);
    }

    /// The link by which a server is tried, before a call that registers is made by it.
    pub(crate) fn tried(&self) -> Option<LinkId> {
        match (&self.state, &self.reselection) {
            (State::Listing { link }, _)
            | (State::Registering(Attempt { link, call: None }), _)
            | (_, Reselection::Registering(Attempt { link, call: None })) => Some(*link),
            _ => None,
        }
    }

    /// Tries by this link instead of the one of [`Registration::tried`].
    pub(crate) fn try_by(&mut self, other: LinkId) {
        match (&mut self.state, &mut self.reselection) {
            (State::Listing { link }, _)
            | (State::Registering(Attempt { link, call: None }), _)
            | (_, Reselection::Registering(Attempt { link, call: None })) => *link = other,
            _ => {}
        }
    }

    /// The previous registration, while it is still asked.
    pub(crate) fn previous(&self) -> Option<&Registered> {
        self.registered()?.previous()
    }

    /// The previous registration, while it is still asked.
    pub(crate) fn previous_mut(&mut self) -> Option<&mut Registered> {
        self.registered_mut()?.previous_mut()
    }

    /// Whether it depends on a link for more than a list of what was missed.
    pub(crate) fn depends_on(&self, link: LinkId) -> bool {
        self.link() == Some(link)
            || self.reselection.link() == Some(link)
            || self.previous().is_some_and(|previous| previous.link == link)
            || self.search.rivals.contains(&link)
    }
}
