//! A client of the SMB witness protocol [MS-SWN].

mod api;
mod client;
mod error;
pub mod wire;

pub use api::{
    Credentials, Event, Notification, RegistrationId, RegistrationRequest, ResourceState,
};
pub use client::{Client, Config, EventSink};
pub use dcerpc::security::ntlm::NtlmCredentials;
pub use error::Error;
