//! To find a witness ([MS-SWN] 3.2.4.1): the interface list of the node that
//! serves the share, and the candidates it names, one after the other.

use crate::Action;
use crate::choice;
use crate::client::Client;
use crate::link::LinkId;
use crate::registration::{Attempt, Reselection, State};
use crate::wire::Interface;
use crate::{Error, RegistrationId};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// How many witnesses of an old list are tried before a new one is asked for again.
const OLD_WITNESSES: usize = 2;

impl Client {
    /// A whole attempt, from the interface list on.
    pub(crate) fn start(&mut self, id: RegistrationId, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        registration.last_attempt = Some(now);
        registration.candidates.clear();
        registration.fresh_list = false;
        registration.last_error = None;
        registration.seeds.clear();
        if !is_name(&registration.request.net_name) {
            let error = Error::NetNameIsAddress(registration.request.net_name.clone());
            return self.enter_backoff(id, error, now);
        }
        match registration.request.ip_address {
            Some(address) => self.list_at(id, address, now),
            None => {
                let host = registration.request.net_name.clone();
                self.set_state(id, State::Resolving, now);
                let waiting = self.resolving.entry(host.clone()).or_default();
                waiting.push(id);
                if waiting.len() == 1 {
                    self.actions.push_back(Action::Resolve { host });
                }
            }
        }
    }

    pub(crate) fn try_next_seed(&mut self, id: RegistrationId, error: Error, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        match registration.seeds.pop() {
            Some(address) => {
                registration.served_by = Some(address);
                self.list_at(id, address, now);
            }
            None => self.try_old_list(id, error, now),
        }
    }

    /// The node that serves the share can't be asked, as its address is on its way to
    /// another node for some seconds: the witnesses that it named before may be well.
    fn try_old_list(&mut self, id: RegistrationId, error: Error, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let Some(served_by) = registration.served_by else {
            return self.enter_backoff(id, error, now);
        };
        let mut witnesses =
            choice::witnesses(&registration.interfaces, served_by, None, &mut self.rng);
        // The first one is the last.
        witnesses.drain(..witnesses.len().saturating_sub(OLD_WITNESSES));
        if witnesses.is_empty() {
            return self.enter_backoff(id, error, now);
        }
        registration.candidates = witnesses;
        registration.last_error = Some(error);
        // Where none of these accepts it either, the next attempt is by a new list.
        registration.fresh_list = true;
        self.register_next(id, now);
    }

    fn list_at(&mut self, id: RegistrationId, address: IpAddr, now: Instant) {
        let Some((link, _ready)) = self.join_link(id, address, now) else {
            return;
        };
        self.set_state(id, State::Listing { link }, now);
        self.request_list(link, id, now);
    }

    /// The interface list is there: for a registration that looks for a
    /// witness, or for one that has just found another one and must know what
    /// it missed meanwhile.
    pub(crate) fn on_list_reply(
        &mut self,
        id: RegistrationId,
        link_id: LinkId,
        result: &Result<Arc<[Interface]>, Error>,
        now: Instant,
    ) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let server = registration.served_by;
        if let Ok(interfaces) = result {
            registration.last_list = Arc::clone(interfaces);
        }
        let reselecting =
            matches!(registration.reselection, Reselection::Listing(link) if link == link_id);
        match (&registration.state, result) {
            (State::Listing { link }, Ok(interfaces)) if *link == link_id => {
                let Some(served_by) = registration.served_by else {
                    return;
                };
                registration.candidates =
                    choice::witnesses(interfaces, served_by, None, &mut self.rng);
                registration.fresh_list = true;
                if !registration.was_registered {
                    registration.known_state = choice::state_of(interfaces, served_by);
                }
                registration.interfaces = Arc::clone(interfaces);
                self.register_next(id, now);
                self.leave_link(link_id, id);
            }
            (State::Listing { link }, Err(error)) if *link == link_id => {
                self.set_state(id, State::Waiting, now);
                self.leave_link(link_id, id);
                self.list_failed(id, error.clone(), now);
            }
            (State::Registered(_), Ok(interfaces)) if reselecting => {
                self.reselection_listed(id, link_id, interfaces, now);
            }
            (State::Registered(_), Err(error)) if reselecting => {
                self.reselection_failed(id, error, now);
            }
            (State::Registered(_), Ok(interfaces)) => {
                self.report_missed_change(id, interfaces);
                // In a witness's own list its own addresses lack the flag.
                let is_own = |address| choice::is_own(interfaces, address);
                if server.is_some_and(is_own) {
                    self.schedule_reselection(id, false, now);
                }
            }
            // A registration that stands does not fall over a list.
            (State::Registered(_), Err(error)) => self.missed_list_failed(id, error, now),
            _ => {}
        }
    }

    pub(crate) fn list_failed(&mut self, id: RegistrationId, error: Error, now: Instant) {
        if error.needs_consumer() {
            self.enter_backoff(id, error, now);
        } else {
            self.try_next_seed(id, error, now);
        }
    }

    /// Tries the next witness; where none is left, a new list, or a break. A
    /// registration that is in force stays so meanwhile.
    pub(crate) fn register_next(&mut self, id: RegistrationId, now: Instant) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        let in_force = matches!(registration.state, State::Registered(_));
        if let Some(address) = registration.candidates.pop() {
            if in_force {
                self.stop_reselection(id, now);
            }
            let Some((link, ready)) = self.join_link(id, address, now) else {
                return;
            };
            if in_force {
                if let Some(registration) = self.registrations.get_mut(&id) {
                    registration.reselection = Reselection::Registering(Attempt::at(link));
                }
            } else {
                self.set_state(id, State::Registering(Attempt::at(link)), now);
            }
            self.add_member(link, id);
            if ready {
                self.send_register(id, now);
            }
        } else if registration.fresh_list {
            let error = registration.last_error.take().unwrap_or(Error::NoWitness);
            match in_force {
                true => self.reselection_failed(id, &error, now),
                false => self.enter_backoff(id, error, now),
            }
        } else {
            self.start(id, now);
        }
    }

    /// The link turned out not to be shareable.
    pub(crate) fn find_own_link(&mut self, id: RegistrationId, address: IpAddr, now: Instant) {
        if let Some(registration) = self.registrations.get_mut(&id) {
            registration.candidates.push(address);
            self.register_next(id, now);
        }
    }
}

/// A witness knows its cluster by name only. An IPv6 address may come in brackets.
fn is_name(net_name: &str) -> bool {
    let bare = net_name.trim_start_matches('[').trim_end_matches(']');
    !bare.is_empty() && bare.parse::<IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Credentials, Event, NtlmCredentials, RegistrationRequest};
    use std::time::Duration;

    #[test]
    fn what_was_mounted_by_address_never_reaches_a_server_however_often_it_is_asked_for() {
        for (name, address) in [("10.77.0.103", None), ("[fe80::1]", None), ("", Some("10.77.0.1"))]
        {
            let mut client = Client::new(Config::default(), 1);
            let (id, mut now) = (RegistrationId(1), Instant::now());
            let request = RegistrationRequest {
                net_name: name.into(),
                share_name: None,
                ip_address: address.map(|address| address.parse().expect("an address")),
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
