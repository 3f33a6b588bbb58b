#![doc = include_str!("../README.md")]

mod client;
mod commands;
mod driver;

pub use client::{Client, EventSink, Registration};
pub use swnclient_proto::{
    AuthLevel, Awaited, Call, Config, ConfigError, Credentials, Error, Event, Interface,
    KerberosCredentials, KerberosError, KerberosErrorKind, Notification, NtlmCredentials,
    RegistrationId, RegistrationRequest, ResourceState, Secret,
};
