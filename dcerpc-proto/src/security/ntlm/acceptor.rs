//! The acceptor ([MS-NLMP] 3.2), for tests and simulators.

use ctutils::CtEq;
use smol_str::SmolStr;
use std::time::SystemTime;
use zeroize::Zeroizing;

use super::av_pair::{self, AvPairs, FLAG_MIC, id};
use super::credentials::NtlmCredentials;
use super::flags::Flags;
use super::initiator::invalid;
use super::keys::{self, Sender};
use super::messages::{self, Authenticate, Challenge, MIC_LEN, Negotiate};
use super::session::{Agreed, NtlmSession};
use super::wire::{array, filetime, utf16le};
use crate::pdu::{AuthLevel, AuthService};
use crate::security::{Accepted, Handshake, SecurityError, Step};

/// What the server calls itself in CHALLENGE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerNames {
    /// The NetBIOS name of its domain.
    pub netbios_domain: SmolStr,
    /// Its own NetBIOS name.
    pub netbios_computer: SmolStr,
    /// The DNS name of its domain.
    pub dns_domain: SmolStr,
    /// Its own DNS name.
    pub dns_computer: SmolStr,
}

/// Who has logged on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logon {
    /// The user.
    pub user: SmolStr,
    /// The user's domain, as the client gave it; may be empty.
    pub domain: SmolStr,
    /// The client's machine; may be empty.
    pub workstation: SmolStr,
    /// The service that the client means to talk to (MsvAvTargetName).
    pub target: Option<SmolStr>,
    /// Whether the logon carried a MIC.
    pub mic: bool,
}

/// What an [`NtlmAcceptor`] ends in.
#[derive(Debug)]
pub struct NtlmLogon {
    /// Protects the PDUs from now on.
    pub session: NtlmSession,
    /// Who has logged on.
    pub logon: Logon,
}

impl From<NtlmLogon> for Accepted {
    fn from(NtlmLogon { session, logon }: NtlmLogon) -> Self {
        Self { protection: session.into(), logon }
    }
}

/// An NTLMv2 acceptor that knows its users' NT hashes: one logon, then one
/// session.
pub struct NtlmAcceptor {
    accounts: Vec<NtlmCredentials>,
    names: ServerNames,
    timestamp: bool,
    /// What it does not agree to.
    withheld: Flags,
    server_challenge: [u8; 8],
    /// FILETIME.
    now: u64,
}

/// How old or early a response may be, in units of 100 ns: 30 minutes, as the
/// strictest servers have it ([MS-NLMP] 3.2.5.1.2, MaxLifetime).
const MAX_LIFETIME: u64 = 30 * 60 * 10_000_000;

impl NtlmAcceptor {
    /// Returns an acceptor that lets these users in. An account without a domain is
    /// found under any. `server_challenge` comes from a cryptographically secure
    /// generator and differs for each logon; `now` is the time by the server's clock.
    pub fn new(
        accounts: Vec<NtlmCredentials>,
        names: ServerNames,
        server_challenge: [u8; 8],
        now: SystemTime,
    ) -> Self {
        Self {
            accounts,
            names,
            timestamp: true,
            withheld: Flags::empty(),
            server_challenge,
            now: filetime(now),
        }
    }

    /// Does not agree to these.
    #[cfg(test)]
    pub(super) fn without_flags(mut self, withheld: Flags) -> Self {
        self.withheld = withheld;
        self
    }

    /// Sends no MsvAvTimestamp, as servers before Windows Server 2008 R2.
    #[must_use]
    pub fn without_timestamp(mut self) -> Self {
        self.timestamp = false;
        self
    }

    /// Answers NEGOTIATE by CHALLENGE ([MS-NLMP] 3.2.5.1.1).
    fn challenge(self, token: &[u8], level: AuthLevel) -> Result<Challenged, SecurityError> {
        let negotiate =
            Negotiate::decode(token).ok_or(invalid("it is not a well-formed NEGOTIATE"))?;
        let agreed = Flags::agree(negotiate.flags, level)?;
        let flags = (agreed | Flags::TARGET_INFO | Flags::TARGET_TYPE_SERVER) & !self.withheld;
        let challenge = self
            .target_info()
            .and_then(|target_info| {
                Challenge {
                    flags,
                    server_challenge: self.server_challenge,
                    target_name: &utf16le(&self.names.netbios_computer),
                    target_info: &target_info,
                }
                .encode()
            })
            .ok_or(SecurityError::Misuse("the server's names are too long"))?;
        Ok(Challenged { acceptor: self, negotiate: token.to_vec(), challenge, flags })
    }

    fn target_info(&self) -> Option<Vec<u8>> {
        let mut list = Vec::new();
        for (identifier, name) in [
            (id::NB_DOMAIN_NAME, &self.names.netbios_domain),
            (id::NB_COMPUTER_NAME, &self.names.netbios_computer),
            (id::DNS_DOMAIN_NAME, &self.names.dns_domain),
            (id::DNS_COMPUTER_NAME, &self.names.dns_computer),
        ] {
            av_pair::push(&mut list, identifier, &utf16le(name))?;
        }
        if self.timestamp {
            av_pair::push(&mut list, id::TIMESTAMP, &self.now.to_le_bytes())?;
        }
        av_pair::push(&mut list, id::EOL, &[])?;
        Some(list)
    }

    fn account(&self, user: &str, domain: &str) -> Option<&NtlmCredentials> {
        let same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
        self.accounts.iter().find(|account| {
            let any_domain = account.domain().is_empty() || domain.is_empty();
            same(account.user(), user) && (any_domain || same(account.domain(), domain))
        })
    }
}

impl<S: From<NtlmLogon>> Handshake<S> for NtlmAcceptor {
    fn service(&self) -> AuthService {
        AuthService::Ntlm
    }

    fn step(self: Box<Self>, token: &[u8], level: AuthLevel) -> Result<Step<S>, SecurityError> {
        let challenged = self.challenge(token, level)?;
        let token = challenged.challenge.clone();
        Ok(Step::Continue { token, handshake: Box::new(challenged) })
    }
}

/// The acceptor that awaits AUTHENTICATE.
#[derive(Debug)]
struct Challenged {
    acceptor: NtlmAcceptor,
    /// NEGOTIATE as it came.
    negotiate: Vec<u8>,
    /// CHALLENGE as it was sent.
    challenge: Vec<u8>,
    /// What CHALLENGE offers.
    flags: Flags,
}

impl<S: From<NtlmLogon>> Handshake<S> for Challenged {
    fn service(&self) -> AuthService {
        AuthService::Ntlm
    }

    fn step(self: Box<Self>, token: &[u8], level: AuthLevel) -> Result<Step<S>, SecurityError> {
        let logon = self.verify_logon(token, level)?;
        Ok(Step::Done { token: Vec::new(), session: logon.into() })
    }
}

impl Challenged {
    /// Verifies AUTHENTICATE ([MS-NLMP] 3.2.5.1.2).
    fn verify_logon(&self, token: &[u8], level: AuthLevel) -> Result<NtlmLogon, SecurityError> {
        let Self { acceptor, negotiate, challenge, flags: offered } = self;
        let message =
            Authenticate::decode(token).ok_or(invalid("it is not a well-formed AUTHENTICATE"))?;
        let flags = Flags::agree(message.flags, level)? & *offered;
        let (proof, client_challenge) = message
            .nt_response
            .split_first_chunk::<16>()
            .ok_or(invalid("its response is not NTLMv2"))?;
        let pairs = client_challenge
            .get(28..)
            .and_then(AvPairs::parse)
            .ok_or(invalid("its response is not NTLMv2"))?;

        let time = array::<8>(client_challenge, 8).map(u64::from_le_bytes);
        if time.is_none_or(|time| time.abs_diff(acceptor.now) > MAX_LIFETIME) {
            return Err(SecurityError::Credentials("the response is too old or too early".into()));
        }

        let (user, domain) = (text(message.user)?, text(message.domain)?);
        let account = acceptor
            .account(&user, &domain)
            .ok_or_else(|| SecurityError::Credentials("no such user".into()))?;
        let response_key = keys::ntowf_v2(account.nt_hash(), &user, &domain, account.uppercase());
        let (expected, key_exchange_key) =
            keys::prove(&response_key, acceptor.server_challenge, client_challenge);
        if !expected.ct_eq(proof).to_bool() {
            return Err(SecurityError::Credentials("the password is wrong".into()));
        }

        let exported_session_key = if flags.contains(Flags::KEY_EXCHANGE) {
            let encrypted = array::<16>(message.encrypted_session_key, 0)
                .ok_or(invalid("its session key is too short"))?;
            Zeroizing::new(keys::exchange_key(&key_exchange_key, &encrypted))
        } else {
            key_exchange_key
        };

        let promises_mic = pairs.flags() & FLAG_MIC != 0;
        if promises_mic {
            let mut authenticate = token.to_vec();
            let mic = messages::mic_mut(&mut authenticate).ok_or(invalid("it has no MIC"))?;
            let mic = std::mem::replace(mic, [0; MIC_LEN]);
            let expected = keys::mic(&exported_session_key, negotiate, challenge, &authenticate);
            if !expected.ct_eq(&mic).to_bool() {
                return Err(SecurityError::BadSignature);
            }
        }

        let agreed = Agreed { flags, level, has_mic: promises_mic };
        Ok(NtlmLogon {
            session: NtlmSession::new(&exported_session_key, &agreed, Sender::Acceptor),
            logon: Logon {
                user: user.into(),
                domain: domain.into(),
                workstation: text(message.workstation)?.into(),
                target: pairs.get(id::TARGET_NAME).map(text).transpose()?.map(SmolStr::from),
                mic: promises_mic,
            },
        })
    }
}

fn text(utf16le: &[u8]) -> Result<String, SecurityError> {
    let units: Option<Vec<u16>> =
        utf16le.chunks(2).map(|unit| unit.try_into().ok().map(u16::from_le_bytes)).collect();
    units
        .and_then(|units| String::from_utf16(&units).ok())
        .ok_or(invalid("a name is not in Unicode"))
}

impl std::fmt::Debug for NtlmAcceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NtlmAcceptor").field("names", &self.names).finish_non_exhaustive()
    }
}
