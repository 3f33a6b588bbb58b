//! The link to the node that serves the share: it is there for its list, and kept beside that
//! to the witness. Nothing goes over it but TCP's keepalives, which wake no process; when the
//! node dies, they go unanswered, or the node that has its address then answers them with a
//! RST. So a death is noticed, and the address watched again, of which the witness tells
//! nothing.

use super::Registrations;
use crate::link::LinkId;
use crate::links::LinkFailed;
use crate::{Error, Event, RegistrationId};
use std::io::ErrorKind;
use std::time::{Duration, Instant};

/// A kept link that has lasted so long is replaced at once when it ends, another one later: a
/// node may end each that it has accepted.
const REPLACED_AFTER: Duration = Duration::from_secs(60);

impl Registrations {
    /// Keeps the link by which the node that serves the share has given its list.
    pub(super) fn keep(&mut self, id: RegistrationId, link: LinkId) {
        let served_by = self.by_id.get(&id).and_then(|registration| registration.served_by);
        if served_by.is_none() || self.links.address(link) != served_by {
            return;
        }
        let kept = self.links.keep(link, id);
        let before = self.by_id.get_mut(&id).and_then(|it| std::mem::replace(&mut it.kept, kept));
        if let Some(before) = before.filter(|before| Some(*before) != kept) {
            self.links.stop_keeping(before, id);
        }
    }

    /// The node that serves the share is another one, or of no interest any more.
    pub(super) fn stop_keeping(&mut self, id: RegistrationId) {
        if let Some(kept) = self.by_id.get_mut(&id).and_then(|it| it.kept.take()) {
            self.links.stop_keeping(kept, id);
        }
    }

    /// Takes the end of a link that was kept, and tells the consumer where a dead node's ends
    /// so: a living one says goodbye.
    pub(super) fn kept_failed(&mut self, id: RegistrationId, failed: &LinkFailed, now: Instant) {
        let kept = self.by_id.get_mut(&id).and_then(|it| it.kept.take_if(|it| *it == failed.link));
        if kept.is_none() {
            return;
        }
        let is_dead = matches!(failed.error,
            Error::Lost { kind, .. } if kind != ErrorKind::UnexpectedEof);
        if is_dead {
            // The address is on another node now, maybe the one that is being registered at.
            if let Some(registration) = self.by_id.get_mut(&id) {
                registration.search.outdated();
            }
            let (address, error) = (failed.address, failed.error.clone());
            self.events.push_back((id, Event::ServerLost { address, error }));
        }
        let is_lasting = now.saturating_duration_since(failed.since) >= REPLACED_AFTER;
        let is_registered = self.by_id.get(&id).is_some_and(|it| it.registered().is_some());
        if is_lasting {
            self.schedule_reselection(id, is_dead, now);
        } else if is_dead && is_registered && !self.reselects(id) {
            self.look_again(id, now);
        }
    }
}
