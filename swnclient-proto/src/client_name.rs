//! What a client calls itself: ClientComputerName ([MS-SWN] 3.1.4.2), by which an
//! administrator selects it, and NTLM's workstation.

use crate::RegistrationId;
use smol_str::{SmolStr, ToSmolStr};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// What the cluster's administrator sees in the list of registrations: a name that stays as
/// it is, or the host's, which may be set late and change.
#[derive(Clone)]
pub struct ClientName(Source);

#[derive(Clone)]
enum Source {
    Fixed(SmolStr),
    Host(Arc<dyn Fn() -> SmolStr + Send + Sync>),
}

/// The outcome of [`Action::FindFullName`](crate::Action::FindFullName).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FullName {
    /// The name that the system has for the host.
    Name(SmolStr),
    /// It has none.
    Unknown,
    /// It took too long: the next look-up is not waited for.
    Late,
}

impl ClientName {
    /// Takes the host's name, which `read` returns without waiting, again for each
    /// registration. Where it has no domain, the full name is looked up besides, as Windows
    /// gives that.
    pub fn of_host(read: impl Fn() -> SmolStr + Send + Sync + 'static) -> Self {
        Self(Source::Host(Arc::new(read)))
    }

    /// Returns the name as it is now, with or without a domain.
    pub fn read(&self) -> SmolStr {
        match &self.0 {
            Source::Fixed(name) => name.clone(),
            Source::Host(read) => read(),
        }
    }

    /// Returns the name up to the first dot, as NTLM has workstations.
    pub(crate) fn short(&self) -> SmolStr {
        let name = self.read();
        match name.parse::<IpAddr>() {
            Ok(_) => name,
            Err(_) => name.split('.').next().unwrap_or_default().into(),
        }
    }
}

impl From<SmolStr> for ClientName {
    fn from(name: SmolStr) -> Self {
        Self(Source::Fixed(name))
    }
}

impl From<&str> for ClientName {
    fn from(name: &str) -> Self {
        SmolStr::from(name).into()
    }
}

impl From<String> for ClientName {
    fn from(name: String) -> Self {
        SmolStr::from(name).into()
    }
}

impl fmt::Debug for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Fixed(name) => f.debug_tuple("ClientName").field(name).finish(),
            Source::Host(_) => f.write_str("ClientName(host)"),
        }
    }
}

/// The name for registrations, with the full name's look-up.
#[derive(Debug)]
pub(crate) struct OwnName {
    source: ClientName,
    /// A host, and its full name.
    full: Option<(SmolStr, SmolStr)>,
    /// The host whose full name is looked up.
    looked_up: Option<SmolStr>,
    /// Whether the look-up has not been handed out yet.
    is_new: bool,
    /// Whether the last look-up took too long.
    is_late: bool,
    /// Who waits for the look-up.
    waiting: Vec<RegistrationId>,
}

impl OwnName {
    pub(crate) fn new(source: ClientName) -> Self {
        let (full, looked_up, waiting) = (None, None, Vec::new());
        Self { source, full, looked_up, is_new: false, is_late: false, waiting }
    }

    /// Begins to look the full name up: a registration will need it soon.
    pub(crate) fn prepare(&mut self) {
        if matches!(self.source.0, Source::Fixed(_)) || self.looked_up.is_some() {
            return;
        }
        let host = self.source.read();
        if !host.is_empty() && !host.contains('.') {
            self.looked_up = Some(host);
            self.is_new = true;
        }
    }

    /// Returns the name for a registration. `None`: it must wait until [`OwnName::found`]
    /// names it.
    pub(crate) fn get(&mut self, id: RegistrationId) -> Option<SmolStr> {
        let host = self.source.read();
        if let Some((_, full)) = self.full.as_ref().filter(|(of, _)| *of == host) {
            return Some(full.clone());
        }
        if self.looked_up.as_ref() == Some(&host) && !self.is_late {
            self.waiting.push(id);
            return None;
        }
        Some(host)
    }

    /// Returns the host whose full name must be looked up.
    pub(crate) fn poll(&mut self) -> Option<SmolStr> {
        std::mem::take(&mut self.is_new).then(|| self.looked_up.clone())?
    }

    /// Handles a look-up's outcome. Returns who waited for it.
    pub(crate) fn found(&mut self, host: &str, outcome: FullName) -> Vec<RegistrationId> {
        self.is_late = outcome == FullName::Late;
        if let FullName::Name(name) = outcome {
            let name = name.trim_end_matches('.');
            // /etc/hosts may make "localhost" of it.
            let is_of_host = |(label, _): &(&str, &str)| label.eq_ignore_ascii_case(host);
            self.full =
                name.split_once('.').filter(is_of_host).map(|_| (host.into(), name.to_smolstr()));
        }
        self.looked_up = None;
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    const FIRST: RegistrationId = RegistrationId(1);

    fn host(name: &'static str) -> OwnName {
        OwnName::new(ClientName::of_host(move || name.into()))
    }

    fn found(name: &mut OwnName, outcome: FullName) -> Vec<RegistrationId> {
        let host = name.poll().expect("a look-up");
        name.found(&host, outcome)
    }

    #[test]
    fn a_name_with_a_domain_and_one_that_was_given_are_not_looked_up() {
        for (mut name, expected) in [
            (host("laptop.example.test"), "laptop.example.test"),
            (OwnName::new("laptop".into()), "laptop"),
            (host(""), ""),
        ] {
            name.prepare();
            assert_eq!(name.poll(), None);
            assert_eq!(name.get(FIRST).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_registration_waits_for_the_full_name() {
        let mut name = host("laptop");
        name.prepare();
        assert_eq!(name.get(FIRST), None);
        let full = FullName::Name("laptop.example.test.".into());
        assert_eq!(found(&mut name, full), [FIRST]);
        assert_eq!(name.get(FIRST).as_deref(), Some("laptop.example.test"));
        // The next one has it at once, while it is looked up again.
        name.prepare();
        assert_eq!(name.poll().as_deref(), Some("laptop"));
        assert_eq!(name.get(FIRST).as_deref(), Some("laptop.example.test"));
    }

    #[test]
    fn what_the_system_has_is_taken_only_where_it_is_the_hosts_name_with_a_domain() {
        for (answer, expected) in [
            ("LAPTOP.example.test", "LAPTOP.example.test"),
            ("localhost.localdomain", "laptop"),
            ("localhost", "laptop"),
            ("laptop", "laptop"),
            ("", "laptop"),
        ] {
            let mut name = host("laptop");
            name.prepare();
            found(&mut name, FullName::Name(answer.into()));
            assert_eq!(name.get(FIRST).as_deref(), Some(expected), "{answer}");
        }
    }

    #[test]
    fn a_look_up_that_took_too_long_is_not_waited_for_again_until_one_is_answered() {
        let mut name = host("laptop");
        for (outcome, waits_next) in
            [(FullName::Late, false), (FullName::Late, false), (FullName::Unknown, true)]
        {
            name.prepare();
            found(&mut name, outcome);
            name.prepare();
            assert_eq!(name.get(FIRST).is_none(), waits_next);
            found(&mut name, FullName::Late);
            name.is_late = !waits_next;
        }
    }

    #[test]
    fn a_host_that_has_got_another_name_is_not_called_by_the_former() {
        let now = Arc::new(Mutex::new("localhost"));
        let read = Arc::clone(&now);
        let source = ClientName::of_host(move || SmolStr::from(*read.lock().expect("a name")));
        let mut name = OwnName::new(source);
        name.prepare();
        *now.lock().expect("a name") = "laptop";
        // What is looked up is of the former name.
        assert_eq!(name.get(FIRST).as_deref(), Some("laptop"));
        found(&mut name, FullName::Name("localhost.localdomain".into()));
        assert_eq!(name.get(FIRST).as_deref(), Some("laptop"));
        name.prepare();
        found(&mut name, FullName::Name("laptop.example.test".into()));
        assert_eq!(name.get(FIRST).as_deref(), Some("laptop.example.test"));
    }

    #[test]
    fn ntlm_has_the_first_label() {
        for (name, short) in [
            ("laptop.example.test", "laptop"),
            ("laptop", "laptop"),
            ("10.0.0.1", "10.0.0.1"),
            ("", ""),
        ] {
            assert_eq!(ClientName::from(name).short(), short);
        }
    }
}
