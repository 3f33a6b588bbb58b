//! Reads the settings again while the daemon runs.

use crate::adoption::Rules;
use crate::authentication::Policy;
use crate::control::interface::Reloaded;
use crate::control::{Probe, Source, TestError};
use crate::failover::driver::Answer;
use crate::report::Kind;
use crate::settings::{Setting, Settings, SettingsError, Sources};
use crate::status::Status;
use crate::table::MountView;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use swnclient::Interface;

/// What changes without a restart: what is logged, how mounts authenticate, and which are
/// adopted.
pub const AT_RUN_TIME: [&str; 8] =
    ["debuglevel", "auth", "ccache", "keytab", "principal", "adopt", "watch", "credentials"];

/// A daemon with its settings.
pub struct Reloading {
    daemon: Arc<dyn Source>,
    sources: Sources,
    /// As they are in use.
    in_use: Mutex<Vec<Setting>>,
}

impl Reloading {
    /// A daemon that was started with `settings`, which are of `sources`.
    pub fn new(daemon: Arc<dyn Source>, sources: Sources, settings: Settings) -> Self {
        Self { daemon, sources, in_use: Mutex::new(settings.all) }
    }

    fn apply(&self, settings: Settings) -> Reloaded {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut reloaded, mut next) = (Reloaded::default(), Vec::new());
        let (policy, rules) = (settings.policy(), settings.rules());
        let level = settings.options.level();
        let is_same =
            |one: &Setting, other: &Setting| one.key == other.key && one.section == other.section;
        for before in in_use.iter() {
            if !settings.all.iter().any(|now| is_same(before, now)) {
                reloaded.changed.push(name(before));
            }
        }
        for mut now in settings.all.iter().cloned() {
            let before = in_use.iter().find(|before| is_same(before, &now));
            match (before, AT_RUN_TIME.contains(&now.key.as_str())) {
                (Some(before), _) if before.values == now.values => {}
                (Some(before), false) => {
                    reloaded.restart.push(name(&now));
                    now = before.clone();
                }
                _ => reloaded.changed.push(name(&now)),
            }
            next.push(now);
        }
        *in_use = next;
        // Also where it was changed by the control socket.
        self.daemon.set_log_level(level);
        if reloaded.changed.iter().any(|key| key != "debuglevel") {
            self.daemon.set_policy(policy);
        }
        // Files with credentials may have others now.
        self.daemon.set_rules(rules);
        reloaded
    }
}

/// Names a setting, with what it is for.
fn name(setting: &Setting) -> String {
    match &setting.section {
        Some(section) => format!("{} of {section}", setting.key),
        None => setting.key.clone(),
    }
}

impl fmt::Debug for Reloading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloading").finish_non_exhaustive()
    }
}

impl Source for Reloading {
    fn status(&self) -> Status {
        self.daemon.status()
    }

    fn unwatched(&self) -> Duration {
        self.daemon.unwatched()
    }

    fn witness_connections(&self) -> Answer<usize> {
        self.daemon.witness_connections()
    }

    fn mounts_after(&self, after: Option<u32>, limit: usize) -> Vec<MountView> {
        self.daemon.mounts_after(after, limit)
    }

    fn retry(&self, id: u32) -> bool {
        self.daemon.retry(id)
    }

    fn set_policy(&self, policy: Policy) {
        self.daemon.set_policy(policy);
    }

    fn probe(&self, id: u32) -> Option<Probe> {
        self.daemon.probe(id)
    }

    fn interfaces(&self, id: u32) -> Option<Answer<Vec<Interface>>> {
        self.daemon.interfaces(id)
    }

    fn test_notify(&self, id: u32, reconnect: bool) -> Result<Duration, TestError> {
        self.daemon.test_notify(id, reconnect)
    }

    fn set_rules(&self, rules: Rules) {
        self.daemon.set_rules(rules);
    }

    fn lead(&self, name: &str) -> Option<Answer<Option<IpAddr>>> {
        self.daemon.lead(name)
    }

    /// Reads files: may block.
    fn reload(&self) -> Result<Reloaded, Vec<String>> {
        match self.sources.load() {
            Ok(settings) => {
                let reloaded = self.apply(settings);
                log::info!(
                    message_id = Kind::Reloaded.message_id();
                    "configuration read again: {reloaded}"
                );
                Ok(reloaded)
            }
            Err(error) => {
                let problems = match error {
                    SettingsError::Configuration(problems) => {
                        problems.iter().map(ToString::to_string).collect()
                    }
                    SettingsError::CommandLine(error) => vec![error.to_string()],
                };
                for problem in &problems {
                    log::error!(
                        message_id = Kind::NotReloaded.message_id();
                        "configuration not read again: {problem}"
                    );
                }
                Err(problems)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::KernelAuth;
    use log::LevelFilter;
    use std::fs;
    use std::path::PathBuf;

    /// Keeps the policy.
    #[derive(Default)]
    struct Kept(Mutex<Option<Policy>>);

    impl Source for Kept {
        fn status(&self) -> Status {
            Status { up: false, mounts: 0, registered: 0 }
        }

        fn unwatched(&self) -> Duration {
            Duration::ZERO
        }

        fn witness_connections(&self) -> Answer<usize> {
            Box::pin(std::future::ready(0))
        }

        fn mounts_after(&self, _: Option<u32>, _: usize) -> Vec<MountView> {
            Vec::new()
        }

        fn retry(&self, _: u32) -> bool {
            false
        }

        fn probe(&self, _: u32) -> Option<Probe> {
            None
        }

        fn interfaces(&self, _: u32) -> Option<Answer<Vec<Interface>>> {
            None
        }

        fn test_notify(&self, _: u32, _: bool) -> Result<Duration, TestError> {
            Err(TestError::NotFound)
        }

        fn set_log_level(&self, level: LevelFilter) {
            assert_eq!(level, LevelFilter::Info);
        }

        fn set_policy(&self, policy: Policy) {
            *self.0.lock().unwrap() = Some(policy);
        }

        fn set_rules(&self, _: Rules) {}
    }

    struct File(PathBuf);

    impl Drop for File {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn what_can_change_changes_and_a_bad_file_changes_nothing() {
        let name = format!("swnd-reload-{}.conf", std::process::id());
        let file = File(std::env::temp_dir().join(name));
        let write = |text: &str| fs::write(&file.0, text).unwrap();
        write("keep-alive = 30\n");
        let sources = Sources::of_file(&file.0);
        let settings = sources.load().unwrap();
        let kept = Arc::new(Kept::default());
        let daemon = Reloading::new(kept.clone(), sources, settings);
        let is_kerberos_allowed = || {
            let policy = kept.0.lock().unwrap().take()?;
            Some(policy.credentials(&KernelAuth::Kerberos).is_ok())
        };
        let names = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();

        assert_eq!(daemon.reload(), Ok(Reloaded::default()));
        assert_eq!(is_kerberos_allowed(), None);

        write("keep-alive = 40\nauth = \"ntlm\"\n");
        let expected = Reloaded { changed: names(&["auth"]), restart: names(&["keep-alive"]) };
        assert_eq!(daemon.reload(), Ok(expected));
        assert_eq!(is_kerberos_allowed(), Some(false));

        // Still, and nothing else.
        let expected = Reloaded { changed: vec![], restart: names(&["keep-alive"]) };
        assert_eq!(daemon.reload(), Ok(expected));
        assert_eq!(is_kerberos_allowed(), None);

        write("keep-alive = 30\nauth = \"kerberos\"\ndebuglevel = 11\n");
        let problem = format!("{}:3: debuglevel: \"11\" is not in 0..=10", file.0.display());
        assert_eq!(daemon.reload(), Err(vec![problem]));
        assert_eq!(is_kerberos_allowed(), None);

        write("keep-alive = 30\nauth = \"ntlm\"\n");
        assert_eq!(daemon.reload(), Ok(Reloaded::default()));

        let changed = |changed: &[&str]| Ok(Reloaded { changed: names(changed), restart: vec![] });
        write("keep-alive = 30\nauth = \"ntlm\"\n[cluster.a]\nauth = \"kerberos\"\n");
        assert_eq!(daemon.reload(), changed(&["auth of a"]));
        assert_eq!(daemon.reload(), changed(&[]));
        write("keep-alive = 30\nauth = \"ntlm\"\n");
        assert_eq!(daemon.reload(), changed(&["auth of a"]));
        assert_eq!(is_kerberos_allowed(), Some(false));
    }

    #[test]
    fn what_is_read_again_is_told_in_one_line() {
        let names = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (changed, restart, text) in [
            (&[][..], &[][..], "nothing has changed"),
            (&["auth", "ccache"], &[], "changed: auth, ccache"),
            (&[], &["control"], "nothing has changed; only a restart changes: control"),
        ] {
            let reloaded = Reloaded { changed: names(changed), restart: names(restart) };
            assert_eq!(reloaded.to_string(), text);
        }
    }
}
