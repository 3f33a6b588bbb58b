//! A client of the SMB witness protocol [MS-SWN] on tokio.

mod client;
mod commands;
mod driver;

pub use client::{Client, EventSink};
pub use swnclient_proto::{
    AuthLevel, Awaited, Call, Config, Credentials, Error, Event, Interface, KerberosCredentials,
    KerberosError, KerberosErrorKind, Notification, NtlmCredentials, RegistrationId,
    RegistrationRequest, ResourceState, Secret,
};
