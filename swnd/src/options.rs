//! The options: of the command line, and what `settings` sets.

use crate::authentication::{Mechanism, Policy};
use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, Parser, ValueEnum, value_parser};
use log::LevelFilter;
use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;
use swnclient::{ClientName, Config, KerberosCredentials, host_name};

/// How long a client's name may be, in bytes, as names of hosts.
const CLIENT_NAME_MAX: usize = 255;
/// How many servers have a connection kept beside the kernel's: more than a client mounts from,
/// but for one that is a test.
const KEPT_LINKS_MAX: usize = 256;

/// The command line. What `--help` says is in swnd(8) too; a test compares them.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(
    name = "swnd",
    version,
    about = "SMB witness daemon: transparent failover for cifs mounts with the option witness",
    after_help = "Each option is a key of swnd.conf(5) and a variable SWND_... too, which count less than\nthe command line. Stays in the foreground and needs CAP_NET_ADMIN. See swnd(8)."
)]
pub struct Options {
    /// The configuration file, beside which a directory FILE.d is read too, or none
    #[arg(long, value_name = "FILE", default_value = crate::paths::FILE)]
    pub config: PathBuf,

    /// 0 errors, 1 warnings, 2-5 what happens to each mount, 6-9 debug, 10 trace
    #[arg(
        short = 'd',
        long = "debuglevel",
        value_name = "N",
        default_value_t = 3,
        value_parser = value_parser!(u8).range(0..=10),
    )]
    pub debug_level: u8,

    /// Where to log [default: stderr on a terminal, else the journal, else syslog]
    #[arg(long, value_name = "journal|syslog|stderr", hide_possible_values = true)]
    pub log: Option<LogTarget>,

    /// What the cluster's administrator sees [default: the host's full name]
    #[arg(long, value_name = "NAME", value_parser = client_name)]
    pub client_name: Option<String>,

    /// What may be used: kerberos, ntlm, or kerberos,ntlm [default: what the mount uses]
    #[arg(long, value_name = "MECHANISM", value_delimiter = ',', hide_possible_values = true)]
    pub auth: Vec<Mechanism>,

    /// Kerberos: the credential cache, for example FILE:/run/krb5cc_smb
    #[arg(long, value_name = "CACHE")]
    pub ccache: Option<String>,

    /// Kerberos: get and renew tickets by the keys in this keytab
    #[arg(long, value_name = "KEYTAB")]
    pub keytab: Option<String>,

    /// Kerberos: whose key of the keytab [default: the first]
    #[arg(long, value_name = "PRINCIPAL")]
    pub principal: Option<String>,

    /// Negotiate by SPNEGO also where there is only one mechanism
    #[arg(long, value_name = "true|false", default_value_t = false, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set, hide_possible_values = true)]
    pub spnego: bool,

    /// Accept servers that do not sign the headers of their messages
    #[arg(long, value_name = "true|false", default_value_t = false, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set, hide_possible_values = true)]
    pub allow_unsigned_headers: bool,

    /// How long a witness without news may be silent
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = value_parser!(u32).range(1..=3600))]
    pub keep_alive: u32,

    /// How long a witness may take for a call; more than the keep-alive
    #[arg(long, value_name = "SECONDS", default_value_t = 180, value_parser = value_parser!(u32).range(2..=7200))]
    pub call_timeout: u32,

    /// How long a node that acknowledges nothing counts as alive
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = value_parser!(u32).range(5..=600))]
    pub dead_after: u32,

    /// Help the kernel where it needs help, or hand on each notification as it comes
    #[arg(
        long,
        value_name = "verified|forward",
        default_value = "verified",
        hide_possible_values = true
    )]
    pub failover: FailoverMode,

    /// Watch also mounts without the option witness: those listed in the file, or all
    #[arg(long, value_name = "listed|all", default_value = "listed", hide_possible_values = true)]
    pub adopt: Adopt,

    /// Over how long the clients of a witness that is lost come back
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = value_parser!(u32).range(0..=600))]
    pub loss_spread: u32,

    /// The control socket, which swnctl connects to, or none
    #[arg(long, value_name = "PATH", default_value = crate::paths::SOCKET)]
    pub control: PathBuf,

    /// What becomes of system calls that swnd does not need: they fail, or end it
    #[arg(
        long,
        value_name = "refuse|kill|off",
        default_value = "refuse",
        hide_possible_values = true
    )]
    pub seccomp: Seccomp,

    /// Let core dumps and debuggers see the passwords of mounts
    #[arg(long, value_name = "true|false", default_value_t = false, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set, hide_possible_values = true)]
    pub allow_core_dumps: bool,
}

/// A name that fits in an administrator's list.
fn client_name(name: &str) -> Result<String, &'static str> {
    let is_printable = |c: char| !c.is_control() && !c.is_whitespace();
    match (1..=CLIENT_NAME_MAX).contains(&name.len()) && name.chars().all(is_printable) {
        true => Ok(name.into()),
        false => Err("a name of at most 255 bytes, without blanks, is needed"),
    }
}

/// Where to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogTarget {
    /// The systemd journal.
    Journal,
    /// The system log.
    Syslog,
    /// The standard error stream.
    Stderr,
}

/// What becomes of notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailoverMode {
    /// The kernel is helped where it needs help.
    Verified,
    /// The kernel is given each notification as it comes.
    Forward,
}

/// What becomes of a system call that is not on swnd's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Seccomp {
    /// It fails.
    Refuse,
    /// It ends the process.
    Kill,
    /// It is made: there is no filter.
    Off,
}

/// Which mounts without the option `witness` are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Adopt {
    /// Those that the configuration has a section for.
    Listed,
    /// All that may have a witness.
    All,
}

impl Options {
    /// Says which options contradict each other, and how.
    pub fn contradiction(&self) -> Option<(&'static [&'static str], String)> {
        if self.principal.is_some() && self.keytab.is_none() {
            return Some((&["principal"], "a principal needs a keytab".into()));
        }
        if self.adopt == Adopt::All && self.failover == FailoverMode::Forward {
            return Some((
                &["adopt", "failover"],
                "to adopt mounts takes failover = \"verified\": the kernel can't be told about them"
                    .into(),
            ));
        }
        let error = self.config().validate().err()?;
        Some((&["keep-alive", "call-timeout"], error.to_string()))
    }

    /// Returns the error of a command line on which options contradict each other.
    pub fn error(what: impl Display) -> clap::Error {
        Self::command().error(ErrorKind::ValueValidation, what)
    }

    /// How mounts authenticate.
    pub fn policy(&self) -> Policy {
        let cache = self.ccache.as_deref().map(KerberosCredentials::from_cache);
        let principal = self.principal.as_deref();
        let keytab =
            self.keytab.as_deref().map(|path| KerberosCredentials::from_keytab(path, principal));
        let tickets = match (cache, keytab) {
            (Some(cache), Some(keytab)) => cache.or(keytab),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => KerberosCredentials::from_environment(),
        };
        let machine = match self.ccache.is_some() || self.keytab.is_some() {
            true => tickets.clone(),
            false => tickets.clone().or(machine_account(&host_name())),
        };
        Policy::new(&self.auth, tickets).with_machine(machine)
    }

    /// How the client behaves.
    pub fn config(&self) -> Config {
        Config {
            client_name: match &self.client_name {
                Some(name) => name.as_str().into(),
                None => ClientName::of_host(host_name),
            },
            spnego: self.spnego,
            require_header_signing: !self.allow_unsigned_headers,
            keep_alive: Duration::from_secs(self.keep_alive.into()),
            call_timeout: Duration::from_secs(self.call_timeout.into()),
            dead_after: Duration::from_secs(self.dead_after.into()),
            loss_spread: Duration::from_secs(self.loss_spread.into()),
            kept_links_max: match self.failover {
                FailoverMode::Verified => KEPT_LINKS_MAX,
                FailoverMode::Forward => 0,
            },
            ..Config::default()
        }
    }

    /// The debug level in terms of the log.
    pub fn level(&self) -> LevelFilter {
        match self.debug_level {
            0 => LevelFilter::Error,
            1 => LevelFilter::Warn,
            2..=5 => LevelFilter::Info,
            6..=9 => LevelFilter::Debug,
            _ => LevelFilter::Trace,
        }
    }
}

/// The machine's account, as a member of a domain has it.
fn machine_account(host_name: &str) -> KerberosCredentials {
    // An account's name is the host's without its domain ([MS-ADA3] 2.222), and up to 15
    // characters of it.
    let name = host_name.split('.').next().unwrap_or_default();
    let name: String = name.to_uppercase().chars().take(15).collect();
    KerberosCredentials::from_keytab("/etc/krb5.keytab", Some(&format!("{name}$")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        let options = Options::try_parse_from([&["swnd"], arguments].concat())?;
        match options.contradiction() {
            None => Ok(options),
            Some((_, what)) => Err(Options::error(what)),
        }
    }

    #[test]
    fn the_definition_holds_together() {
        Options::command().debug_assert();
    }

    #[test]
    fn the_debug_level_follows_sambas_scale() {
        for (arguments, level) in [
            (&["-d", "0"][..], LevelFilter::Error),
            (&["-d1"], LevelFilter::Warn),
            (&[], LevelFilter::Info),
            (&["--debuglevel", "5"], LevelFilter::Info),
            (&["--debuglevel=6"], LevelFilter::Debug),
            (&["-d", "10"], LevelFilter::Trace),
        ] {
            assert_eq!(parse(arguments).unwrap().level(), level, "{arguments:?}");
        }
        assert!(parse(&["-d", "11"]).is_err());
        assert!(parse(&["-d", "x"]).is_err());
    }

    #[test]
    fn the_log_goes_where_it_is_told() {
        assert_eq!(parse(&[]).unwrap().log, None);
        let options = parse(&["--log", "syslog"]).unwrap();
        assert_eq!(options.log, Some(LogTarget::Syslog));
        assert!(parse(&["--log", "nowhere"]).is_err());
    }

    #[test]
    fn mechanisms_are_listed_with_commas() {
        assert_eq!(parse(&[]).unwrap().auth, []);
        let options = parse(&["--auth", "kerberos,ntlm"]).unwrap();
        assert_eq!(options.auth, [Mechanism::Kerberos, Mechanism::Ntlm]);
        assert!(parse(&["--auth", "basic"]).is_err());
    }

    #[test]
    fn the_times_are_the_librarys_unless_told_otherwise() {
        let times = |config: Config| {
            [config.keep_alive, config.call_timeout, config.dead_after, config.loss_spread]
                .map(|time| time.as_secs())
        };
        assert_eq!(times(parse(&[]).unwrap().config()), times(Config::default()));
        let told =
            parse(&["--keep-alive=30", "--call-timeout=40", "--dead-after=5", "--loss-spread=0"]);
        assert_eq!(times(told.unwrap().config()), [30, 40, 5, 0]);
    }

    #[test]
    fn the_keep_alive_is_shorter_than_a_call_may_take() {
        let error = parse(&["--keep-alive=180"]).unwrap_err().to_string();
        assert!(
            error.contains("the keep-alive (180s) must be less than the call timeout (180s)"),
            "{error}"
        );
    }

    #[test]
    fn the_clients_name_is_the_hosts_unless_one_is_given() {
        let name = |arguments: &[&str]| parse(arguments).map(|it| it.config().client_name.read());
        assert_eq!(name(&[]).unwrap(), host_name());
        assert_eq!(name(&["--client-name=pc.example"]).unwrap(), "pc.example");
        for wrong in ["", "two words", "line\n", &"x".repeat(256)] {
            assert!(name(&["--client-name", wrong]).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_switch_can_be_turned_off() {
        for (arguments, on) in [
            (&[][..], false),
            (&["--spnego"], true),
            (&["--spnego=true"], true),
            (&["--spnego=false"], false),
        ] {
            assert_eq!(parse(arguments).unwrap().spnego, on, "{arguments:?}");
        }
        assert!(parse(&["--spnego", "false"]).is_err());
        assert!(parse(&["--spnego=maybe"]).is_err());
    }

    #[test]
    fn mounts_are_adopted_where_a_failover_is_verified() {
        assert_eq!(parse(&[]).unwrap().adopt, Adopt::Listed);
        assert_eq!(parse(&["--adopt=all"]).unwrap().adopt, Adopt::All);
        assert!(parse(&["--adopt=none"]).is_err());
        assert!(parse(&["--adopt=all", "--failover=forward"]).is_err());
    }

    #[test]
    fn the_machines_account_is_its_name_in_capitals() {
        for (host_name, account) in [
            ("node", "NODE$"),
            ("web-7.work.example", "WEB-7$"),
            ("a-very-long-host-name", "A-VERY-LONG-HOS$"),
        ] {
            let expected = KerberosCredentials::from_keytab("/etc/krb5.keytab", Some(account));
            assert_eq!(machine_account(host_name), expected);
        }
    }

    #[test]
    fn a_principal_needs_a_keytab() {
        assert!(parse(&["--principal", "HOST$"]).is_err());
        parse(&["--keytab", "/etc/krb5.keytab", "--principal", "HOST$"]).unwrap();
    }

    #[cfg(feature = "kerberos")]
    #[test]
    fn tickets_come_from_the_cache_then_from_the_keytab_and_from_the_environment_where_neither_is()
    {
        use crate::kernel::KernelAuth;
        for (arguments, expected) in [
            (&[][..], "the default credential cache"),
            (&["--ccache", "FILE:/run/cc"], "the credential cache FILE:/run/cc"),
            (&["--keytab", "/etc/kt"], "the keytab /etc/kt"),
            (&["--keytab", "/etc/kt", "--principal", "HOST$"], "HOST$ in the keytab /etc/kt"),
            (
                &["--keytab", "/etc/kt", "--ccache", "FILE:/run/cc"],
                "the credential cache FILE:/run/cc, else the keytab /etc/kt",
            ),
        ] {
            let policy = parse(arguments).unwrap().policy();
            let credentials = policy.credentials(&KernelAuth::Kerberos).unwrap();
            assert_eq!(format!("{credentials:?}"), format!("Kerberos({expected})"));
        }
    }
}
