//! The User Mode Linux guest.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{lab_dir, script};

/// What a command may take that isn't expected to wait for anything.
const SHORT: Duration = Duration::from_secs(30);

/// A running kernel with the cifs client, at 10.77.0.3 on the cluster's network. It sees this machine's own files.
pub struct Guest {
    uml: Child,
    /// Tells the guest what to run; the guest goes when it is closed.
    console: Mutex<Option<ChildStdin>>,
    answers: Arc<Answers>,
    reader: Option<JoinHandle<()>>,
    /// The commands and their output.
    dir: PathBuf,
    last_id: AtomicU32,
    abandoned: AtomicBool,
}

/// What a command has left.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its exit status, 128 + the signal that killed it.
    pub status: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// The exit status of each command that has ended, and whether the guest has.
#[derive(Default)]
struct Answers {
    state: Mutex<(HashMap<u32, i32>, bool)>,
    changed: Condvar,
}

impl Guest {
    /// Boots the guest; the cluster must be up.
    ///
    /// # Panics
    /// Where it doesn't come up, with what its kernel said.
    pub fn boot() -> Guest {
        Guest::boot_by(Command::new(script("uml")))
    }

    /// Boots a kernel by its name, as `uml-kernel` lists them, whatever `LAB_KERNEL` says.
    ///
    /// # Panics
    /// As [`Guest::boot`].
    pub fn boot_kernel(kernel: &str) -> Guest {
        let mut uml = Command::new(script("uml"));
        uml.env("LAB_KERNEL", kernel);
        Guest::boot_by(uml)
    }

    fn boot_by(mut uml: Command) -> Guest {
        let dir = make_dir();
        let mut uml = uml
            .arg("serve")
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("uml can be started");
        let console = Mutex::new(uml.stdin.take());
        let mut lines = BufReader::new(uml.stdout.take().expect("stdout is piped"))
            .lines()
            .map_while(Result::ok);
        let up = lines.any(|line| line.trim() == "ready");
        let answers = Arc::new(Answers::default());
        let reader = Some(std::thread::spawn({
            let answers = Arc::clone(&answers);
            move || answers.collect(lines)
        }));
        let guest = Guest {
            uml,
            console,
            answers,
            reader,
            dir,
            last_id: AtomicU32::new(0),
            abandoned: AtomicBool::new(false),
        };
        assert!(up, "the guest did not come up\n{}", guest.kernel_log());
        guest
    }

    /// Runs a shell command to its end.
    ///
    /// # Panics
    /// Where it takes longer than half a minute.
    pub fn run(&self, command: &str) -> Output {
        self.spawn(command).wait(SHORT)
    }

    /// Runs a shell command that is to succeed, and gives its standard output.
    ///
    /// # Panics
    /// Where it fails, with its standard error.
    pub fn ok(&self, command: &str) -> String {
        let output = self.run(command);
        assert_eq!(output.status, 0, "in the guest: {command}\n{}{}", output.stdout, output.stderr);
        output.stdout
    }

    /// Starts a shell command. `exec` in it makes the program itself the process that [`Process::signal`] reaches.
    ///
    /// # Panics
    /// Where the guest is gone.
    pub fn spawn(&self, command: &str) -> Process<'_> {
        let id = self.last_id.fetch_add(1, Ordering::SeqCst) + 1;
        fs::write(self.dir.join(format!("{id}.sh")), command)
            .expect("the guest's directory can be written");
        let mut console = self.console.lock().expect("the console is not poisoned");
        let written = writeln!(console.as_mut().expect("the guest is on"), "{id}");
        assert!(written.is_ok(), "the guest is gone: {command}\n{}", self.kernel_log());
        Process { guest: self, id, command: command.to_owned() }
    }

    /// Returns the version of its kernel and what that leaves out, for example `6.12.95+nodestroy`. The environment
    /// variable `LAB_KERNEL` chooses it; `uml-kernel` has which there are.
    pub fn kernel(&self) -> String {
        self.ok("uname -r").trim_end().to_owned()
    }

    /// Confines a program by the daemon's AppArmor profile, in enforce mode, where the kernel has AppArmor
    /// (`LAB_KERNEL=6.12+apparmor`). What the program is given in the guest's directory is added to it.
    pub(crate) fn confine(&self, program: &Path) {
        let profile =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/apparmor/usr.sbin.swnd");
        self.ok(&format!(
            "test -e /sys/module/apparmor || exit 0
            mountpoint -q /sys/kernel/security || mount -t securityfs securityfs /sys/kernel/security
            sed 's|/usr/sbin/swnd|{}|; s|include if exists <local/.*|{}/** rwk, {}/krb5/** rwk, /run/{{krb5cc_*,*.ccache}} rwk,|' '{profile}' |
                apparmor_parser --replace --skip-cache
            grep -Fx 'swnd (enforce)' /sys/kernel/security/apparmor/profiles",
            program.display(),
            self.dir.display(),
            lab_dir().display(),
        ));
    }

    /// What AppArmor has denied so far.
    pub(crate) fn denied(&self) -> String {
        self.run("dmesg | grep 'apparmor=\"DENIED\"'").stdout
    }

    /// The contents of /proc/fs/cifs/DebugData.
    pub fn cifs_debug_data(&self) -> String {
        self.ok("cat /proc/fs/cifs/DebugData")
    }

    /// The numbers of the generic netlink family `cifs` and of its multicast group, while the module is loaded.
    pub(crate) fn cifs_family(&self) -> Option<(u16, u32)> {
        let about = self.run("genl ctrl get name cifs").stdout;
        let number = |after: &str| {
            let digits = about.split_once(after)?.1.split_whitespace().next()?;
            u32::from_str_radix(digits.trim_start_matches("0x"), 16).ok()
        };
        Some((number("\tID: ")?.try_into().ok()?, number("multicast groups:\n\t\t#1:  ID-")?))
    }

    /// The server addresses of the kernel's SMB sessions.
    pub fn session_addresses(&self) -> Vec<IpAddr> {
        let data = self.cifs_debug_data();
        let addresses = data
            .lines()
            .filter_map(|line| line.split_once(") Address: ")?.1.split_whitespace().next());
        addresses.map(|address| address.parse().expect("DebugData shows addresses")).collect()
    }

    /// Gives the cluster's name these addresses, in this order. Without it, it has one: 10.77.0.101.
    pub fn set_cluster_addresses(&self, addresses: &[Ipv4Addr]) {
        let lines: String = addresses
            .iter()
            .map(|address| format!("{address} witclu witclu.wit.test\\n"))
            .collect();
        self.ok(&format!("printf '127.0.0.1 localhost\\n{lines}' > /etc/hosts"));
    }

    /// Makes its end a power cut: a kernel whose mount hangs doesn't go down by itself. What runs in it is left alone.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::SeqCst);
    }

    /// Kills the kernel and its helpers, which end with their namespace. The script cleans up after it.
    fn kill_kernel(&self) {
        let script = self.uml.id().to_string();
        let _ = Command::new("pkill").args(["-KILL", "-P", &script]).status();
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::SeqCst)
    }

    /// What the kernel has said on its console: warnings and worse.
    pub fn kernel_log(&self) -> String {
        fs::read_to_string(self.dir.join("kernel.log")).unwrap_or_default()
    }

    /// A directory that the host and the guest both see.
    pub fn shared_dir(&self) -> &Path {
        &self.dir
    }

    /// A file as the guest sees it now. What it writes on the host's file system can be seen from outside only when it
    /// has closed the file.
    pub fn read(&self, path: &Path) -> Vec<u8> {
        let process = self.spawn(&format!("exec cat '{}'", path.display()));
        let output = process.wait(SHORT);
        assert_eq!(output.status, 0, "in the guest: {}: {}", path.display(), output.stderr);
        fs::read(process.path("out")).expect("the command's output is there")
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        *self.console.lock().unwrap_or_else(|e| e.into_inner()) = None;
        if self.is_abandoned() {
            self.kill_kernel();
        }
        let deadline = Instant::now() + Duration::from_secs(15);
        while matches!(self.uml.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                eprintln!("the guest does not go down by itself\n{}", self.kernel_log());
                let _ = self.uml.kill();
                let _ = self.uml.wait();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.reader.take().map(JoinHandle::join);
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Answers {
    fn collect(&self, lines: impl Iterator<Item = String>) {
        for line in lines {
            let mut words = line.split_whitespace().map_while(|word| word.parse().ok());
            if let (Some(id), Some(status)) = (words.next(), words.next()) {
                let id = u32::try_from(id).unwrap_or_default();
                self.state.lock().expect("answers are not poisoned").0.insert(id, status);
                self.changed.notify_all();
            }
        }
        self.state.lock().expect("answers are not poisoned").1 = true;
        self.changed.notify_all();
    }

    /// `Err` says why there is no answer.
    fn wait(&self, id: u32, limit: Duration) -> Result<i32, &'static str> {
        let state = self.state.lock().expect("answers are not poisoned");
        let (state, _) = self
            .changed
            .wait_timeout_while(state, limit, |(ended, gone)| !ended.contains_key(&id) && !*gone)
            .expect("answers are not poisoned");
        match state.0.get(&id) {
            Some(status) => Ok(*status),
            None if state.1 => Err("the guest is gone"),
            None => Err("it has not ended in time"),
        }
    }
}

/// A command that runs in the guest. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process<'a> {
    guest: &'a Guest,
    id: u32,
    command: String,
}

impl Process<'_> {
    pub(crate) fn guest(&self) -> &Guest {
        self.guest
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// After `limit`, with what it has written.
    pub fn wait(&self, limit: Duration) -> Output {
        match self.guest.answers.wait(self.id, limit) {
            Ok(status) => {
                let read = |name| {
                    String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default())
                        .into_owned()
                };
                Output { status, stdout: read("out"), stderr: read("err") }
            }
            Err(why) => {
                let shown = |name| fs::read_to_string(self.path(name)).unwrap_or_default();
                panic!(
                    "in the guest: {}: {why} ({limit:?})\n{}{}",
                    self.command,
                    shown("out"),
                    shown("err")
                )
            }
        }
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        self.guest.answers.wait(self.id, Duration::ZERO).is_err()
    }

    /// Sends a signal, by its name without SIG.
    pub fn signal(&self, name: &str) {
        self.guest.run(&format!("kill -{name} $(cat /run/lab-{}.pid)", self.id));
    }

    /// Its standard output so far.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.guest.read(&self.path("out"))).into_owned()
    }

    /// Its standard error so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.guest.read(&self.path("err"))).into_owned()
    }

    fn path(&self, extension: &str) -> PathBuf {
        self.guest.dir.join(format!("{}.{extension}", self.id))
    }
}

impl Drop for Process<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.guest.is_abandoned() && self.is_running() {
            self.signal("KILL");
        }
    }
}

/// A new directory for the commands and what they print.
fn make_dir() -> PathBuf {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let name = format!("swn-guest-{}-{}", std::process::id(), LAST.fetch_add(1, Ordering::SeqCst));
    let dir = std::env::temp_dir().join(name);
    fs::create_dir_all(&dir).expect("a temporary directory can be made");
    dir
}
