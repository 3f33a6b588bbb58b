//! The initiator against the acceptor, against a server of another mechanism,
//! and against everything else.

use proptest::prelude::*;

use super::token::{NegState, NegTokenInit, NegTokenResp, mech_type_list};
use super::{Mechanism, MechanismSession, NTLM_OID, Oid, SpnegoAcceptor, SpnegoInitiator};
use crate::pdu::{AuthLevel, AuthService};
use crate::security::ntlm::{NtlmAcceptor, NtlmCredentials};
use crate::security::testing::{
    LEVELS, acceptor, converse, goes_on, initiator, is_done, jane, receive, send,
};
use crate::security::{Accepted, Handshake, Protected, Protection, SecurityError, Step};

const TOY_OID: Oid = &[0x2a, 1];
const TOY_TOKEN: &[u8] = b"token";
const PRIVACY: AuthLevel = AuthLevel::Privacy;

/// A mechanism that sends and takes as many tokens as it is told, as Kerberos
/// with one, two or three.
#[derive(Debug)]
struct Toy {
    tokens: usize,
    seen: usize,
    fails: bool,
}

impl Toy {
    fn boxed(tokens: usize) -> Box<dyn Mechanism> {
        Box::new(Self { tokens, seen: 0, fails: false })
    }

    fn mic(mech_types: &[u8]) -> Vec<u8> {
        [b"signed: ", mech_types].concat()
    }
}

impl Handshake<Box<dyn MechanismSession>> for Toy {
    fn service(&self) -> AuthService {
        AuthService::Kerberos
    }

    fn step(
        mut self: Box<Self>,
        token: &[u8],
        _: AuthLevel,
    ) -> Result<Step<Box<dyn MechanismSession>>, SecurityError> {
        if self.fails {
            return Err(SecurityError::Credentials("no ticket".into()));
        }
        assert_eq!(self.seen == 0, token.is_empty());
        let mut sent = Vec::new();
        self.seen += usize::from(self.seen > 0);
        if self.seen < self.tokens {
            sent = TOY_TOKEN.to_vec();
            self.seen += 1;
        }
        Ok(match self.seen < self.tokens {
            true => Step::Continue { token: sent, handshake: self },
            false => Step::Done { token: sent, session: Box::new(ToySession) },
        })
    }

    fn may_block(&self) -> bool {
        true
    }
}

impl Mechanism for Toy {
    fn oids(&self) -> &'static [Oid] {
        &[&[0x2a, 2], TOY_OID]
    }
}

#[derive(Debug)]
struct ToySession;

impl Protection for ToySession {
    fn signature_len(&self) -> usize {
        28
    }

    fn protect(&mut self, _: Protected<'_>, _: &mut Vec<u8>) -> Result<(), SecurityError> {
        Ok(())
    }

    fn unprotect(&mut self, _: Protected<'_>, _: &[u8]) -> Result<(), SecurityError> {
        Ok(())
    }
}

impl MechanismSession for ToySession {
    fn wants_mic(&self) -> bool {
        false
    }

    fn get_mic(&mut self, mech_types: &[u8]) -> Result<Vec<u8>, SecurityError> {
        Ok(Toy::mic(mech_types))
    }

    fn verify_mic(&mut self, mech_types: &[u8], mic: &[u8]) -> Result<(), SecurityError> {
        match mic == Toy::mic(mech_types) {
            true => Ok(()),
            false => Err(SecurityError::BadSignature),
        }
    }

    fn into_protection(self: Box<Self>) -> Box<dyn Protection> {
        self
    }
}

fn ntlm_only() -> Box<dyn Handshake> {
    offering(vec![Box::new(initiator(jane()))])
}

/// A toy of three tokens, and where the server doesn't know it NTLM.
fn toy_or_ntlm() -> Box<dyn Handshake> {
    offering(vec![Toy::boxed(3), Box::new(initiator(jane()))])
}

fn offering(mechanisms: Vec<Box<dyn Mechanism>>) -> Box<dyn Handshake> {
    Box::new(SpnegoInitiator::new(mechanisms))
}

fn server(ntlm: NtlmAcceptor) -> Box<dyn Handshake<Accepted>> {
    Box::new(SpnegoAcceptor::new(ntlm))
}

/// Both sides of a negotiation that has ended, and how many round trips it took.
type Negotiated = (Box<dyn Protection>, Accepted, usize);

/// Runs the negotiation; `alter` may change the server's tokens.
fn negotiate(
    initiator: Box<dyn Handshake>,
    mut acceptor: Box<dyn Handshake<Accepted>>,
    level: AuthLevel,
    mut alter: impl FnMut(usize, Vec<u8>) -> Vec<u8>,
) -> Result<Negotiated, SecurityError> {
    let (mut token, mut initiator) = goes_on(initiator.step(&[], level)?);
    for leg in 1.. {
        assert!(!token.is_empty());
        match acceptor.step(&token, level)? {
            Step::Continue { token: reply, handshake } => {
                acceptor = handshake;
                (token, initiator) = goes_on(initiator.step(&alter(leg, reply), level)?);
            }
            Step::Done { token: reply, session } => {
                let (last, protection) = is_done(initiator.step(&alter(leg, reply), level)?);
                assert_eq!(last, []);
                return Ok((protection, session, leg));
            }
        }
    }
    unreachable!()
}

/// What negotiating with [`acceptor`] fails with.
fn refusal(
    initiator: Box<dyn Handshake>,
    alter: impl FnMut(usize, Vec<u8>) -> Vec<u8>,
) -> SecurityError {
    match negotiate(initiator, server(acceptor()), PRIVACY, alter) {
        Err(error) => error,
        Ok(_) => panic!("it was not refused"),
    }
}

/// Changes a token of the server's.
fn edit(bytes: &[u8], change: impl FnOnce(&mut NegTokenResp<'_>)) -> Vec<u8> {
    let mut reply = NegTokenResp::decode(bytes).unwrap();
    change(&mut reply);
    reply.encode()
}

fn as_sent(_: usize, token: Vec<u8>) -> Vec<u8> {
    token
}

#[test]
fn ntlm_is_negotiated_in_two_round_trips_and_protects() {
    for level in LEVELS {
        let (mut client, mut accepted, legs) =
            negotiate(ntlm_only(), server(acceptor()), level, as_sent).unwrap();
        assert_eq!(legs, 2);
        assert_eq!(accepted.logon.user, "jane");
        // The mechListMIC took the first sequence number.
        let sent = send(client.as_mut(), true);
        assert_eq!(sent.signature[12..], [1, 0, 0, 0]);
        receive(accepted.protection.as_mut(), &sent).unwrap();
        converse(client.as_mut(), accepted.protection.as_mut(), level);
    }
}

#[test]
fn a_server_that_knows_the_second_mechanism_only_gets_it_signed() {
    for level in LEVELS {
        assert!(toy_or_ntlm().may_block());
        let (mut client, mut accepted, legs) =
            negotiate(toy_or_ntlm(), server(acceptor()), level, as_sent).unwrap();
        assert_eq!(legs, 3);
        assert_eq!(client.signature_len(), 16);
        converse(client.as_mut(), accepted.protection.as_mut(), level);
    }
}

#[test]
fn only_a_mechanism_that_may_run_next_makes_a_step_block() {
    let (_, waiting) = goes_on(toy_or_ntlm().step(&[], PRIVACY).unwrap());
    assert!(waiting.may_block(), "the toy may block at each step");
    let ntlm_first = offering(vec![Box::new(initiator(jane())), Toy::boxed(3)]);
    let (token, waiting) = goes_on(ntlm_first.step(&[], PRIVACY).unwrap());
    assert!(waiting.may_block(), "the server may choose the toy");
    let (reply, _) = goes_on(server(acceptor()).step(&token, PRIVACY).unwrap());
    let (_, waiting) = goes_on(waiting.step(&reply, PRIVACY).unwrap());
    assert!(!waiting.may_block(), "the server has chosen NTLM");
}

#[test]
fn a_mechanism_that_cannot_start_is_left_out() {
    let toy = || Box::new(Toy { tokens: 3, seen: 0, fails: true });
    let with_ntlm = offering(vec![toy(), Box::new(initiator(jane()))]);
    let (.., legs) = negotiate(with_ntlm, server(acceptor()), PRIVACY, as_sent).unwrap();
    assert_eq!(legs, 2);

    let alone = offering(vec![toy()]).step(&[], PRIVACY);
    assert!(matches!(alone, Err(SecurityError::Credentials(_))));
    let none = offering(vec![]).step(&[], PRIVACY);
    assert!(matches!(none, Err(SecurityError::Misuse(_))));
}

#[test]
fn a_wrong_password_is_refused() {
    let credentials = NtlmCredentials::from_password("jane", "WORK", "wrong");
    let initiator = offering(vec![Box::new(initiator(credentials))]);
    assert!(matches!(refusal(initiator, as_sent), SecurityError::Credentials(_)));
}

#[test]
fn a_better_mechanism_struck_from_the_list_is_noticed() {
    let (_, initiator) = goes_on(toy_or_ntlm().step(&[], PRIVACY).unwrap());
    // Someone in between tells the server of NTLM alone, and the client that
    // the server chose it.
    let list = mech_type_list([NTLM_OID].into_iter());
    let struck = NegTokenInit { mech_types: &list, mech_token: None };
    let (reply, acceptor) = goes_on(server(acceptor()).step(&struck.encode(), PRIVACY).unwrap());
    let (token, initiator) = goes_on(initiator.step(&reply, PRIVACY).unwrap());
    let (reply, acceptor) = goes_on(acceptor.step(&token, PRIVACY).unwrap());
    let (token, _) = goes_on(initiator.step(&reply, PRIVACY).unwrap());
    let result = acceptor.step(&token, PRIVACY).map(|_| ());
    assert_eq!(result, Err(SecurityError::BadSignature));
}

#[test]
fn the_server_has_to_sign_the_list_as_well() {
    let stripped = refusal(ntlm_only(), |leg, token| match leg {
        2 => edit(&token, |reply| reply.mech_list_mic = None),
        _ => token,
    });
    assert!(matches!(stripped, SecurityError::Downgrade { .. }));
    let wrong = refusal(ntlm_only(), |leg, token| match leg {
        2 => edit(&token, |reply| reply.mech_list_mic = Some(&[7; 16])),
        _ => token,
    });
    assert_eq!(wrong, SecurityError::BadSignature);
    let early =
        refusal(ntlm_only(), |_, token| edit(&token, |reply| reply.mech_list_mic = Some(&[7; 16])));
    assert_eq!(early, SecurityError::BadSignature);
}

#[test]
fn a_server_out_of_turn_is_refused() {
    let first =
        |change: fn(&mut NegTokenResp<'_>)| refusal(ntlm_only(), |_, token| edit(&token, change));
    for change in [
        (|reply| reply.state = Some(NegState::AcceptCompleted)) as fn(&mut NegTokenResp<'_>),
        |reply| reply.response_token = None,
        |reply| reply.response_token = Some(&[]),
        |reply| reply.supported_mech = Some(TOY_OID),
    ] {
        assert!(matches!(first(change), SecurityError::InvalidToken { .. }));
    }
    let rejected = first(|reply| reply.state = Some(NegState::Reject));
    assert!(matches!(rejected, SecurityError::Credentials(_)));

    let second = |change: fn(&mut NegTokenResp<'_>)| {
        refusal(ntlm_only(), |leg, token| match leg {
            2 => edit(&token, change),
            _ => token,
        })
    };
    for change in [
        (|reply| reply.state = Some(NegState::AcceptIncomplete)) as fn(&mut NegTokenResp<'_>),
        |reply| reply.state = None,
        |reply| reply.response_token = Some(&[1]),
    ] {
        assert!(matches!(second(change), SecurityError::InvalidToken { .. }));
    }
}

#[test]
fn a_server_that_changes_the_mechanism_is_refused() {
    let (_, initiator) = goes_on(toy_or_ntlm().step(&[], PRIVACY).unwrap());
    let chooses = |oid| NegTokenResp {
        state: Some(NegState::AcceptIncomplete),
        supported_mech: Some(oid),
        ..NegTokenResp::default()
    };
    let (_, initiator) = goes_on(initiator.step(&chooses(NTLM_OID).encode(), PRIVACY).unwrap());
    let result = initiator.step(&chooses(TOY_OID).encode(), PRIVACY).map(|_| ());
    let reason = "it changes the mechanism once chosen";
    assert_eq!(result, Err(SecurityError::InvalidToken { mechanism: "SPNEGO", reason }));
}

/// What the server answers to each of the client's tokens, and whether the
/// client signs the list in what it sends then; `None` where it is done.
type Script<'a> = &'a [(NegTokenResp<'a>, Option<bool>)];

fn follow(tokens: usize, script: Script<'_>) {
    let initiator = offering(vec![Toy::boxed(tokens), Toy::boxed(1)]);
    let (token, mut initiator) = goes_on(initiator.step(&[], PRIVACY).unwrap());
    let init = NegTokenInit::decode(&token).unwrap();
    let expected = NegTokenInit { mech_types: &toy_list(), mech_token: Some(TOY_TOKEN) };
    assert_eq!(init, expected);
    for (reply, signed) in script {
        let step = initiator.step(&reply.encode(), PRIVACY).unwrap();
        let Some(signed) = signed else {
            assert_eq!(is_done(step).0, []);
            return;
        };
        let (token, next) = goes_on(step);
        initiator = next;
        let answer = NegTokenResp::decode(&token).unwrap();
        let mic = signed.then(|| Toy::mic(&toy_list()));
        assert_eq!(answer.mech_list_mic, mic.as_deref());
    }
    panic!("the script does not end");
}

/// The list of two toys.
fn toy_list() -> Vec<u8> {
    let oids: [Oid; 4] = [&[0x2a, 2], TOY_OID, &[0x2a, 2], TOY_OID];
    mech_type_list(oids.into_iter())
}

#[test]
fn mechanisms_of_one_two_and_three_tokens_are_negotiated() {
    let mic = Toy::mic(&toy_list());
    let mic = Some(mic.as_slice());
    let completed = NegTokenResp {
        state: Some(NegState::AcceptCompleted),
        supported_mech: Some(TOY_OID),
        ..NegTokenResp::default()
    };
    let incomplete = NegTokenResp { state: Some(NegState::AcceptIncomplete), ..completed };
    let with_token = |reply| NegTokenResp { response_token: Some(TOY_TOKEN), ..reply };
    let signed = |reply| NegTokenResp { mech_list_mic: mic, ..reply };
    let requested = NegTokenResp { state: Some(NegState::RequestMic), ..completed };

    follow(1, &[(completed, None)]);
    follow(1, &[(requested, Some(true)), (signed(completed), None)]);
    follow(2, &[(with_token(completed), None)]);
    follow(2, &[(signed(with_token(completed)), None)]);
    follow(2, &[(signed(with_token(incomplete)), Some(true)), (completed, None)]);
    follow(3, &[(with_token(incomplete), Some(false)), (completed, None)]);
    follow(
        3,
        &[
            (with_token(incomplete), Some(false)),
            (signed(incomplete), Some(true)),
            (completed, None),
        ],
    );
    follow(3, &[(with_token(requested), Some(true)), (signed(completed), None)]);
}

/// Any bytes, or a token with any contents.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..60);
    let field = move || proptest::option::of(bytes());
    let state = proptest::option::of(prop::sample::select(vec![
        NegState::AcceptCompleted,
        NegState::AcceptIncomplete,
        NegState::Reject,
        NegState::RequestMic,
    ]));
    let token = (state, any::<bool>(), field(), field()).prop_map(|(state, ntlm, token, mic)| {
        NegTokenResp {
            state,
            supported_mech: ntlm.then_some(NTLM_OID),
            response_token: token.as_deref(),
            mech_list_mic: mic.as_deref(),
        }
        .encode()
    });
    prop_oneof![bytes(), token]
}

/// A toy that ends with its first token, and NTLM.
fn toy_of_one_or_ntlm() -> Box<dyn Handshake> {
    offering(vec![Toy::boxed(1), Box::new(initiator(jane()))])
}

proptest! {
    #[test]
    fn no_server_token_panics(tokens in proptest::collection::vec(hostile(), 1..5)) {
        for initiator in [ntlm_only(), toy_of_one_or_ntlm()] {
            let mut step = initiator.step(&[], PRIVACY);
            for token in &tokens {
                let Ok(Step::Continue { handshake, .. }) = step else { break };
                step = handshake.step(token, PRIVACY);
            }
        }
    }

    #[test]
    fn no_second_server_token_panics(token in hostile()) {
        let (mut answer, mut initiator) = goes_on(toy_of_one_or_ntlm().step(&[], PRIVACY).unwrap());
        let mut acceptor = server(acceptor());
        for _ in 0..2 {
            let (reply, next) = goes_on(acceptor.step(&answer, PRIVACY).unwrap());
            acceptor = next;
            (answer, initiator) = goes_on(initiator.step(&reply, PRIVACY).unwrap());
        }
        let _ = initiator.step(&token, PRIVACY);
    }

    #[test]
    fn no_client_token_panics(first in hostile(), second in hostile()) {
        let _ = server(acceptor()).step(&first, PRIVACY);
        let (token, _) = goes_on(ntlm_only().step(&[], PRIVACY).unwrap());
        let (_, acceptor) = goes_on(server(acceptor()).step(&token, PRIVACY).unwrap());
        let done = matches!(acceptor.step(&second, PRIVACY), Ok(Step::Done { .. }));
        prop_assert!(!done);
    }
}
