//! A client of the SMB witness protocol [MS-SWN].

mod api;
mod client;
mod commands;
mod driver;
mod error;
pub mod proto;
pub mod wire;

pub use api::{
    Credentials, Event, Interface, Notification, RegistrationId, RegistrationRequest, ResourceState,
};
pub use client::{Client, EventSink};
pub use dcerpc::security::kerberos::{KerberosCredentials, KerberosError, KerberosErrorKind};
pub use dcerpc::security::ntlm::NtlmCredentials;
pub use dcerpc::security::{AuthLevel, Secret};
pub use error::Error;
pub use proto::Config;
