//! The initiator ([MS-NLMP] 3.1).

use smol_str::SmolStr;
use std::time::SystemTime;

use super::av_pair::{self, AvPairs};
use super::credentials::NtlmCredentials;
use super::flags::Flags;
use super::keys::{self, Key, ResponseInput, Sender};
use super::messages::{self, Authenticate, Challenge, Negotiate};
use super::session::{Agreed, NtlmSession};
use super::wire::{filetime, utf16le};
use crate::pdu::{AuthLevel, AuthService};
use crate::security::{Handshake, SecurityError, Step};

/// An NTLMv2 initiator: one logon, then one [`NtlmSession`].
///
/// It insists on Unicode, signing, extended session security and 128-bit keys,
/// proves the exchange's integrity with a MIC where the server is new enough to
/// check one (Windows Server 2008 R2 and later, Samba), and doesn't log on
/// anonymously.
pub struct NtlmInitiator {
    credentials: NtlmCredentials,
    target: Option<SmolStr>,
    workstation: SmolStr,
    nonces: Box<Nonces>,
    /// FILETIME.
    now: u64,
}

/// What must not be guessed.
#[derive(Default)]
struct Nonces {
    client_challenge: [u8; 8],
    session_key: Key,
}

impl NtlmInitiator {
    /// How many random bytes a logon takes.
    pub const RANDOM_LEN: usize = 24;

    /// Returns an initiator that logs on with `credentials`.
    ///
    /// `random` comes from a cryptographically secure generator, and differs for
    /// each logon: it becomes the session key. `now` is for servers that do not
    /// say what time it is themselves (before Windows Server 2008 R2).
    pub fn new(
        credentials: NtlmCredentials,
        random: &[u8; Self::RANDOM_LEN],
        now: SystemTime,
    ) -> Self {
        // Written in its place: a key that moves leaves copies behind.
        let mut nonces = Box::new(Nonces::default());
        let (client_challenge, session_key) = random.split_at(nonces.client_challenge.len());
        nonces.client_challenge.copy_from_slice(client_challenge);
        nonces.session_key.copy_from_slice(session_key);
        let (target, workstation) = (None, SmolStr::default());
        Self { credentials, target, workstation, nonces, now: filetime(now) }
    }

    /// Names the service that the logon is for by its principal, for example
    /// `host/node1.example`; a server that checks it (MsvAvTargetName) then refuses
    /// a logon relayed from elsewhere.
    #[must_use]
    pub fn for_service(mut self, principal: &str) -> Self {
        self.target = Some(principal.into());
        self
    }

    /// Names this machine, for the server's logs.
    #[must_use]
    pub fn from_workstation(mut self, name: &str) -> Self {
        self.workstation = name.into();
        self
    }
}

impl<S: From<NtlmSession>> Handshake<S> for NtlmInitiator {
    fn service(&self) -> AuthService {
        AuthService::Ntlm
    }

    fn step(self: Box<Self>, token: &[u8], _: AuthLevel) -> Result<Step<S>, SecurityError> {
        if !token.is_empty() {
            return Err(invalid("the client speaks first"));
        }
        let negotiate = Negotiate { flags: Flags::OFFERED }.encode();
        let token = negotiate.clone();
        Ok(Step::Continue {
            token,
            handshake: Box::new(Negotiating { initiator: *self, negotiate }),
        })
    }
}

/// The initiator that awaits CHALLENGE.
#[derive(Debug)]
struct Negotiating {
    initiator: NtlmInitiator,
    /// NEGOTIATE as it was sent.
    negotiate: Vec<u8>,
}

impl<S: From<NtlmSession>> Handshake<S> for Negotiating {
    fn service(&self) -> AuthService {
        AuthService::Ntlm
    }

    fn step(self: Box<Self>, token: &[u8], level: AuthLevel) -> Result<Step<S>, SecurityError> {
        let (token, session) = self.authenticate(token, level)?;
        Ok(Step::Done { token, session: session.into() })
    }
}

impl Negotiating {
    /// Answers CHALLENGE by AUTHENTICATE ([MS-NLMP] 3.1.5.1.2), which starts the
    /// session.
    fn authenticate(
        &self,
        token: &[u8],
        level: AuthLevel,
    ) -> Result<(Vec<u8>, NtlmSession), SecurityError> {
        let NtlmInitiator { credentials, target, workstation, nonces, now } = &self.initiator;
        let challenge =
            Challenge::decode(token).ok_or(invalid("it is not a well-formed CHALLENGE"))?;
        let flags = Flags::agree(challenge.flags, level)?;

        // A server too old to have AV pairs gets the client's alone.
        const NO_PAIRS: &[u8] = &[0; 4];
        let server_pairs = match challenge.target_info {
            [] => NO_PAIRS,
            pairs => pairs,
        };
        let server_pairs =
            AvPairs::parse(server_pairs).ok_or(invalid("its target information has no end"))?;
        let timestamp = server_pairs.timestamp();
        let target = target.as_deref().map(utf16le);
        let target_info = av_pair::client_pairs(server_pairs, target.as_deref())
            .ok_or(invalid("its target information is too long"))?;

        let response = keys::respond(
            &keys::ntowf_v2(
                credentials.nt_hash(),
                credentials.user(),
                credentials.domain(),
                credentials.uppercase(),
            ),
            &ResponseInput {
                server_challenge: challenge.server_challenge,
                client_challenge: nonces.client_challenge,
                time: timestamp.unwrap_or(*now),
                target_info: &target_info,
            },
        );
        let (exported_session_key, encrypted_session_key) = if flags.contains(Flags::KEY_EXCHANGE) {
            let encrypted = keys::exchange_key(&response.key_exchange_key, &nonces.session_key);
            (nonces.session_key.clone(), encrypted.to_vec())
        } else {
            (response.key_exchange_key, Vec::new())
        };

        let message = Authenticate {
            flags,
            // LMv2 would only be a weaker proof.
            lm_response: &[0; 24],
            nt_response: &response.nt_response,
            domain: &utf16le(credentials.domain()),
            user: &utf16le(credentials.user()),
            workstation: &utf16le(workstation),
            encrypted_session_key: &encrypted_session_key,
        };
        let mut authenticate = message.encode().ok_or_else(|| {
            SecurityError::Credentials("a name is too long for an NTLM logon".into())
        })?;
        // Sent in any case, as Windows does; MsvAvFlags tells the server to
        // check it.
        let mic = keys::mic(&exported_session_key, &self.negotiate, token, &authenticate);
        if let Some(place) = messages::mic_mut(&mut authenticate) {
            *place = mic;
        }

        let agreed = Agreed { flags, level, has_mic: true };
        let session = NtlmSession::new(&exported_session_key, &agreed, Sender::Initiator);
        Ok((authenticate, session))
    }
}

impl std::fmt::Debug for NtlmInitiator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NtlmInitiator")
            .field("credentials", &self.credentials)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

pub(super) fn invalid(reason: &'static str) -> SecurityError {
    SecurityError::InvalidToken { mechanism: "NTLM", reason }
}
