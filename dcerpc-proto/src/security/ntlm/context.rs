//! The initiator ([MS-NLMP] 3.1).

use std::time::{Duration, SystemTime};

use smol_str::SmolStr;
use zeroize::Zeroizing;

use super::av_pair::{self, AvPairs};
use super::credentials::NtlmCredentials;
use super::flags::Flags;
use super::keys::{self, Key, ResponseInput, Sender};
use super::messages::{self, Authenticate, Challenge, Negotiate};
use super::session::{SIGNATURE_LEN, Session};
use super::wire::utf16le;
use crate::pdu::{AuthLevel, AuthService};
use crate::security::{Protected, SecurityContext, SecurityError, Step};

/// An NTLMv2 initiator: one logon, then one session.
///
/// It insists on Unicode, signing, extended session security and 128-bit keys,
/// proves the exchange's integrity with a MIC where the server is new enough to
/// check one (Windows Server 2008 R2 and later, Samba), and doesn't log on
/// anonymously.
pub struct NtlmContext {
    state: State,
    target: Option<SmolStr>,
    workstation: SmolStr,
}

/// Where the logon stands. What a state no longer needs is dropped with it.
enum State {
    /// Nothing sent.
    Start(NtlmCredentials),
    /// NEGOTIATE sent, these bytes; CHALLENGE awaited.
    Negotiating(NtlmCredentials, Vec<u8>),
    /// AUTHENTICATE sent.
    Established { session: Box<Session>, mic: bool },
    /// A token was refused.
    Failed,
}

/// What must not be guessed, drawn afresh for every logon.
pub(super) struct Nonces {
    pub(super) client_challenge: [u8; 8],
    pub(super) session_key: Key,
}

impl Nonces {
    fn draw() -> Result<Self, SecurityError> {
        let mut nonces = Self { client_challenge: [0; 8], session_key: Zeroizing::new([0; 16]) };
        getrandom::fill(&mut nonces.client_challenge).map_err(|_| SecurityError::NoRandom)?;
        getrandom::fill(nonces.session_key.as_mut_slice()).map_err(|_| SecurityError::NoRandom)?;
        Ok(nonces)
    }
}

impl NtlmContext {
    /// A context that logs on with `credentials`.
    ///
    /// `target_spn` is the principal of the service, for example
    /// `cifs/node1.example`; a server that checks it (MsvAvTargetName) then
    /// refuses a logon relayed from elsewhere. `workstation` is this machine's
    /// name, which servers log; it may be empty.
    pub fn new(credentials: NtlmCredentials, target_spn: Option<&str>, workstation: &str) -> Self {
        Self {
            state: State::Start(credentials),
            target: target_spn.map(SmolStr::new),
            workstation: workstation.into(),
        }
    }

    /// Whether the logon is complete on this side and PDUs can be protected.
    pub fn is_established(&self) -> bool {
        matches!(self.state, State::Established { .. })
    }

    /// Whether AUTHENTICATE carries a MIC. SPNEGO then has to protect its list of
    /// mechanisms too.
    pub fn has_mic(&self) -> bool {
        matches!(self.state, State::Established { mic: true, .. })
    }

    /// Signs `message` as GSS_GetMICEx does ([MS-NLMP] 3.4.8). Takes a sequence
    /// number.
    ///
    /// # Errors
    /// [`SecurityError::Misuse`] before the logon is complete.
    pub fn get_mic(&mut self, message: &[u8]) -> Result<[u8; 16], SecurityError> {
        Ok(self.session()?.sign(message))
    }

    /// Verifies the server's signature of `message`. Takes a sequence number.
    ///
    /// # Errors
    /// [`SecurityError::BadSignature`]; [`SecurityError::Misuse`] before the
    /// logon is complete.
    pub fn verify_mic(&mut self, message: &[u8], mic: &[u8]) -> Result<(), SecurityError> {
        self.session()?.verify(message, mic)
    }

    /// Starts the key streams anew and lets the sequence numbers go on: what
    /// both sides do after SPNEGO's mechListMIC ([MS-SPNG] 3.3.5.1).
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

    /// AUTHENTICATE in answer to CHALLENGE ([MS-NLMP] 3.1.5.1.2), and the state
    /// in which it leaves the context.
    fn authenticate(
        &self,
        credentials: &NtlmCredentials,
        negotiate: &[u8],
        token: &[u8],
        nonces: &Nonces,
    ) -> Result<(Vec<u8>, State), SecurityError> {
        let challenge =
            Challenge::decode(token).ok_or(invalid("it is not a well-formed CHALLENGE"))?;
        let flags = Flags::agree(challenge.flags)?;

        // A server too old to have AV pairs gets the client's alone.
        const NO_PAIRS: &[u8] = &[0; 4];
        let server_pairs = match challenge.target_info {
            [] => NO_PAIRS,
            pairs => pairs,
        };
        let server_pairs =
            AvPairs::parse(server_pairs).ok_or(invalid("its target information has no end"))?;
        let timestamp = server_pairs.timestamp();
        let target = self.target.as_deref().map(utf16le);
        let target_info = av_pair::client_pairs(server_pairs, target.as_deref())
            .ok_or(invalid("its target information is too long"))?;

        let response = keys::respond(
            &keys::ntowf_v2(credentials.nt_hash(), credentials.user(), credentials.domain()),
            &ResponseInput {
                server_challenge: challenge.server_challenge,
                client_challenge: nonces.client_challenge,
                time: timestamp.unwrap_or_else(filetime_now),
                target_info: &target_info,
            },
        );
        // The LMv2 response would only be a weaker proof: with a timestamp it
        // is all zero.
        let lm_response = match timestamp {
            Some(_) => [0; 24],
            None => response.lm_response,
        };

        let (exported_session_key, encrypted_session_key) = if flags.contains(Flags::KEY_EXCHANGE) {
            let encrypted = keys::exchange_key(&response.key_exchange_key, &nonces.session_key);
            (nonces.session_key.clone(), encrypted.to_vec())
        } else {
            (response.key_exchange_key, Vec::new())
        };

        let message = Authenticate {
            flags,
            lm_response: &lm_response,
            nt_response: &response.nt_response,
            domain: &utf16le(credentials.domain()),
            user: &utf16le(credentials.user()),
            workstation: &utf16le(&self.workstation),
            encrypted_session_key: &encrypted_session_key,
        };
        let mut authenticate = message.encode().ok_or_else(|| {
            SecurityError::Credentials("a name is too long for an NTLM logon".into())
        })?;
        // Sent in any case, as Windows does; MsvAvFlags tells the server to
        // check it.
        let mic = keys::mic(&exported_session_key, negotiate, token, &authenticate);
        if let Some(place) = messages::mic_mut(&mut authenticate) {
            *place = mic;
        }

        let session = Session::new(&exported_session_key, flags, Sender::Initiator);
        let state = State::Established { session: Box::new(session), mic: timestamp.is_some() };
        Ok((authenticate, state))
    }
}

impl SecurityContext for NtlmContext {
    fn service(&self) -> AuthService {
        AuthService::Ntlm
    }

    fn step(&mut self, token: &[u8]) -> Result<Step, SecurityError> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Start(credentials) => {
                if !token.is_empty() {
                    return Err(invalid("the client speaks first"));
                }
                let negotiate = Negotiate { flags: Flags::OFFERED }.encode();
                self.state = State::Negotiating(credentials, negotiate.clone());
                Ok(Step { token: negotiate, expects_reply: true })
            }
            State::Negotiating(credentials, negotiate) => {
                let nonces = Nonces::draw()?;
                let (token, state) = self.authenticate(&credentials, &negotiate, token, &nonces)?;
                self.state = state;
                Ok(Step { token, expects_reply: false })
            }
            established @ State::Established { .. } => {
                self.state = established;
                Err(SecurityError::Misuse("NTLM is established already"))
            }
            State::Failed => Err(SecurityError::Misuse("NTLM has failed before")),
        }
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

impl std::fmt::Debug for NtlmContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match &self.state {
            State::Start(_) => "start",
            State::Negotiating(..) => "negotiating",
            State::Established { .. } => "established",
            State::Failed => "failed",
        };
        f.debug_struct("NtlmContext")
            .field("state", &state)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

pub(super) fn invalid(reason: &'static str) -> SecurityError {
    SecurityError::InvalidToken { mechanism: "NTLM", reason }
}

/// Now, as a FILETIME: units of 100 ns since 1601. Before 1970 it is 1970.
pub(super) fn filetime_now() -> u64 {
    const UNIX_EPOCH: u64 = 116_444_736_000_000_000;
    let since_1970 =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let units = u64::try_from(since_1970.as_nanos() / 100).unwrap_or(u64::MAX);
    UNIX_EPOCH.saturating_add(units)
}
