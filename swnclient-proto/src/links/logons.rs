//! Who may log on. A domain locks an account after a few refused logons, and a mount has
//! the same password as a hundred others: so the servers' verdict is kept for each set of
//! credentials, not for each registration.
//!
//! - While no server has accepted them yet, at most [`MOST`] logons are under way.
//! - One refusal is no proof: another witness is tried, and without one the same after
//!   [`FIRST_PAUSE`].
//! - After the second they are not presented again for [`LONG_PAUSE`], then once each time:
//!   three times in a day. They are kept so long, also where no registration has them, since
//!   the next may be made with the same.
//! - A logon that succeeds makes all of it forgotten.

use crate::Error;
use crate::interning::{CredentialsId, SharedCredentials};
use crate::link::{LinkId, LogonPhase};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// How many logons are under way at a time.
const MOST: usize = 2;
/// How many refusals are a proof.
const PROOF: usize = 2;
/// After the first refusal, where there is no other witness.
const FIRST_PAUSE: Duration = Duration::from_secs(600);
/// After the second.
const LONG_PAUSE: Duration = Duration::from_secs(13 * 3600);
/// How many sets of credentials that were refused are kept.
const KEPT: usize = 64;

/// What is known of a set of credentials.
#[derive(Debug, Default)]
struct Logon {
    /// How many are under way.
    begun: usize,
    /// How many links are there on which it has succeeded.
    good: usize,
    refused: usize,
    /// The last refusal, and when it ends.
    verdict: Option<(Error, Instant)>,
    /// They are kept while they are refused.
    kept: Option<SharedCredentials>,
    /// Links that wait for their turn.
    waiting: VecDeque<LinkId>,
}

impl Logon {
    fn may_begin(&self) -> bool {
        // After a refusal one at a time.
        (self.good > 0 && self.refused == 0) || self.begun + self.refused.min(1) < MOST
    }

    /// Why the credentials are not presented now: they were refused too often.
    fn verdict(&self, now: Instant) -> Option<&Error> {
        let (error, until) = self.verdict.as_ref()?;
        (self.refused >= PROOF && now < *until).then_some(error)
    }

    fn is_forgettable(&self, now: Instant) -> bool {
        let is_over = self.verdict.as_ref().is_none_or(|(_, until)| *until + LONG_PAUSE <= now);
        self.begun == 0 && self.good == 0 && self.waiting.is_empty() && is_over
    }
}

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Logons {
    by_credentials: BTreeMap<CredentialsId, Logon>,
    /// How many links wait, of all: mostly none.
    waiting: usize,
}

impl Logons {
    /// Begins a logon, or has the link wait for its turn: then `false`.
    pub(super) fn begin(&mut self, id: CredentialsId, link: LinkId) -> bool {
        let logon = self.by_credentials.entry(id).or_default();
        let may = logon.may_begin();
        if may {
            logon.begun += 1;
        } else {
            logon.waiting.push_back(link);
            self.waiting += 1;
        }
        may
    }

    /// A server has accepted the credentials.
    pub(super) fn accepted(&mut self, id: CredentialsId) {
        if let Some(logon) = self.by_credentials.get_mut(&id) {
            logon.begun = logon.begun.saturating_sub(1);
            logon.good += 1;
            logon.refused = 0;
            logon.verdict = None;
            logon.kept = None;
        }
    }

    /// A server has refused the credentials; the link that it was is ended.
    pub(super) fn refused(&mut self, credentials: &SharedCredentials, error: Error, now: Instant) {
        self.by_credentials.retain(|_, logon| !logon.is_forgettable(now));
        let kept = self.by_credentials.values().filter(|logon| logon.kept.is_some()).count();
        let logon = self.by_credentials.entry(credentials.id()).or_default();
        logon.kept = (kept < KEPT).then(|| credentials.clone());
        logon.refused = (logon.refused + 1).min(PROOF);
        let pause = if logon.refused < PROOF { FIRST_PAUSE } else { LONG_PAUSE };
        logon.verdict = Some((error, now + pause));
    }

    /// What was refused may be presented again, for a person wants it.
    pub(super) fn forget(&mut self, id: CredentialsId) {
        if let Some(logon) = self.by_credentials.get_mut(&id) {
            logon.refused = 0;
            logon.verdict = None;
            logon.kept = None;
        }
    }

    /// A link, or the connection that it had, is gone.
    pub(super) fn ended(&mut self, id: CredentialsId, link: LinkId, phase: LogonPhase) {
        let Some(logon) = self.by_credentials.get_mut(&id) else {
            return;
        };
        match phase {
            // It waits no more.
            LogonPhase::NotBegun => {
                let waited = logon.waiting.len();
                logon.waiting.retain(|waiting| *waiting != link);
                self.waiting -= waited - logon.waiting.len();
            }
            LogonPhase::Begun => logon.begun = logon.begun.saturating_sub(1),
            LogonPhase::Good => logon.good = logon.good.saturating_sub(1),
        }
        let is_new = logon.refused == 0 && logon.begun == 0 && logon.good == 0;
        if is_new && logon.waiting.is_empty() {
            self.by_credentials.remove(&id);
        }
    }

    /// Why the credentials are not presented now: they were refused too often.
    pub(super) fn verdict(&self, id: CredentialsId, now: Instant) -> Option<&Error> {
        self.by_credentials.get(&id)?.verdict(now)
    }

    /// Until when a registration does not try again that these credentials have failed.
    pub(super) fn paused_until(&self, id: CredentialsId) -> Option<Instant> {
        self.by_credentials.get(&id)?.verdict.as_ref().map(|(_, until)| *until)
    }

    /// Whether so many have refused them that no other is asked.
    pub(super) fn is_proven(&self, id: CredentialsId) -> bool {
        self.by_credentials.get(&id).is_some_and(|logon| logon.refused >= PROOF)
    }

    /// The next link that waits, and whose turn it is: with the verdict where there is
    /// one by now.
    pub(super) fn next(&mut self, now: Instant) -> Option<(LinkId, Option<Error>)> {
        if self.waiting == 0 {
            return None;
        }
        let (_, logon) = self.by_credentials.iter_mut().find(|(_, logon)| {
            let has_turn = logon.may_begin() || logon.verdict(now).is_some();
            has_turn && !logon.waiting.is_empty()
        })?;
        let verdict = logon.verdict(now).cloned();
        self.waiting -= 1;
        Some((logon.waiting.pop_front()?, verdict))
    }
}
