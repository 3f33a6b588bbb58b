//! One step of a test.

use serde::Serialize;
use std::time::Duration;

/// How one step went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    /// notification, nodes, register, node, reconnect, move, moved, or registered.
    pub(crate) step: &'static str,
    /// Whether it went well.
    pub(crate) ok: bool,
    /// How long it took.
    pub(crate) micros: Option<u64>,
    /// The same as text.
    pub(crate) text: String,
}

impl Step {
    pub(super) fn done(step: &'static str, took: Duration, text: String) -> Self {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        Self { step, ok: true, micros: Some(micros), text }
    }

    pub(super) fn failed(step: &'static str, text: String) -> Self {
        Self { step, ok: false, micros: None, text }
    }
}
