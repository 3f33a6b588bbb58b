//! The daemon in the guest.

use std::path::Path;
use std::time::Duration;

use crate::{CLUSTER_NAME, Guest, NT_HASH, PASSWORD, Process, USER, built, wait_until};

/// Who the daemon is where `as-unit` runs it as a user of its own.
const UNIT_USER: u32 = 990;

/// A `swnd` in the guest, in the foreground, with its log.
#[derive(Debug)]
pub struct Swnd<'a>(Process<'a>);

impl<'a> Swnd<'a> {
    /// Starts the release build of the daemon; `SWND` in the environment names another one, and `LAB_UNIT=root` or
    /// `LAB_UNIT=own-user` has it confined as its unit does (`as-unit`).
    ///
    /// # Panics
    /// Where it hasn't been built.
    pub fn start(guest: &'a Guest) -> Swnd<'a> {
        Swnd::start_with(guest, "", "")
    }

    /// As [`Swnd::start`], with more in its environment and on its command line, as a shell takes them.
    ///
    /// # Panics
    /// Where it hasn't been built.
    pub fn start_with(guest: &'a Guest, environment: &str, options: &str) -> Swnd<'a> {
        let program = match std::env::var_os("SWND") {
            Some(program) => program.into(),
            None => built("release/swnd", "cargo build --release -p swnd"),
        };
        Swnd::start_program(guest, &program, environment, options)
    }

    /// As [`Swnd::start_with`], with a program of the caller's choice.
    pub fn start_program(
        guest: &'a Guest,
        program: &Path,
        environment: &str,
        options: &str,
    ) -> Swnd<'a> {
        guest.confine(program);
        let program = program.display();
        let unit = match std::env::var("LAB_UNIT") {
            Ok(kind) => format!("{}/as-unit '{kind}'", env!("CARGO_MANIFEST_DIR")),
            Err(_) => String::new(),
        };
        Swnd(guest.spawn(&format!(
            "RUST_BACKTRACE=1 SWND_SECCOMP=kill {environment} exec {unit} '{program}' --log stderr -d 10 {options}"
        )))
    }

    /// Starts it so that it adopts each mount of the cluster without the option `witness`, by the lab's user.
    ///
    /// # Panics
    /// Where it hasn't been built.
    pub fn start_adopting(guest: &'a Guest, options: &str) -> Swnd<'a> {
        Swnd::start_adopting_as(guest, "0600", options)
    }

    /// The same, with another mode of the file with the user's password.
    ///
    /// # Panics
    /// Where it hasn't been built.
    pub fn start_adopting_as(guest: &'a Guest, mode: &str, options: &str) -> Swnd<'a> {
        let dir = guest.shared_dir().display();
        let owner = if std::env::var("LAB_UNIT").is_ok_and(|kind| kind == "own-user") {
            UNIT_USER
        } else {
            0
        };
        guest.ok(&format!(
            "printf '%s\\n' 'username={USER}' 'password={PASSWORD}' > {dir}/credentials \
             && chmod {mode} {dir}/credentials \
             && chown {owner} {dir}/credentials \
             && printf '%s\\n' '[mount.\"//{CLUSTER_NAME}/*\"]' 'credentials = \"{dir}/credentials\"' \
             > {dir}/swnd.conf"
        ));
        Swnd::start_with(guest, "", &format!("--config {dir}/swnd.conf {options}"))
    }

    /// Starts it so that it asks no witness for the mounts of a server, and watches their connections itself.
    ///
    /// # Panics
    /// Where it hasn't been built.
    pub fn start_watching(guest: &'a Guest, server: &str) -> Swnd<'a> {
        let dir = guest.shared_dir().display();
        guest.ok(&format!(
            "printf '%s\n' '[mount.\"//{server}/*\"]' 'watch = \"connection\"' > {dir}/swnd.conf"
        ));
        Swnd::start_with(guest, "", &format!("--config {dir}/swnd.conf"))
    }

    /// Has the guest's kernel ask swnd where to connect to, as `packaging/request-key.conf.in` does where it
    /// is installed.
    ///
    /// # Panics
    /// Where swnctl hasn't been built.
    pub fn install_resolver(guest: &Guest) {
        let swnctl = built("release/swnctl", "cargo build --release -p swnctl");
        let conf = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/request-key.conf.in");
        guest.ok(&format!(
            "mkdir -p /run/request-key.d && sed 's|@sbindir@/swnctl|{}|' '{conf}' > /run/request-key.d/swnd.conf \
             && mount --bind /run/request-key.d /etc/request-key.d",
            swnctl.display()
        ));
    }

    /// How often its first thread, which is the event loop, has been woken up.
    ///
    /// # Panics
    /// Where it doesn't run.
    pub fn wake_ups(&self, guest: &Guest) -> u64 {
        let status = guest.ok("cat /proc/$(pidof swnd)/status");
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|count| count.trim().parse().ok()).expect("the kernel counts them")
    }

    /// Starts another daemon than this project's, in the foreground.
    pub fn start_other(guest: &'a Guest, program: &Path) -> Swnd<'a> {
        Swnd(guest.spawn(&format!("exec '{}'", program.display())))
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        self.0.stderr()
    }

    /// Waits for a line of the log for which `wanted` is true, and gives it.
    ///
    /// # Panics
    /// After `limit`, with the whole log.
    pub fn wait_log(&self, what: &str, limit: Duration, wanted: impl Fn(&str) -> bool) -> String {
        wait_until(&format!("swnd logs {what}"), limit, || {
            let log = self.log();
            log.lines().find(|line| wanted(line)).map(str::to_owned).ok_or(log)
        })
    }

    /// What the guest's kernel says of each of its threads.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn thread_statuses(&self, guest: &Guest) -> Vec<String> {
        let all =
            guest.ok("for s in /proc/$(pidof -s swnd)/task/*/status; do cat $s; echo =; done");
        all.split("=\n").filter(|it| !it.is_empty()).map(str::to_owned).collect()
    }

    /// The warnings and errors so far, without the time.
    pub fn warnings(&self) -> Vec<String> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| line.split_once(' '));
        let loud =
            lines.filter(|(_, text)| text.starts_with("warning ") || text.starts_with("error "));
        loud.map(|(_, text)| text.to_owned()).collect()
    }

    /// Ends it as a service manager does.
    ///
    /// # Panics
    /// Where it takes longer than 5 s or ends with an error.
    pub fn stop(self) {
        self.0.signal("TERM");
        let output = self.0.wait(Duration::from_secs(5));
        assert_eq!(output.status, 0, "swnd ended with an error\n{}", output.stderr);
    }

    /// Kills it: nothing in it gets to clean up.
    pub fn kill(self) {
        self.0.signal("KILL");
        let output = self.0.wait(Duration::from_secs(5));
        assert_eq!(
            output.status,
            128 + 9,
            "swnd had ended before it was killed\n{}",
            output.stderr
        );
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.0.is_running()
    }
}

impl Drop for Swnd<'_> {
    /// Shows the log where the test has failed. Whatever it was about, the log has no
    /// secret of the mount.
    fn drop(&mut self) {
        let log = self.log();
        if std::thread::panicking() {
            return eprintln!("swnd's log:\n{log}");
        }
        let log = log.to_lowercase();
        for secret in [PASSWORD, NT_HASH] {
            assert!(!log.contains(secret), "swnd has logged {secret}\n{log}");
        }
        if !self.0.guest().is_abandoned() {
            let denied = self.0.guest().denied();
            assert!(denied.is_empty(), "AppArmor has denied\n{denied}");
        }
    }
}
