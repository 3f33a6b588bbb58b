//! The links that are kept for what their end tells.

use super::Links;
use crate::RegistrationId;
use crate::link::LinkId;

impl Links {
    /// Keeps the link for a registration, or the one to the same node that is kept already, as
    /// long as there are not too many. Returns which.
    pub(crate) fn keep(&mut self, link_id: LinkId, id: RegistrationId) -> Option<LinkId> {
        let link = self.links.get(&link_id)?;
        let of_server = (link.server, LinkId(0))..=(link.server, LinkId(u64::MAX));
        let mut kept = self.kept.range(of_server).map(|(_, kept)| *kept);
        let same = kept.find(|kept| {
            self.links.get(kept).is_some_and(|kept| kept.is_for(&link.target, &link.credentials))
        });
        if same.is_none() && self.kept.len() >= self.config.kept_links_max {
            return None;
        }
        let kept = same.unwrap_or(link_id);
        let link = self.links.get_mut(&kept)?;
        link.kept_by.insert(id);
        self.kept.insert((link.server, kept));
        self.update_open(kept);
        Some(kept)
    }

    /// The registration does not keep the link any more.
    pub(crate) fn stop_keeping(&mut self, link_id: LinkId, id: RegistrationId) {
        if let Some(link) = self.links.get_mut(&link_id) {
            link.kept_by.remove(&id);
            if link.kept_by.is_empty() {
                self.kept.remove(&(link.server, link_id));
            }
            self.close_if_idle(link_id);
            self.update_open(link_id);
        }
    }
}
