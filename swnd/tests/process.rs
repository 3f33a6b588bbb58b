//! The program as a service manager sees it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics fails, which is what it is for"
)]

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

fn swnd() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swnd"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A service manager's socket and the program it started.
struct Service {
    socket: UnixDatagram,
    child: Child,
    _directory: Directory,
}

/// A directory of its own, removed at the end.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("swnd-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Service {
    fn start(name: &str) -> Self {
        Self::start_as(name, swnd())
    }

    fn start_as(name: &str, mut command: Command) -> Self {
        let directory = Directory::new(name);
        let path = directory.0.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        // Whatever user it runs as.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        command.args(["-d", "10", "--log", "stderr"]).env("NOTIFY_SOCKET", &path);
        // What is not on the list ends it.
        command.env("SWND_SECCOMP", "kill");
        let child = command.spawn().unwrap();
        Self { socket, child, _directory: directory }
    }

    /// The next message, or nothing if the program ends without one.
    fn notified(&mut self) -> Option<String> {
        let mut buffer = [0; 512];
        self.socket.set_nonblocking(true).unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while std::time::Instant::now() < deadline {
            // In this order: what it sent before it ended is there by then.
            let ended = self.child.try_wait().unwrap().is_some();
            if let Ok(length) = self.socket.recv(&mut buffer) {
                return Some(String::from_utf8(buffer[..length].to_vec()).unwrap());
            }
            if ended {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("neither a message nor an end within 10 s");
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// The exit code and the log.
    fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (status.code(), log)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether this test may listen to the kernel. Where it may not, what the
/// program says then is what is tested.
fn privileged() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    // CAP_NET_ADMIN
    u64::from_str_radix(effective.trim(), 16).unwrap() & (1 << 12) != 0
}

fn ends_after(signal: &str) {
    let mut service = Service::start(signal);
    if !privileged() {
        assert_eq!(service.notified(), None);
        let (code, log) = service.end();
        assert_eq!(code, Some(1));
        assert!(log.contains("CAP_NET_ADMIN is missing"), "{log}");
        return;
    }
    assert_eq!(service.notified().as_deref(), Some("READY=1\n"));
    let status = service.notified().unwrap();
    assert!(status.starts_with("STATUS="), "{status}");
    service.signal("HUP");
    service.signal(signal);
    assert_eq!(service.notified().as_deref(), Some("STOPPING=1\n"));
    let (code, log) = service.end();
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn it_is_ready_tells_its_status_and_ends_at_sigterm() {
    ends_after("TERM");
}

#[test]
fn it_ends_at_sigint_but_not_at_sighup() {
    ends_after("INT");
}

#[test]
fn it_reads_its_configuration_again_at_sighup_and_goes_on_with_a_wrong_one() {
    if !privileged() {
        return;
    }
    let directory = Directory::new("reload");
    let file = directory.0.join("swnd.conf");
    std::fs::write(&file, "keep-alive = 30\n").unwrap();
    let mut command = swnd();
    command.arg("--config").arg(&file).args(["--control", "none"]);
    let mut service = Service::start_as("reload-notify", command);
    assert_eq!(service.notified().as_deref(), Some("READY=1\n"));
    let mut log = BufReader::new(service.child.stderr.take().unwrap());
    let mut reload = |text: &str| {
        std::fs::write(&file, text).unwrap();
        service.signal("HUP");
        let mut line = String::new();
        while !line.contains("configuration ") {
            line.clear();
            assert_ne!(log.read_line(&mut line).unwrap(), 0);
        }
        line
    };
    let line = reload("keep-alive = 40\nauth = \"ntlm\"\n");
    let told = "configuration read again: changed: auth; only a restart changes: keep-alive\n";
    assert!(line.ends_with(told), "{line}");
    let line = reload("keep-alive = 0\n");
    assert!(line.contains("configuration not read again: "), "{line}");
    assert!(line.ends_with("swnd.conf:1: keep-alive: \"0\" is not in 1..=3600\n"), "{line}");
    let line = reload("auth = \"ntlm\"\nkeep-alive = 30\n");
    assert!(line.ends_with("configuration read again: nothing has changed\n"), "{line}");
}

#[test]
fn its_control_socket_is_there_while_it_runs_and_for_everyone() {
    use std::os::unix::fs::FileTypeExt;
    if !privileged() {
        return ends_after("TERM");
    }
    let directory = Directory::new("control");
    // Made by the program, in spite of the umask that its unit sets.
    let path = directory.0.join("made/socket");
    for (control, there) in [(path.to_str().unwrap(), true), ("none", false)] {
        let mut command = Command::new("sh");
        command.args(["-c", "umask 077; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_swnd")]);
        command.args(["--control", control]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut service = Service::start_as("control-socket", command);
        assert_eq!(service.notified().as_deref(), Some("READY=1\n"));
        let found = std::fs::metadata(&path).ok();
        assert_eq!(found.is_some(), there);
        if let Some(found) = found {
            assert!(found.file_type().is_socket());
            assert_eq!(found.permissions().mode() & 0o777, 0o666);
            let made = std::fs::metadata(path.parent().unwrap()).unwrap();
            assert_eq!(made.permissions().mode() & 0o777, 0o755);
        }
        service.signal("TERM");
        let (code, log) = service.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(!log.contains("no control socket"), "{log}");
        assert!(!path.exists());
    }
}

/// A command without the capability that opens every process's memory.
fn without_ptrace() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The program with a limit on what it may lock.
fn without_ipc_lock() -> Command {
    let mut command = Command::new("prlimit");
    command.args(["--memlock=65536", "setpriv", "--bounding-set", "-ipc_lock"]);
    command.args(["--inh-caps", "-ipc_lock", env!("CARGO_BIN_EXE_swnd")]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Whether another process of the same user may look into its memory; so core
/// dumps may contain it.
fn is_dumpable(arguments: &[&str]) -> bool {
    let mut command = without_ptrace();
    command.arg(env!("CARGO_BIN_EXE_swnd")).args(arguments);
    let mut service = Service::start_as("dumpable", command);
    assert_eq!(service.notified().as_deref(), Some("READY=1\n"));
    let look = format!(": < /proc/{}/mem", service.child.id());
    without_ptrace().args(["sh", "-c", &look]).output().unwrap().status.success()
}

#[test]
fn its_memory_is_dumped_only_where_that_is_allowed() {
    if privileged() {
        assert!(!is_dumpable(&[]));
        assert!(is_dumpable(&["--allow-core-dumps"]));
    }
}

#[test]
fn its_memory_is_locked_where_it_may_lock_all_of_it() {
    if !privileged() {
        return ends_after("TERM");
    }
    for may in [true, false] {
        let command = if may { swnd() } else { without_ipc_lock() };
        let mut service = Service::start_as("locked", command);
        assert_eq!(service.notified().as_deref(), Some("READY=1\n"));
        let status = format!("/proc/{}/status", service.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
        assert_eq!(locked.trim() != "0 kB", may, "{locked}");
        service.signal("TERM");
        let (code, log) = service.end();
        assert_eq!(code, Some(0), "{log}");
        let told = log.contains("may be swapped: neither CAP_IPC_LOCK nor LimitMEMLOCK=infinity");
        assert_eq!(told, !may, "{log}");
    }
}

#[test]
fn it_says_that_it_is_in_another_network_namespace() {
    if !privileged() {
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["--net", env!("CARGO_BIN_EXE_swnd")]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut service = Service::start_as("namespace", command);
    assert_eq!(service.notified().as_deref(), Some("READY=1\n"));
    // It follows the line.
    assert!(service.notified().unwrap().starts_with("STATUS="));
    service.signal("TERM");
    let (code, log) = service.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("network namespace only: start swnd there"), "{log}");
}

#[test]
fn it_may_have_as_many_files_open_as_its_hard_limit_allows() {
    if !privileged() {
        return;
    }
    let mut command = Command::new("prlimit");
    command.args(["--nofile=64:3000", env!("CARGO_BIN_EXE_swnd")]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut service = Service::start_as("descriptors", command);
    assert_eq!(service.notified().as_deref(), Some("READY=1\n"));
    let limits = format!("/proc/{}/limits", service.child.id());
    let limits = std::fs::read_to_string(limits).unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let files: Vec<&str> = files.split_whitespace().collect();
    assert_eq!(files, ["3000", "3000", "files"]);
}

/// `/proc/PID/status` of each of its threads.
fn statuses(service: &Service) -> impl Iterator<Item = String> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", service.child.id())).unwrap();
    threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap())
}

fn value<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim()
}

#[test]
fn a_filter_of_system_calls_holds_for_each_of_its_threads_unless_it_is_off() {
    if !privileged() {
        return;
    }
    // SECCOMP_MODE_FILTER, beside those that this process has.
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let own: u32 = value(&own, "Seccomp_filters:").parse().unwrap();
    for (option, expected) in [(None, 1), (Some("off"), 0)] {
        let mut command = swnd();
        command.args(option.map(|it| format!("--seccomp={it}")));
        let mut service = Service::start_as("filter", command);
        assert_eq!(service.notified().as_deref(), Some("READY=1\n"));
        let mut threads = 0;
        for status in statuses(&service) {
            let filters: u32 = value(&status, "Seccomp_filters:").parse().unwrap();
            assert_eq!(filters - own, expected);
            assert_eq!(value(&status, "Seccomp:") == "2", own + expected > 0);
            threads += 1;
        }
        assert!(threads > 1, "{threads}");
    }
}

/// The capabilities of each of its threads: inheritable, permitted, effective, bounding
/// and ambient.
fn capabilities(service: &Service) -> Vec<[u64; 5]> {
    let of = |status: String| {
        let value = |name| value(&status, name);
        assert_eq!(value("NoNewPrivs:"), "1");
        ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"]
            .map(|name| u64::from_str_radix(value(name), 16).unwrap())
    };
    statuses(service).map(of).collect()
}

#[test]
fn it_keeps_one_capability_and_gets_no_new_ones() {
    const NET_ADMIN: u64 = 1 << 12;
    const IPC_LOCK: u64 = 1 << 14;
    if !privileged() {
        return;
    }
    for (command, may_keep) in [(without_ipc_lock(), 0), (swnd(), IPC_LOCK)] {
        let mut service = Service::start_as("privileges", command);
        assert_eq!(service.notified().as_deref(), Some("READY=1\n"));
        for all in capabilities(&service) {
            // Locking beyond a limit that it may not lift takes the other one.
            let kept = all.map(|set| set & !may_keep);
            assert_eq!(kept, [0, NET_ADMIN, NET_ADMIN, NET_ADMIN, 0], "{all:x?}");
        }
    }
}

#[test]
fn it_runs_as_another_user_than_root_that_has_one_capability() {
    if !privileged() {
        return;
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.args(["--inh-caps=-all,+net_admin", "--ambient-caps=-all,+net_admin"]);
    command.args([env!("CARGO_BIN_EXE_swnd"), "--control", "none"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut service = Service::start_as("other-user", command);
    assert_eq!(service.notified().as_deref(), Some("READY=1\n"));
    for status in statuses(&service) {
        assert_eq!(value(&status, "CapEff:"), "0000000000001000");
        assert_eq!(value(&status, "NoNewPrivs:"), "1");
    }
    service.signal("TERM");
    let (code, log) = service.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains(" warning "), "{log}");
}

#[test]
fn it_tells_a_service_manager_that_watches_it_that_its_event_loop_goes_on() {
    if !privileged() {
        return;
    }
    let mut command = swnd();
    command.env("WATCHDOG_USEC", "20000");
    let mut service = Service::start_as("watchdog", command);
    let mut beats = 0;
    while beats < 3 {
        let message = service.notified().expect("it goes on");
        beats += u32::from(message == "WATCHDOG=1\n");
    }
    let mut command = swnd();
    command.env("WATCHDOG_USEC", "20000").env("WATCHDOG_PID", "1");
    let mut other = Service::start_as("other-watchdog", command);
    // As many messages as come where it beats.
    assert!(other.notified().unwrap().starts_with("READY=1"));
    assert!(other.notified().unwrap().starts_with("STATUS="));
    other.signal("TERM");
    assert!(other.notified().unwrap().starts_with("STOPPING=1"));
}

/// The hook for it is in debug builds only.
#[cfg(debug_assertions)]
#[test]
fn a_panic_wherever_it_is_ends_it_with_a_line_in_the_log() {
    use std::os::unix::process::ExitStatusExt;
    const SIGABRT: i32 = 6;
    for place in ["turn", "task", "thread"] {
        let mut command = swnd();
        command
            .args(["-d", "0", "--log", "stderr"])
            .env("SWND_TEST_PANIC", place)
            .env("SWND_SECCOMP", "kill");
        let output = command.output().unwrap();
        assert_eq!(output.status.signal(), Some(SIGABRT), "{place}: {}", output.status);
        let log = String::from_utf8(output.stderr).unwrap();
        let bugs: Vec<&str> = log.lines().filter(|line| line.contains("a bug in swnd")).collect();
        let [line] = bugs.as_slice() else {
            panic!("{place}: {log}");
        };
        assert!(line.contains("which ends: panicked at swnd/src/panics.rs:"), "{line}");
        assert!(line.ends_with(&format!(": in a {place}")), "{line}");
    }
}

fn output(arguments: &[&str]) -> Output {
    swnd().args(arguments).output().unwrap()
}

#[test]
fn it_tells_its_version() {
    let output = output(&["--version"]);
    assert!(output.status.success());
    let expected = concat!("swnd ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn a_wrong_option_is_an_error_of_its_own() {
    assert_eq!(output(&["--no-such-option"]).status.code(), Some(2));
}

#[test]
fn a_wrong_configuration_is_told_with_its_lines_and_ends_it() {
    let directory = Directory::new("wrong-configuration");
    let file = directory.0.join("swnd.conf");
    std::fs::write(&file, "keep-alive = 0\nkeytap = \"/etc/kt\"\n").unwrap();
    let file = file.to_str().unwrap();
    let output = output(&["--config", file]);
    assert_eq!(output.status.code(), Some(2));
    let expected = format!(
        "swnd: {file}:1: keep-alive: \"0\" is not in 1..=3600\n\
         swnd: {file}:2: unknown key keytap; do you mean keytab?\n"
    );
    assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
}
