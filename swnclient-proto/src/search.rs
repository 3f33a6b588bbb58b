//! What a registration knows of its cluster while it looks for a witness.

use crate::Error;
use crate::link::LinkId;
use crate::wire::Interface;
use std::net::IpAddr;
use std::sync::Arc;

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
    /// Whether `candidates` come from a list that was got in this round.
    pub(crate) fresh_list: bool,
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
            fresh_list: false,
            last_error: None,
        }
    }
    /// Begins a round with these candidates, the first one last.
    pub(crate) fn begin(&mut self, candidates: Vec<IpAddr>, is_fresh: bool) {
        self.candidates = candidates;
        self.fresh_list = is_fresh;
        self.tried = 0;
    }
}
