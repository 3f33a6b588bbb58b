//! A log that is not read holds nothing up: not the start, not a notification, not
//! the end.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

mod notifications;

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use swnd::logging;
use swnd::options::LogTarget;

/// What a pipe holds, in bytes.
const PIPE: usize = 65_536;
/// For a start on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(10);
/// From SIGTERM to the end.
const END_LIMIT: Duration = Duration::from_secs(3);
const NOTIFICATIONS: usize = 5000;

/// A pipe that is full.
fn full_pipe() -> (File, File) {
    let (read, write) = rustix::pipe::pipe().unwrap();
    let mut write = File::from(write);
    write.write_all(&[b'x'; PIPE]).unwrap();
    (read.into(), write)
}

/// A directory of its own, removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("swnd-unread-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Binds a socket that holds no more datagrams.
fn full_socket(path: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    sender.connect(path).unwrap();
    while sender.send(b"x").is_ok() {}
    socket
}

/// A program that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program with a log socket at the usual places.
fn with_log_socket(socket: &Path) -> Command {
    const SCRIPT: &str = r#"
        mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal
        ln -s "$1" /run/systemd/journal/socket
        if test -e /dev/log; then mount --bind "$1" /dev/log; else ln -s "$1" /run/syslog; fi
        shift
        exec "$@"
    "#;
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-ec", SCRIPT, "sh"]).arg(socket).arg(env!("CARGO_BIN_EXE_swnd"));
    command.stderr(Stdio::null());
    command
}

fn starts_and_ends(name: &str) {
    // CAP_NET_ADMIN for the kernel's socket, CAP_SYS_ADMIN for the log's.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let directory = Directory::new(name);
    let _unread = full_socket(&directory.0.join("log"));
    let (_read, write) = full_pipe();
    let mut command = match name {
        "stderr" => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_swnd"));
            command.stderr(write);
            command
        }
        _ => with_log_socket(&directory.0.join("log")),
    };
    let notify = UnixDatagram::bind(directory.0.join("notify")).unwrap();
    notify.set_read_timeout(Some(START_LIMIT)).unwrap();
    command.env("NOTIFY_SOCKET", directory.0.join("notify")).stdin(Stdio::null());
    command.env("SWND_SECCOMP", "kill");
    let mut running = Running(command.args(["-d", "10", "--log", name]).spawn().unwrap());

    let mut buffer = [0; 64];
    let length = notify.recv(&mut buffer).expect("it is ready");
    assert_eq!(buffer.get(..length), Some(&b"READY=1\n"[..]));

    let asked = Instant::now();
    let pid = rustix::process::Pid::from_child(&running.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let status = loop {
        if let Some(status) = running.0.try_wait().unwrap() {
            break status;
        }
        assert!(asked.elapsed() < END_LIMIT, "it still runs");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(status.success(), "{status}");
}

#[test]
fn it_starts_and_ends_with_a_journal_that_is_not_read() {
    starts_and_ends("journal");
}

#[test]
fn it_starts_and_ends_with_a_syslog_that_is_not_read() {
    starts_and_ends("syslog");
}

#[test]
fn it_starts_and_ends_with_a_standard_error_stream_that_is_not_read() {
    starts_and_ends("stderr");
}

#[test]
fn notifications_go_out_while_the_log_is_not_read_and_it_says_then_what_is_missing() {
    let (mut read, write) = full_pipe();
    rustix::stdio::dup2_stderr(write).unwrap();
    let (done, times) = mpsc::channel();
    std::thread::spawn(move || {
        logging::init(Some(LogTarget::Stderr), log::LevelFilter::Debug).unwrap();
        notifications::hand_on(NOTIFICATIONS, |time| done.send(time).unwrap());
    });
    let mut longest = Duration::ZERO;
    for nth in 0..NOTIFICATIONS {
        let time = times.recv_timeout(Duration::from_secs(10));
        let time = time.unwrap_or_else(|_| panic!("stopped after {nth}"));
        longest = longest.max(time);
    }
    println!("{NOTIFICATIONS} notifications, the longest took {longest:?}");

    let (missing, found) = mpsc::channel();
    std::thread::spawn(move || {
        let mut log = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = read.read(&mut buffer) {
            log.extend_from_slice(buffer.get(..length).unwrap());
            let text = String::from_utf8_lossy(&log);
            if let Some(line) = text.lines().find(|line| line.contains("lines dropped")) {
                return missing.send(line.to_owned()).unwrap();
            }
        }
    });
    let line = found.recv_timeout(START_LIMIT).expect("it says what is missing");
    assert!(line.contains("warning "), "{line}");
}
