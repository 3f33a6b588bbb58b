//! The acceptor ([MS-NLMP] 3.2), for tests and simulators.

use ctutils::CtEq;
use smol_str::SmolStr;
use zeroize::Zeroizing;

use super::av_pair::{self, AvPairs, FLAG_MIC, id};
use super::context::{filetime_now, invalid};
use super::credentials::NtlmCredentials;
use super::flags::Flags;
use super::keys::{self, Sender};
use super::messages::{self, Authenticate, Challenge, MIC_LEN, Negotiate};
use super::session::{SIGNATURE_LEN, Session};
use super::wire::{array, utf16le};
use crate::pdu::{AuthLevel, AuthService};
use crate::security::{AcceptorContext, Protected, SecurityError};

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

/// An NTLMv2 acceptor that knows its users' NT hashes: one logon, then one
/// session.
pub struct NtlmAcceptor {
    accounts: Vec<NtlmCredentials>,
    names: ServerNames,
    timestamp: bool,
    /// How far its clock is ahead of this machine's, in seconds.
    clock_ahead: i64,
    state: State,
}

/// How old or early a response may be, in units of 100 ns: 30 minutes, as the
/// strictest servers have it ([MS-NLMP] 3.2.5.1.2, MaxLifetime).
const MAX_LIFETIME: u64 = 30 * 60 * 10_000_000;

enum State {
    /// NEGOTIATE awaited.
    Start,
    /// CHALLENGE sent, AUTHENTICATE awaited.
    Challenged {
        negotiate: Vec<u8>,
        challenge: Vec<u8>,
        server_challenge: [u8; 8],
        flags: Flags,
    },
    Established {
        session: Box<Session>,
        logon: Logon,
    },
    Failed,
}

impl NtlmAcceptor {
    /// An acceptor that lets these users in. An account without a domain is
    /// found under any.
    pub fn new(accounts: Vec<NtlmCredentials>, names: ServerNames) -> Self {
        Self { accounts, names, timestamp: true, clock_ahead: 0, state: State::Start }
    }

    /// Sends no MsvAvTimestamp, as servers before Windows Server 2008 R2, so
    /// that the client promises no MIC.
    #[must_use]
    pub fn without_timestamp(mut self) -> Self {
        self.timestamp = false;
        self
    }

    /// Its clock is so many seconds ahead of this machine's.
    #[must_use]
    pub fn with_clock_ahead(mut self, seconds: i64) -> Self {
        self.clock_ahead = seconds;
        self
    }

    fn now(&self) -> u64 {
        filetime_now().saturating_add_signed(self.clock_ahead.saturating_mul(10_000_000))
    }

    /// Who has logged on; `None` until then.
    pub fn logon(&self) -> Option<&Logon> {
        match &self.state {
            State::Established { logon, .. } => Some(logon),
            _ => None,
        }
    }

    /// As [`NtlmContext::get_mic`](super::NtlmContext::get_mic).
    ///
    /// # Errors
    /// [`SecurityError::Misuse`] before the logon is complete.
    pub fn get_mic(&mut self, message: &[u8]) -> Result<[u8; 16], SecurityError> {
        Ok(self.session()?.sign(message))
    }

    /// As [`NtlmContext::verify_mic`](super::NtlmContext::verify_mic).
    ///
    /// # Errors
    /// [`SecurityError::BadSignature`]; [`SecurityError::Misuse`] before the
    /// logon is complete.
    pub fn verify_mic(&mut self, message: &[u8], mic: &[u8]) -> Result<(), SecurityError> {
        self.session()?.verify(message, mic)
    }

    /// As [`NtlmContext::restart_ciphers`](super::NtlmContext::restart_ciphers).
    ///
    /// # Errors
    /// [`SecurityError::Misuse`] before the logon is complete.
    pub fn restart_ciphers(&mut self) -> Result<(), SecurityError> {
        self.session()?.restart_ciphers();
        Ok(())
    }

    fn session(&mut self) -> Result<&mut Session, SecurityError> {
        match &mut self.state {
            State::Established { session, .. } => Ok(session),
            _ => Err(SecurityError::Misuse("NTLM is not established")),
        }
    }

    /// CHALLENGE in answer to NEGOTIATE ([MS-NLMP] 3.2.5.1.1).
    fn challenge(&self, token: &[u8]) -> Result<(Vec<u8>, State), SecurityError> {
        let negotiate =
            Negotiate::decode(token).ok_or(invalid("it is not a well-formed NEGOTIATE"))?;
        let flags = Flags::agree(negotiate.flags)? | Flags::TARGET_INFO | Flags::TARGET_TYPE_SERVER;
        let mut server_challenge = [0; 8];
        getrandom::fill(&mut server_challenge).map_err(|_| SecurityError::NoRandom)?;
        let challenge = self
            .target_info()
            .and_then(|target_info| {
                Challenge {
                    flags,
                    server_challenge,
                    target_name: &utf16le(&self.names.netbios_computer),
                    target_info: &target_info,
                }
                .encode()
            })
            .ok_or(SecurityError::Misuse("the server's names are too long"))?;
        let state = State::Challenged {
            negotiate: token.to_vec(),
            challenge: challenge.clone(),
            server_challenge,
            flags,
        };
        Ok((challenge, state))
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
            av_pair::push(&mut list, id::TIMESTAMP, &self.now().to_le_bytes())?;
        }
        av_pair::push(&mut list, id::EOL, &[])?;
        Some(list)
    }

    /// Verifies AUTHENTICATE ([MS-NLMP] 3.2.5.1.2).
    fn verify_logon(
        &self,
        negotiate: &[u8],
        challenge: &[u8],
        server_challenge: [u8; 8],
        offered: Flags,
        token: &[u8],
    ) -> Result<State, SecurityError> {
        let message =
            Authenticate::decode(token).ok_or(invalid("it is not a well-formed AUTHENTICATE"))?;
        let flags = Flags::agree(message.flags)? & offered;
        let (proof, client_challenge) = message
            .nt_response
            .split_first_chunk::<16>()
            .ok_or(invalid("its response is not NTLMv2"))?;
        let pairs = client_challenge
            .get(28..)
            .and_then(AvPairs::parse)
            .ok_or(invalid("its response is not NTLMv2"))?;

        let time = array::<8>(client_challenge, 8).map(u64::from_le_bytes);
        if time.is_none_or(|time| time.abs_diff(self.now()) > MAX_LIFETIME) {
            return Err(SecurityError::Credentials("the response is too old or too early".into()));
        }

        let (user, domain) = (text(message.user)?, text(message.domain)?);
        let account = self
            .account(&user, &domain)
            .ok_or_else(|| SecurityError::Credentials("no such user".into()))?;
        let response_key = keys::ntowf_v2(account.nt_hash(), &user, &domain);
        let (expected, key_exchange_key) =
            keys::prove(&response_key, server_challenge, client_challenge);
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

        Ok(State::Established {
            session: Box::new(Session::new(&exported_session_key, flags, Sender::Acceptor)),
            logon: Logon {
                user: user.into(),
                domain: domain.into(),
                workstation: text(message.workstation)?.into(),
                target: pairs.get(id::TARGET_NAME).map(text).transpose()?.map(SmolStr::from),
                mic: promises_mic,
            },
        })
    }

    fn account(&self, user: &str, domain: &str) -> Option<&NtlmCredentials> {
        let same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
        self.accounts.iter().find(|account| {
            let any_domain = account.domain().is_empty() || domain.is_empty();
            same(account.user(), user) && (any_domain || same(account.domain(), domain))
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

impl AcceptorContext for NtlmAcceptor {
    fn service(&self) -> AuthService {
        AuthService::Ntlm
    }

    fn step(&mut self, token: &[u8]) -> Result<Vec<u8>, SecurityError> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Start => {
                let (reply, state) = self.challenge(token)?;
                self.state = state;
                Ok(reply)
            }
            State::Challenged { negotiate, challenge, server_challenge, flags } => {
                self.state =
                    self.verify_logon(&negotiate, &challenge, server_challenge, flags, token)?;
                Ok(Vec::new())
            }
            established @ State::Established { .. } => {
                self.state = established;
                Err(SecurityError::Misuse("NTLM is established already"))
            }
            State::Failed => Err(SecurityError::Misuse("NTLM has failed before")),
        }
    }

    fn is_established(&self) -> bool {
        matches!(self.state, State::Established { .. })
    }

    fn signature_len(&self, _level: AuthLevel) -> usize {
        SIGNATURE_LEN
    }

    fn protect(
        &mut self,
        level: AuthLevel,
        message: Protected<'_>,
        signature: &mut Vec<u8>,
    ) -> Result<(), SecurityError> {
        self.session()?.protect(level, message, signature)
    }

    fn unprotect(
        &mut self,
        level: AuthLevel,
        message: Protected<'_>,
        signature: &[u8],
    ) -> Result<(), SecurityError> {
        self.session()?.unprotect(level, message, signature)
    }
}

impl std::fmt::Debug for NtlmAcceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match &self.state {
            State::Start => "start",
            State::Challenged { .. } => "challenged",
            State::Established { .. } => "established",
            State::Failed => "failed",
        };
        f.debug_struct("NtlmAcceptor")
            .field("state", &state)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}
