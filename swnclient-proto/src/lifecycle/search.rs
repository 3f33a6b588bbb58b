//! To find a witness ([MS-SWN] 3.2.4.1): the interface list of the node that
//! serves the share, and the candidates it names, one after the other.

use super::Registrations;
use crate::registration::{Attempt, Reselection, State};
use crate::search::ListAge;
use crate::{Error, RegistrationId};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// How many witnesses of an old list are tried before a new one is asked for again.
const OLD_WITNESSES: usize = 2;

impl Registrations {
    /// A whole attempt, from the interface list on.
    pub(super) fn start(&mut self, id: RegistrationId, now: Instant) {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        registration.pace.last_attempt = Some(now);
        let search = &mut registration.search;
        search.begin(Vec::new(), ListAge::Old);
        search.last_error = None;
        search.seeds.clear();
        let net_name = registration.request.net_name.clone();
        if !is_name(&net_name) {
            return self.enter_backoff(id, Error::NetNameIsAddress(net_name), now);
        }
        match registration.request.ip_address {
            Some(address) => self.list_at(id, address, now),
            None => {
                self.set_state(id, State::Resolving, now);
                let waiting = self.resolving.entry(net_name.clone()).or_default();
                waiting.push(id);
                if waiting.len() == 1 {
                    self.to_resolve.push_back(net_name);
                }
            }
        }
    }

    /// Asks the next address of the net name for the list, after `error` where it was
    /// asked for at another.
    pub(super) fn try_next_seed(&mut self, id: RegistrationId, error: Error, now: Instant) {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        match registration.search.seeds.pop() {
            Some(address) => {
                registration.serve_by(address);
                self.list_at(id, address, now);
            }
            None => self.try_old_list(id, error, now),
        }
    }

    /// The node that serves the share can't be asked, as its address is on its way to
    /// another node for some seconds: the witnesses that it named before may be well.
    fn try_old_list(&mut self, id: RegistrationId, error: Error, now: Instant) {
        let Some(registration) = self.by_id.get(&id) else {
            return;
        };
        let Some(served_by) = registration.served_by else {
            return self.enter_backoff(id, error, now);
        };
        let interfaces = Arc::clone(&registration.search.interfaces);
        let mut witnesses = self.witnesses(&interfaces, (id, served_by), None, now);
        // The first one is the last.
        witnesses.drain(..witnesses.len().saturating_sub(OLD_WITNESSES));
        if witnesses.is_empty() {
            return self.enter_backoff(id, error, now);
        }
        if let Some(registration) = self.by_id.get_mut(&id) {
            // Where none of these accepts it either, the next attempt is by a new list.
            registration.search.begin(witnesses, ListAge::LastResort);
            registration.search.last_error = Some(error);
        }
        self.register_next(id, now);
    }

    fn list_at(&mut self, id: RegistrationId, address: IpAddr, now: Instant) {
        if let Some(link) = self.join_link(id, address, now) {
            self.set_state(id, State::Listing { link }, now);
            self.request_list(link, id, now);
            self.await_rival(id, link, now);
        }
    }

    /// Tries the next witness; where none is left, a new list, or a break. A
    /// registration that is in force stays so meanwhile.
    pub(super) fn register_next(&mut self, id: RegistrationId, now: Instant) {
        let Some(registration) = self.by_id.get_mut(&id) else {
            return;
        };
        let in_force = registration.registered().is_some();
        let search = &mut registration.search;
        if let Some(address) = search.candidates.pop() {
            search.tried += 1;
            self.register_at(id, address, in_force, now);
        } else if search.by != ListAge::Old {
            let error = search.last_error.take().unwrap_or(Error::NoWitness);
            match in_force {
                true => self.reselection_failed(id, &error, now),
                false => self.enter_backoff(id, error, now),
            }
        } else {
            self.start(id, now);
        }
    }

    fn register_at(&mut self, id: RegistrationId, address: IpAddr, in_force: bool, now: Instant) {
        self.own_name.prepare();
        if in_force {
            self.stop_reselection(id, now);
        }
        let Some(link) = self.join_link(id, address, now) else {
            return;
        };
        match self.by_id.get_mut(&id).filter(|_| in_force) {
            Some(registration) => {
                registration.reselection = Reselection::Registering(Attempt::at(link));
            }
            None => self.set_state(id, State::Registering(Attempt::at(link)), now),
        }
        self.links.add_member(link, id);
        if self.links.is_ready(link) {
            self.send_register(id, now);
        } else {
            self.await_rival(id, link, now);
        }
    }

    /// The link turned out not to be shareable.
    pub(super) fn find_own_link(&mut self, id: RegistrationId, address: IpAddr, now: Instant) {
        if let Some(registration) = self.by_id.get_mut(&id) {
            registration.search.candidates.push(address);
            self.register_next(id, now);
        }
    }
}

/// A witness knows its cluster by name only. An IPv6 address may come in brackets, and with
/// the interface that it is good on.
fn is_name(net_name: &str) -> bool {
    let bare = net_name.trim_start_matches('[').trim_end_matches(']');
    let bare = bare.split_once('%').map_or(bare, |(address, _)| address);
    !bare.is_empty() && bare.parse::<IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, Config, Credentials, Event, NtlmCredentials, RegistrationRequest};
    use std::time::Duration;

    #[test]
    fn what_was_mounted_by_address_never_reaches_a_server_however_often_it_is_asked_for() {
        for (name, address) in [
            ("10.77.0.103", None),
            ("[fe80::1]", None),
            ("fe80::1%eth0", None),
            ("[fe80::1%eth0]", Some("10.77.0.1")),
            ("", Some("10.77.0.1")),
        ] {
            let mut client = Client::new(Config::default(), 1);
            let (id, mut now) = (RegistrationId(1), Instant::now());
            let request = RegistrationRequest {
                net_name: name.into(),
                share_name: None,
                ip_address: address.map(|address| address.parse().expect("an address")),
                scope_id: 0,
                net_name_notify: true,
                share_name_notify: false,
                ip_notify: false,
            };
            let credentials = || Credentials::Ntlm(NtlmCredentials::from_password("u", "", "p"));
            client.register(id, request, credentials(), now);
            for _ in 0..3 {
                let event = client.poll_event();
                let Some((_, Event::Failed { error, retry_in: None })) = event else {
                    panic!("{name}: {event:?}");
                };
                assert!(matches!(error, Error::NetNameIsAddress(_)), "{name}: {error}");
                assert!(client.poll_action().is_none(), "{name}");
                now += Duration::from_secs(2);
                client.request_again(id, credentials(), now);
                client.handle_timeout(now);
            }
        }
    }
}
