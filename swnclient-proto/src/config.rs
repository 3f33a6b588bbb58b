//! How a client behaves.

use crate::{ClientName, ScopedAddr};
use dcerpc_proto::pdu::AuthLevel;
use std::time::Duration;

/// How a client behaves. The defaults are right for a Linux client of a
/// Windows, Samba or OneFS cluster.
#[derive(Debug, Clone)]
pub struct Config {
    /// ClientComputerName ([MS-SWN] 3.1.4.2): what an administrator sees in
    /// the cluster's list of registrations. NTLM's workstation is its first label.
    pub client_name: ClientName,
    /// Whether credentials of one mechanism go by its own authentication
    /// service (NTLM 10, Kerberos 16) or by SPNEGO (9), as they do anyway where
    /// there are two to choose from.
    pub spnego: bool,
    /// The authentication level; nothing weaker is accepted.
    pub auth_level: AuthLevel,
    /// Whether servers without header signing are refused ([MS-RPCE] 2.2.2.3).
    pub require_header_signing: bool,
    /// The endpoint mapper's TCP port.
    pub mapper_port: u16,
    /// How long a server may take for each of: the connection to its endpoint
    /// mapper and its answer; the connection to the witness service and the bind.
    pub connect_timeout: Duration,
    /// How long Kerberos may take to get a ticket. The library gives up by
    /// itself, as krb5.conf has it; this is for where it does not.
    pub kdc_timeout: Duration,
    /// How long a server may take for a call ([MS-SWN] 3.2.2, RPC call timeout).
    pub call_timeout: Duration,
    /// How long an UnRegister may take before the connection is closed instead.
    pub unregister_timeout: Duration,
    /// The keep-alive asked for with version 2, less than `call_timeout`
    /// ([MS-SWN] 3.1.4.5): an AsyncNotify without news ends after so long.
    pub keep_alive: Duration,
    /// The first backoff after a failed attempt; each further one is at most
    /// twice as long.
    pub backoff_min: Duration,
    /// The longest backoff.
    pub backoff_max: Duration,
    /// A client whose connection to its witness is lost registers again after a
    /// random part of this, so that all clients of a dead node don't come in one
    /// second. Meanwhile its mount is unwatched: an installation of some dozens of
    /// clients does well with 1 s, one of thousands should keep the default. The
    /// bound doubles, up to `backoff_max`, as long as registrations end within
    /// five seconds.
    pub loss_spread: Duration,
    /// A client whose registration a living witness has dropped registers again
    /// after a random part of this. The bound doubles, up to `backoff_max`, as
    /// long as registrations end within five seconds.
    pub reregister_spread: Duration,
    /// A client whose address has moved selects its witness again after a random
    /// part of this, and registers there before it releases the previous
    /// registration, which Samba drops five seconds after the move: keep it below
    /// four. The bound doubles, up to `backoff_max`, as long as moves follow each
    /// other within five seconds.
    pub reselect_spread: Duration,
    /// How long a peer may be silent on TCP's level before its connection
    /// counts as dead (keepalive and TCP_USER_TIMEOUT).
    pub dead_after: Duration,
    /// The most registrations that share one connection to a witness.
    pub max_registrations_per_link: usize,
    /// How many connections to nodes that serve shares are kept at most, beside those to the
    /// witnesses: each tells by its end that such a node is gone, though its witness be mute
    /// ([`Event::ServerLost`](crate::Event::ServerLost)). With 0 a node that was asked for its
    /// list is left at once.
    pub kept_links_max: usize,
    /// The longest response taken from a server, in bytes.
    pub max_response: usize,
    /// Whether an address is one of this machine's: what a server lists does not send a
    /// client there, unless it is mounted from there. As the default knows it none is.
    pub is_own_address: fn(ScopedAddr) -> bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            client_name: "localhost".into(),
            spnego: false,
            auth_level: AuthLevel::Privacy,
            require_header_signing: true,
            mapper_port: dcerpc_proto::epm::PORT,
            connect_timeout: Duration::from_secs(5),
            kdc_timeout: Duration::from_secs(120),
            call_timeout: Duration::from_secs(180),
            unregister_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(120),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            loss_spread: Duration::from_secs(15),
            reregister_spread: Duration::from_millis(500),
            reselect_spread: Duration::from_secs(2),
            dead_after: Duration::from_secs(10),
            max_registrations_per_link: 128,
            kept_links_max: 0,
            max_response: 1 << 20,
            is_own_address: |_| false,
        }
    }
}

/// Why a configuration can't work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A witness without news would count as dead each time.
    #[error(
        "the keep-alive ({keep_alive:?}) must be less than the call timeout ({call_timeout:?}): \
         a witness without news answers only then"
    )]
    KeepAlive {
        /// [`Config::keep_alive`].
        keep_alive: Duration,
        /// [`Config::call_timeout`].
        call_timeout: Duration,
    },
    /// An attempt would end before it has begun, or be made again without a pause.
    #[error("{0} must not be zero")]
    Zero(&'static str),
    /// No pause would fit.
    #[error("the first backoff ({min:?}) must not be longer than the longest ({max:?})")]
    Backoff {
        /// [`Config::backoff_min`].
        min: Duration,
        /// [`Config::backoff_max`].
        max: Duration,
    },
}

impl Config {
    /// Checks that the parts of a configuration fit together.
    ///
    /// # Errors
    /// Which don't, and why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let &Self { keep_alive, call_timeout, backoff_min: min, backoff_max: max, .. } = self;
        if keep_alive >= call_timeout {
            return Err(ConfigError::KeepAlive { keep_alive, call_timeout });
        }
        if min > max {
            return Err(ConfigError::Backoff { min, max });
        }
        let zero = [
            ("connect_timeout", self.connect_timeout.is_zero()),
            ("kdc_timeout", self.kdc_timeout.is_zero()),
            ("unregister_timeout", self.unregister_timeout.is_zero()),
            ("keep_alive", keep_alive.is_zero()),
            ("backoff_min", min.is_zero()),
            ("dead_after", self.dead_after.is_zero()),
            ("mapper_port", self.mapper_port == 0),
            ("max_registrations_per_link", self.max_registrations_per_link == 0),
            ("max_response", self.max_response == 0),
        ];
        match zero.into_iter().find(|(_, is_zero)| *is_zero) {
            Some((name, _)) => Err(ConfigError::Zero(name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, ConfigError};
    use std::time::Duration;

    #[test]
    fn the_default_configuration_is_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn a_configuration_that_can_t_work_is_refused_by_what_is_wrong_with_it() {
        let second = Duration::from_secs(1);
        let of = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.validate().unwrap_err()
        };
        let long = of(|config| config.keep_alive = config.call_timeout);
        assert!(matches!(long, ConfigError::KeepAlive { .. }), "{long}");
        let pause = of(|config| config.backoff_max = config.backoff_min / 2);
        assert_eq!(pause, ConfigError::Backoff { min: second, max: second / 2 });
        assert_eq!(
            of(|config| config.backoff_min = Duration::ZERO),
            ConfigError::Zero("backoff_min")
        );
        let links = of(|config| config.max_registrations_per_link = 0);
        assert_eq!(links, ConfigError::Zero("max_registrations_per_link"));
    }
}
