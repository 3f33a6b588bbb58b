#![doc = include_str!("../README.md")]

mod auth_threads;
mod client;
mod commands;
mod driver;
mod host;
mod sink;

pub use client::{Client, Registration};
pub use host::{host_name, is_own_address};
pub use sink::EventSink;
pub use swnclient_proto::{
    AuthLevel, Awaited, Call, ClientName, Config, ConfigError, Credentials, Error, Event,
    Interface, KerberosCredentials, KerberosError, KerberosErrorKind, Notification,
    NtlmCredentials, RegistrationId, RegistrationRequest, ResourceState, ScopedAddr, Secret,
    Uppercase,
};
