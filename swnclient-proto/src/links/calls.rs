//! The calls by links, and those that no consumer waits for any more.

use super::Links;
use crate::link::{Link, LinkId, Purpose};
use crate::timers::LinkTimer;
use crate::wire::{GetInterfaceList, UnRegister};
use crate::{Awaited, Call, Error, RegistrationId};
use dcerpc_proto::Operation;
use dcerpc_proto::association::CallId;
use dcerpc_proto::ndr::ContextHandle;
use std::time::Instant;

impl Links {
    /// Makes a call. `None` where the link is gone, or fails by it.
    pub(crate) fn call<O: Operation>(
        &mut self,
        link_id: LinkId,
        purpose: Purpose,
        operation: &O,
    ) -> Option<CallId> {
        let call = self.links.get_mut(&link_id)?.call(purpose, operation, &mut self.actions);
        call.map_err(|error| self.fail(link_id, error)).ok()
    }

    /// Asks for the interface list on behalf of `id`. All who ask before the answer
    /// comes share it, but for those who need one that is `newer` than this question.
    pub(crate) fn request_list(
        &mut self,
        link_id: LinkId,
        id: RegistrationId,
        newer: bool,
        now: Instant,
    ) {
        let Some(link) = self.links.get_mut(&link_id) else {
            return;
        };
        if !link.is_ready() || (newer && link.list_call.is_some()) {
            link.list_next.push(id);
            return;
        }
        link.listing.push(id);
        if link.list_call.is_none() {
            self.call_for_list(link_id, now);
        }
    }

    /// Asks for the list that some wait for since the last one was asked for.
    pub(super) fn request_next_list(&mut self, link_id: LinkId, now: Instant) {
        if let Some(link) = self.links.get_mut(&link_id).filter(|link| !link.list_next.is_empty()) {
            match link.listing.is_empty() {
                // Mostly so; and it takes no room of its own.
                true => std::mem::swap(&mut link.listing, &mut link.list_next),
                false => link.listing.append(&mut link.list_next),
            }
            self.call_for_list(link_id, now);
        }
    }

    fn call_for_list(&mut self, link_id: LinkId, now: Instant) {
        let call = self.call(link_id, Purpose::List, &GetInterfaceList);
        if let Some(link) = self.links.get_mut(&link_id) {
            link.list_call = call;
            self.timers.set(link_id, LinkTimer::List, now + self.config.call_timeout);
        }
    }

    /// Takes back a registration that no consumer waits for any more. An error ends
    /// the link, which takes it back, too.
    pub(crate) fn release(&mut self, link: LinkId, handle: &ContextHandle, now: Instant) {
        if let Some(call) = self.call(link, Purpose::Release, &UnRegister(*handle)) {
            self.abandon(link, call, now);
        }
    }

    /// No consumer waits any more for this call, which makes or ends a registration:
    /// the server is to let go of it. One that does not within a call timeout loses the
    /// connection, and with it all the rest ([C706] 5.1.6, context rundown).
    pub(crate) fn abandon(&mut self, link_id: LinkId, call: CallId, now: Instant) {
        if let Some(link) = self.links.get_mut(&link_id) {
            link.abandoned.insert(call);
            if self.timers.get(link_id, LinkTimer::Release).is_none() {
                self.timers.set(link_id, LinkTimer::Release, now + self.config.call_timeout);
            }
        }
    }

    /// A call has ended: whether there is still something to let go of.
    pub(super) fn settle(&mut self, link_id: LinkId, call: CallId) {
        if let Some(link) = self.links.get_mut(&link_id) {
            if link.abandoned.remove(&call) && link.abandoned.is_empty() {
                self.timers.clear(link_id, LinkTimer::Release);
            }
        }
    }

    /// The answer to this call is not waited for any more.
    pub(crate) fn orphan(&mut self, link: LinkId, call: CallId) {
        if let Some(link) = self.links.get_mut(&link) {
            link.orphan(call, &mut self.actions);
        }
    }

    /// Asks the server to end a call, so that the next can be made on a link that
    /// isn't multiplexed.
    pub(crate) fn cancel(&mut self, link: LinkId, call: CallId) {
        if let Some(link) = self.links.get_mut(&link) {
            link.cancel(call, &mut self.actions);
        }
    }

    /// The response to a call does not come: the link is of no use any more.
    pub(crate) fn call_overdue(&mut self, link: LinkId, call: Call) {
        self.overdue(link, Awaited::Response(call));
    }

    pub(super) fn overdue(&mut self, link_id: LinkId, awaited: Awaited) {
        if let Some(link) = self.links.get(&link_id) {
            let error = self.timeout(link, awaited);
            self.fail(link_id, error);
        }
    }

    /// The error that something took longer than a call may.
    pub(super) fn timeout(&self, link: &Link, awaited: Awaited) -> Error {
        Error::Timeout { address: link.address(), awaited, after: self.config.call_timeout }
    }
}
