//! What a registration knows of its cluster while it looks for a witness.

use crate::Error;
use crate::link::LinkId;
use crate::wire::Interface;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// How old the list is that the candidates of a round come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListAge {
    /// From before; where no candidate accepts it, a new one is asked for.
    Old,
    /// From before, as a new one could not be had in this round; or outdated within it.
    LastResort,
    /// It was got in this round from the node that serves the share.
    Fresh { since: Instant },
}

/// What is known of the cluster, and which witness is tried next ([MS-SWN] 3.2.4.1).
#[derive(Debug)]
pub(crate) struct Search {
    /// Further addresses of the net name, the next one last.
    pub(crate) seeds: Vec<IpAddr>,
    /// The interface list of the node that serves the share; shared by all
    /// registrations that have the same.
    pub(crate) interfaces: Arc<[Interface]>,
    /// The last list that was got, of whichever node.
    pub(crate) last_list: Arc<[Interface]>,
    /// The witnesses to try in this round, the next one last.
    pub(crate) candidates: Vec<IpAddr>,
    /// How many of them have been tried in this round.
    pub(crate) tried: usize,
    /// The links by which candidates or seeds are tried beside the one of the state, the
    /// oldest first: see `lifecycle/race.rs`.
    pub(crate) rivals: Vec<LinkId>,
    /// Where `candidates` come from.
    pub(crate) by: ListAge,
    /// Why the last witness of this round failed.
    pub(crate) last_error: Option<Error>,
}

impl Search {
    pub(crate) fn new() -> Self {
        Self {
            seeds: Vec::new(),
            interfaces: Arc::new([]),
            last_list: Arc::new([]),
            candidates: Vec::new(),
            tried: 0,
            rivals: Vec::new(),
            by: ListAge::Old,
            last_error: None,
        }
    }

    /// What the list of this round said of the address that serves may be wrong by now.
    pub(crate) fn outdated(&mut self) {
        if matches!(self.by, ListAge::Fresh { .. }) {
            self.by = ListAge::LastResort;
        }
    }

    /// Begins a round with these candidates, the first one last.
    pub(crate) fn begin(&mut self, candidates: Vec<IpAddr>, by: ListAge) {
        self.candidates = candidates;
        self.by = by;
        self.tried = 0;
    }
}
