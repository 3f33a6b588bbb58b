//! Files, environment and command line together.

use super::*;
use crate::adoption::{CredentialsFrom, Watch};
use crate::authentication::Mechanism;
use crate::kernel::KernelAuth;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A directory with a configuration, removed at the end.
struct Files(PathBuf);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("swnd-settings-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(path.join("swnd.conf.d")).unwrap();
        for (name, text) in files {
            fs::write(path.join(name), text).unwrap();
        }
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn sources(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Sources {
        let mut sources = Sources::of_file(&self.path("swnd.conf"));
        sources.arguments.extend(arguments.iter().map(Into::into));
        sources.environment = environment.iter().map(|(n, v)| (n.into(), v.into())).collect();
        sources
    }

    /// The problems, each with the file's name alone.
    fn problems(&self, environment: &[(&str, &str)]) -> Vec<String> {
        let Err(SettingsError::Configuration(problems)) = self.sources(&[], environment).load()
        else {
            return vec![];
        };
        let directory = format!("{}/", self.0.display());
        problems.iter().map(|it| it.to_string().replace(&directory, "")).collect()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn origin(settings: &Settings, key: &str) -> Origin {
    settings.all.iter().find(|it| it.key == key).unwrap().origin.clone()
}

#[test]
fn the_command_line_counts_most_then_the_environment_then_the_directory_then_the_file() {
    let files = Files::new(&[
        ("swnd.conf", "keep-alive = 10\ncall-timeout = 20\ndead-after = 30\nloss-spread = 40\n"),
        ("swnd.conf.d/20.conf", "keep-alive = 11\ncall-timeout = 21\ndead-after = 31\n"),
        ("swnd.conf.d/10.conf", "dead-after = 39\n"),
        ("swnd.conf.d/30.conf~", "dead-after = 38\n"),
    ]);
    let environment = [("SWND_KEEP_ALIVE", "12"), ("SWND_CALL_TIMEOUT", "22"), ("SWND_SPNEGO", "")];
    let settings = files.sources(&["--keep-alive=13"], &environment).load().unwrap();
    let Options { keep_alive, call_timeout, dead_after, loss_spread, spnego, .. } =
        settings.options;
    assert_eq!((keep_alive, call_timeout, dead_after, loss_spread), (13, 22, 31, 40));
    assert!(!spnego);
    for (key, expected) in [
        ("keep-alive", Origin::CommandLine),
        ("call-timeout", Origin::Environment("SWND_CALL_TIMEOUT".into())),
        ("dead-after", Origin::File(files.path("swnd.conf.d/20.conf"), 3)),
        ("loss-spread", Origin::File(files.path("swnd.conf"), 4)),
        ("spnego", Origin::Default),
    ] {
        assert_eq!(origin(&settings, key), expected, "{key}");
    }
}

#[test]
fn each_option_can_be_set_in_a_file() {
    let files = Files::new(&[(
        "swnd.conf",
        "debuglevel = 6\nlog = \"syslog\"\nclient-name = \"pc.example\"\nauth = [\"kerberos\", \"ntlm\"]\n\
        ccache = \"FILE:/run/cc\"\nkeytab = \"/etc/kt\"\nprincipal = \"HOST$\"\nspnego = true\n\
        allow-unsigned-headers = true\nkeep-alive = 1\ncall-timeout = 2\ndead-after = 5\n\
        failover = \"forward\"\nadopt = \"listed\"\nloss-spread = 0\ncontrol = \"none\"\nseccomp = \"off\"\nallow-core-dumps = true\n",
    )]);
    let settings = files.sources(&["--spnego=false"], &[]).load().unwrap();
    let of_files = |it: &&Setting| matches!(it.origin, Origin::File(..));
    let left: Vec<_> = settings.all.iter().filter(|it| !of_files(it)).map(|it| &it.key).collect();
    assert_eq!(left, ["config", "spnego"]);
    let options = settings.options;
    assert!(!options.spnego && options.allow_unsigned_headers && options.allow_core_dumps);
    assert_eq!(options.auth, [Mechanism::Kerberos, Mechanism::Ntlm]);
    assert_eq!(options.principal.as_deref(), Some("HOST$"));
    assert_eq!(options.config().client_name.read(), "pc.example");
    assert_eq!(options.control, Path::new("none"));
}

#[test]
fn all_that_is_wrong_is_told_with_file_line_and_what_is_allowed() {
    let files = Files::new(&[
        (
            "swnd.conf",
            "keepalive = 3\nkeep-alive = 4000\ncall-timeout = \"soon\"\n\nlog = journal\n\
             log = \"nowhere\"\nauth = [\"ntlm\", \"basic\"]\nspnego = 1\nconfig = \"/x\"\n\
             debuglevel = 11\n",
        ),
        ("swnd.conf.d/1.conf", "[kerberos]\n"),
    ]);
    let problems = files.problems(&[("SWND_FAILOVER", "never")]);
    let expected = [
        "swnd.conf:1: unknown key keepalive; do you mean keep-alive?",
        "swnd.conf:2: keep-alive: \"4000\" is not in 1..=3600",
        "swnd.conf:3: call-timeout: \"soon\" is not in 2..=7200",
        "swnd.conf:5: a string is quoted: \"journal\"",
        "swnd.conf:6: log: \"nowhere\" is not journal or syslog or stderr",
        "swnd.conf:7: auth: \"basic\" is not kerberos or ntlm",
        "swnd.conf:8: spnego: \"1\" is not true or false",
        "swnd.conf:9: unknown key config; ",
        "swnd.conf:10: debuglevel: \"11\" is not in 0..=10",
        "swnd.conf.d/1.conf:1: a section is [cluster.\"NAME\"] or [mount.\"//NAME/SHARE\"]; all else is set before the first",
        "SWND_FAILOVER: failover: \"never\" is not verified or forward",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with(expected), "{problem}\n{expected}");
    }
}

#[test]
fn a_cluster_has_settings_of_its_own_and_the_others_as_they_are_for_all() {
    let files = Files::new(&[
        (
            "swnd.conf",
            "auth = \"ntlm\"\nkeytab = \"/etc/kt\"\n[cluster.\"Files.Example\"]\n\
             auth = [\"kerberos\", \"ntlm\"]\nprincipal = \"HOST$\"\n",
        ),
        (
            "swnd.conf.d/1.conf",
            "[cluster.other]\nauth = \"kerberos\"\n[cluster.'files.example']\nprincipal = \"NODE$\"\n",
        ),
    ]);
    let settings = files.sources(&["--auth=ntlm"], &[]).load().unwrap();
    let names: Vec<_> = settings.clusters.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["files.example", "other"]);
    let own = &settings.clusters[0].1;
    assert_eq!(own.auth, [Mechanism::Kerberos, Mechanism::Ntlm]);
    assert_eq!((own.keytab.as_deref(), own.principal.as_deref()), (Some("/etc/kt"), Some("NODE$")));
    let last: Vec<_> = settings.all.iter().filter(|it| it.section.is_some()).collect();
    assert_eq!(last.len(), 3);
    let policy = settings.policy();
    let is_kerberos_allowed = |name| policy.of(name).credentials(&KernelAuth::Kerberos).is_ok();
    for (name, expected) in [("FILES.example", true), ("other", true), ("third", false)] {
        assert_eq!(is_kerberos_allowed(name), expected && cfg!(feature = "kerberos"), "{name}");
    }
    let files = Files::new(&[(
        "swnd.conf",
        "[cluster.a]\nkeep-alive = 3\nauht = \"ntlm\"\n\nprincipal = \"X$\"\nccache = [\"a\", \"b\"]\n",
    )]);
    let expected = [
        "swnd.conf:2: unknown key keep-alive; there are auth, ccache, keytab, principal",
        "swnd.conf:3: unknown key auht; do you mean auth?",
        "swnd.conf:6: ccache: one value is allowed, and no array",
        "swnd.conf:5: a principal needs a keytab",
    ];
    assert_eq!(files.problems(&[]), expected);
}

#[test]
fn mounts_to_adopt_have_a_section_each() {
    let files = Files::new(&[
        (
            "swnd.conf",
            "adopt = \"all\"\n[mount.\"//Files.Example/*\"]\n[mount.'//files.example/tmp']\n\
             watch = \"none\"\n",
        ),
        (
            "swnd.conf.d/1.conf",
            "[mount.'//FILES.example/*']\n[mount.'//other/data']\ncredentials = \"/etc/x\"\n",
        ),
    ]);
    let settings = files.sources(&[], &[]).load().unwrap();
    let rule =
        |pattern: &str, watch| Rule { pattern: pattern.parse().unwrap(), watch, credentials: None };
    let expected = [
        rule("//files.example/*", Watch::Witness),
        rule("//files.example/tmp", Watch::None),
        Rule {
            credentials: Some(CredentialsFrom::File("/etc/x".into())),
            ..rule("//other/data", Watch::Witness)
        },
    ];
    assert_eq!(settings.rules(), Rules { all: true, rules: expected.to_vec() });
    let of_sections: Vec<_> = settings.all.iter().filter(|it| it.section.is_some()).collect();
    let first = of_sections.first().unwrap();
    assert_eq!(first.origin, Origin::File(files.path("swnd.conf"), 2));
    assert!(files.sources(&["--failover=forward"], &[]).load().is_err());
}

#[test]
fn what_is_wrong_with_mounts_to_adopt_is_told() {
    let files = Files::new(&[(
        "swnd.conf",
        "[mount.cluster]\n[mount.\"//cl*/x\"]\n[mount.\"//c/x\"]\nwatch = \"never\"\nauth = \"ntlm\"\n\
         watch = [\"witness\"]\ncredentials = \"x\"\n",
    )]);
    let problems = files.problems(&[("SWND_FAILOVER", "forward")]);
    let expected = [
        "swnd.conf:1: \"cluster\": a mount is \"//SERVER/SHARE\", or",
        "swnd.conf:2: \"//cl*/x\": a mount is",
        "swnd.conf:4: watch: \"never\" is not witness, connection or none",
        "swnd.conf:5: unknown key auth; there are watch, credentials",
        "swnd.conf:6: watch is already set in line 4",
        "swnd.conf:7: credentials: \"x\" is not an absolute path, or fstab",
        "swnd.conf:3: to adopt mounts takes failover = \"verified\"",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with(expected), "{problem}\n{expected}");
    }
}

#[test]
fn settings_that_contradict_each_other_name_the_line_of_one() {
    let files = Files::new(&[("swnd.conf", "\ncall-timeout = 100\n")]);
    let problems = files.problems(&[]);
    let expected = "swnd.conf:2: the keep-alive (120s) must be less than the call timeout (100s)";
    assert!(problems.len() == 1 && problems[0].starts_with(expected), "{problems:?}");
    let files = Files::new(&[("swnd.conf", "principal = \"HOST$\"\n")]);
    assert_eq!(files.problems(&[]), ["swnd.conf:1: a principal needs a keytab"]);
    assert!(files.sources(&["--keytab", "/etc/kt"], &[]).load().is_ok());
}

#[test]
fn a_file_that_is_missing_is_an_error_where_it_was_asked_for() {
    let files = Files::new(&[]);
    let problems = files.problems(&[]);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("swnd.conf: No such file"), "{problems:?}");
    let by_variable = Sources {
        arguments: vec!["swnd".into()],
        environment: [("SWND_CONFIG".into(), files.path("swnd.conf").into())].into(),
    };
    assert!(matches!(by_variable.load(), Err(SettingsError::Configuration(_))));
    let none = Sources {
        arguments: ["swnd", "--config", "none"].map(OsString::from).into(),
        ..by_variable
    };
    assert_eq!(origin(&none.load().unwrap(), "config"), Origin::CommandLine);
}

#[test]
fn a_file_without_end_is_not_read_to_it() {
    let error = text(Path::new("/dev/zero")).unwrap_err().to_string();
    assert_eq!(error, "the file is longer than 64 KiB");
}
