//! The connection to the daemon's control socket.

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;
use swnd::control::interface::{
    Counted, Counters, Interface, Listed, Monitored, NAME, ProbeStep, Probed, Reloaded, Resolved,
    Status, Tested,
};

/// How long the daemon may take for a reply.
const LIMIT: Duration = Duration::from_secs(20);

/// How long a step of a probe may take.
const PROBE_LIMIT: Duration = Duration::from_secs(90);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The daemon isn't there.
    #[error("swnd does not run, or has no control socket: {0}; systemctl enable --now swnd")]
    NotRunning(io::Error),
    /// The socket may not be used.
    #[error("no permission; try again as root")]
    PermissionDenied,
    /// There is no such registration.
    #[error("the kernel has no such registration")]
    NotFound,
    /// The daemon's configuration is wrong.
    #[error("nothing is changed: {}", .0.join("\nswnctl: "))]
    BadConfiguration(Vec<String>),
    /// The connection broke.
    #[error("the connection to swnd is lost: {0}")]
    Lost(io::Error),
    /// The kernel has not taken a test's notification.
    #[error("{0}")]
    TestFailed(String),
    /// Another error reply.
    #[error("swnd replies {0}")]
    Other(String),
}

impl From<io::Error> for CallError {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

/// A connection.
#[derive(Debug)]
pub struct Connection(BufReader<UnixStream>);

impl Connection {
    /// Connects.
    pub fn open(path: &Path) -> Result<Self, CallError> {
        Self::open_within(path, LIMIT)
    }

    /// Connects to a daemon that may take so long for that, and for each reply.
    pub fn open_within(path: &Path, limit: Duration) -> Result<Self, CallError> {
        let flags = SocketFlags::CLOEXEC;
        let stream = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let stream = UnixStream::from(stream.map_err(io::Error::from)?);
        stream.set_read_timeout(Some(limit))?;
        // For connect(2), too.
        stream.set_write_timeout(Some(limit))?;
        let address = SocketAddrUnix::new(path);
        let connected = address.and_then(|address| connect(&stream, &address));
        connected.map_err(|error| match error.into() {
            error if io::Error::kind(&error) == io::ErrorKind::PermissionDenied => {
                CallError::PermissionDenied
            }
            error => CallError::NotRunning(error),
        })?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Returns the daemon's status.
    pub fn status(&mut self) -> Result<Status, CallError> {
        self.call("Status", &json!({}))
    }

    /// Starts an attempt to register.
    pub fn retry(&mut self, id: u32) -> Result<(), CallError> {
        self.call::<Value>("Retry", &json!({ "id": id })).map(drop)
    }

    /// Returns what the daemon has counted.
    pub fn counters(&mut self) -> Result<Counters, CallError> {
        let Counted { counters } = self.call("Counters", &json!({}))?;
        Ok(counters)
    }

    /// Returns the cluster's addresses as they were last listed for a registration.
    pub fn interfaces(&mut self, id: u32) -> Result<Vec<Interface>, CallError> {
        let Listed { interfaces } = self.call("Interfaces", &json!({ "id": id }))?;
        Ok(interfaces)
    }

    /// Gives the kernel a notification, and returns how long that took: a harmless one, or
    /// one that has it reconnect.
    pub fn test_notify(&mut self, id: u32, reconnect: bool) -> Result<Duration, CallError> {
        let parameters = json!({ "id": id, "reconnect": reconnect });
        let Tested { micros } = self.call("TestNotify", &parameters)?;
        Ok(Duration::from_micros(micros))
    }

    /// Has the daemon try the way to a witness, and hands each step to `each`.
    pub fn probe(&mut self, id: u32, mut each: impl FnMut(ProbeStep)) -> Result<(), CallError> {
        self.send("Probe", &json!({ "id": id }), true)?;
        self.0.get_ref().set_read_timeout(Some(PROBE_LIMIT))?;
        loop {
            let (Probed { step }, continues) = self.receive_one()?;
            each(step);
            if !continues {
                return Ok(self.0.get_ref().set_read_timeout(Some(LIMIT))?);
            }
        }
    }

    /// Returns where the kernel should connect to for a server's name.
    pub fn resolve(&mut self, name: &str) -> Result<Resolved, CallError> {
        self.call("Resolve", &json!({ "name": name }))
    }

    /// Sets the log's level.
    pub fn set_log_level(&mut self, level: &str) -> Result<(), CallError> {
        self.call::<Value>("SetLogLevel", &json!({ "level": level })).map(drop)
    }

    /// Has the configuration read again.
    pub fn reload(&mut self) -> Result<Reloaded, CallError> {
        self.call("Reload", &json!({}))
    }

    /// Asks for events; [`Connection::event`] returns them.
    pub fn monitor(&mut self) -> Result<(), CallError> {
        self.send("Monitor", &json!({}), true)?;
        Ok(self.0.get_ref().set_read_timeout(None)?)
    }

    /// Waits for an event for `limit` at most; `None` if none comes.
    pub fn event_within(&mut self, limit: Duration) -> Result<Option<Monitored>, CallError> {
        // Zero would be for ever.
        self.0.get_ref().set_read_timeout(Some(limit.max(Duration::from_millis(1))))?;
        match self.event() {
            Ok(event) => Ok(Some(event)),
            Err(CallError::Lost(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits for an event.
    pub fn event(&mut self) -> Result<Monitored, CallError> {
        self.receive()
    }

    fn call<T: DeserializeOwned>(
        &mut self,
        method: &str,
        parameters: &Value,
    ) -> Result<T, CallError> {
        self.send(method, parameters, false)?;
        self.receive()
    }

    fn send(&mut self, method: &str, parameters: &Value, more: bool) -> Result<(), CallError> {
        let call =
            json!({ "method": format!("{NAME}.{method}"), "parameters": parameters, "more": more });
        Ok(self.0.get_mut().write_all(format!("{call}\0").as_bytes())?)
    }

    fn receive<T: DeserializeOwned>(&mut self) -> Result<T, CallError> {
        self.receive_one().map(|(reply, _)| reply)
    }

    /// Returns a reply, and whether more follow.
    fn receive_one<T: DeserializeOwned>(&mut self) -> Result<(T, bool), CallError> {
        let mut bytes = Vec::new();
        self.0.read_until(0, &mut bytes)?;
        if bytes.pop() != Some(0) {
            return Err(CallError::Lost(io::ErrorKind::UnexpectedEof.into()));
        }
        let invalid = |error: serde_json::Error| CallError::Lost(error.into());
        let mut reply: Value = serde_json::from_slice(&bytes).map_err(invalid)?;
        match reply.get("error").and_then(Value::as_str) {
            Some("org.varlink.service.PermissionDenied") => Err(CallError::PermissionDenied),
            Some("org.swnclient.Witness.NotFound") => Err(CallError::NotFound),
            Some("org.swnclient.Witness.BadConfiguration") => {
                let problems = reply.pointer_mut("/parameters/problems").map(Value::take);
                let problems = serde_json::from_value(problems.unwrap_or_default());
                Err(CallError::BadConfiguration(problems.unwrap_or_default()))
            }
            Some("org.swnclient.Witness.TestFailed") => {
                let reason = reply.pointer("/parameters/reason").and_then(Value::as_str);
                Err(CallError::TestFailed(reason.unwrap_or_default().into()))
            }
            Some(error) => Err(CallError::Other(error.into())),
            None => {
                let parameters = reply.get_mut("parameters").map(Value::take).unwrap_or_default();
                let continues = reply.get("continues").and_then(Value::as_bool);
                let parameters = serde_json::from_value(parameters).map_err(invalid)?;
                Ok((parameters, continues.unwrap_or_default()))
            }
        }
    }
}
