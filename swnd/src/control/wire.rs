//! Varlink on a stream socket: JSON objects, each with a NUL behind it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

/// How long a request may be, in bytes.
pub(super) const REQUEST_MAX: usize = 64 << 10;
/// How long a client may take to read a reply.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// A method call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Call {
    pub(super) method: String,
    #[serde(default)]
    pub(super) parameters: Option<Map<String, Value>>,
    #[serde(default)]
    pub(super) more: bool,
    #[serde(default)]
    pub(super) oneway: bool,
}

impl Call {
    /// Returns a parameter, or the error that it is missing or of another type.
    pub(super) fn parameter<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Result<T, Failure> {
        let value = self.parameters.as_ref().and_then(|parameters| parameters.get(name));
        value.and_then(|value| T::deserialize(value).ok()).ok_or_else(|| Failure::invalid(name))
    }
}

/// An error reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Failure {
    error: &'static str,
    parameters: Value,
}

impl Failure {
    pub(super) fn new(error: &'static str, parameters: Value) -> Self {
        Self { error, parameters }
    }

    pub(super) fn invalid(parameter: &str) -> Self {
        Self::new("org.varlink.service.InvalidParameter", json!({ "parameter": parameter }))
    }

    pub(super) fn not_found(id: u32) -> Self {
        Self::new("org.swnclient.Witness.NotFound", json!({ "id": id }))
    }

    pub(super) fn permission_denied() -> Self {
        Self::new("org.varlink.service.PermissionDenied", json!({}))
    }

    pub(super) fn busy() -> Self {
        Self::new("org.swnclient.Witness.Busy", json!({}))
    }

    /// The reply's bytes.
    pub(super) fn encode(&self) -> io::Result<Vec<u8>> {
        encode(self)
    }
}

/// Encodes a message with its NUL.
pub(super) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(message)?;
    bytes.push(0);
    Ok(bytes)
}

/// A reply that more follow.
#[derive(Serialize)]
struct Reply<'a, P> {
    parameters: &'a P,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    continues: bool,
}

/// A connection.
pub(super) struct Connection {
    stream: UnixStream,
    received: Vec<u8>,
    /// Up to where `received` has no NUL.
    searched: usize,
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, received: Vec::new(), searched: 0 }
    }

    /// Returns the next call; `None` at the end of the stream. Cancelling loses
    /// nothing.
    pub(super) async fn call(&mut self) -> io::Result<Option<Call>> {
        loop {
            let unsearched = self.received.get(self.searched..).unwrap_or_default();
            if let Some(at) = unsearched.iter().position(|byte| *byte == 0) {
                let end = self.searched + at;
                let call = serde_json::from_slice(self.received.get(..end).unwrap_or_default());
                self.received.drain(..=end);
                self.searched = 0;
                return Ok(Some(call?));
            }
            self.searched = self.received.len();
            if self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Returns once the client has closed the connection, or has sent more than one
    /// request may have.
    pub(super) async fn closed(&mut self) {
        while !matches!(self.fill().await, Ok(0) | Err(_)) {}
    }

    async fn fill(&mut self) -> io::Result<usize> {
        if self.received.len() > REQUEST_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too long a request"));
        }
        self.stream.read_buf(&mut self.received).await
    }

    /// Sends a reply.
    pub(super) async fn reply(
        &mut self,
        parameters: &impl Serialize,
        continues: bool,
    ) -> io::Result<()> {
        self.send(&encode(&Reply { parameters, continues })?).await
    }

    /// Sends bytes, and fails where the client does not take them in time.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(WRITE_LIMIT, self.stream.write_all(bytes)).await?
    }
}
