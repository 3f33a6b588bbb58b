//! The initiator against the acceptor, against a server of another mechanism,
//! and against everything else.

use proptest::prelude::*;

use super::token::{NegState, NegTokenInit, NegTokenResp, mech_type_list};
use super::{Mechanism, NTLM_OID, Oid, SpnegoAcceptor, SpnegoContext};
use crate::pdu::{AuthLevel, AuthService};
use crate::security::ntlm::{NtlmAcceptor, NtlmCredentials};
use crate::security::testing::{Side, acceptor, converse, initiator, jane};
use crate::security::{AcceptorContext, Protected, SecurityContext, SecurityError, Step};

const TOY_OID: Oid = &[0x2a, 1];
const TOY_TOKEN: &[u8] = b"token";

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

impl SecurityContext for Toy {
    fn service(&self) -> AuthService {
        AuthService::Kerberos
    }

    fn step(&mut self, token: &[u8]) -> Result<Step, SecurityError> {
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
        Ok(Step { token: sent, expects_reply: self.seen < self.tokens })
    }

    fn may_block(&self) -> bool {
        true
    }

    fn signature_len(&self, _level: AuthLevel) -> usize {
        28
    }

    fn protect(
        &mut self,
        _level: AuthLevel,
        _message: Protected<'_>,
        _signature: &mut Vec<u8>,
    ) -> Result<(), SecurityError> {
        Ok(())
    }

    fn unprotect(
        &mut self,
        _level: AuthLevel,
        _message: Protected<'_>,
        _signature: &[u8],
    ) -> Result<(), SecurityError> {
        Ok(())
    }
}

impl Mechanism for Toy {
    fn oids(&self) -> &'static [Oid] {
        &[&[0x2a, 2], TOY_OID]
    }

    fn wants_mic(&self) -> bool {
        false
    }

    fn get_mic(&mut self, mech_types: &[u8]) -> Result<Vec<u8>, SecurityError> {
        Ok(Self::mic(mech_types))
    }

    fn verify_mic(&mut self, mech_types: &[u8], mic: &[u8]) -> Result<(), SecurityError> {
        match mic == Self::mic(mech_types) {
            true => Ok(()),
            false => Err(SecurityError::BadSignature),
        }
    }
}

fn ntlm_only() -> SpnegoContext {
    SpnegoContext::new(vec![Box::new(initiator(jane()))])
}

/// Runs the negotiation; `alter` may change the server's tokens.
fn negotiate(
    initiator: &mut SpnegoContext,
    acceptor: &mut SpnegoAcceptor,
    mut alter: impl FnMut(usize, Vec<u8>) -> Vec<u8>,
) -> Result<usize, SecurityError> {
    let mut step = initiator.step(&[])?;
    for leg in 1.. {
        assert!(step.expects_reply && !step.token.is_empty());
        let reply = acceptor.step(&step.token)?;
        step = initiator.step(&alter(leg, reply))?;
        if !step.expects_reply {
            assert_eq!(step.token, []);
            return Ok(leg);
        }
    }
    unreachable!()
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
    let (mut initiator, mut acceptor) = (ntlm_only(), SpnegoAcceptor::new(acceptor()));
    assert_eq!(negotiate(&mut initiator, &mut acceptor, as_sent), Ok(2));
    assert!(acceptor.is_established());
    assert_eq!(acceptor.ntlm().logon().unwrap().user, "jane");
    // The mechListMIC took the first sequence number.
    let sent = Side::Initiator(&mut initiator).send((AuthLevel::Integrity, true));
    assert_eq!(sent.signature[12..], [1, 0, 0, 0]);
    Side::Acceptor(&mut acceptor).receive(&sent).unwrap();
    converse(&mut initiator, &mut acceptor);
}

#[test]
fn without_an_ntlm_mic_the_list_needs_no_signature() {
    let (mut initiator, mut acceptor) =
        (ntlm_only(), SpnegoAcceptor::new(acceptor().without_timestamp()));
    assert_eq!(negotiate(&mut initiator, &mut acceptor, as_sent), Ok(2));
    let sent = Side::Acceptor(&mut acceptor).send((AuthLevel::Privacy, true));
    assert_eq!(sent.signature[12..], [0; 4]);
    Side::Initiator(&mut initiator).receive(&sent).unwrap();
    converse(&mut initiator, &mut acceptor);
}

#[test]
fn a_server_that_knows_the_second_mechanism_only_gets_it_signed() {
    let mut initiator = SpnegoContext::new(vec![Toy::boxed(3), Box::new(initiator(jane()))]);
    let mut acceptor = SpnegoAcceptor::new(acceptor());
    assert!(initiator.may_block());
    assert_eq!(initiator.signature_len(AuthLevel::Integrity), 28);
    assert_eq!(negotiate(&mut initiator, &mut acceptor, as_sent), Ok(3));
    assert_eq!(initiator.signature_len(AuthLevel::Integrity), 16);
    converse(&mut initiator, &mut acceptor);
}

#[test]
fn a_mechanism_that_cannot_start_is_left_out() {
    let toy = Box::new(Toy { tokens: 3, seen: 0, fails: true });
    let mut initiator = SpnegoContext::new(vec![toy, Box::new(initiator(jane()))]);
    let mut acceptor = SpnegoAcceptor::new(acceptor());
    assert_eq!(negotiate(&mut initiator, &mut acceptor, as_sent), Ok(2));

    let toy = Box::new(Toy { tokens: 3, seen: 0, fails: true });
    let mut initiator = SpnegoContext::new(vec![toy]);
    let alone = initiator.step(&[]);
    assert!(matches!(alone, Err(SecurityError::Credentials(_))));
    let none = SpnegoContext::new(vec![]).step(&[]);
    assert!(matches!(none, Err(SecurityError::Misuse(_))));
}

#[test]
fn a_wrong_password_is_refused() {
    let credentials = NtlmCredentials::from_password("jane", "WORK", "wrong");
    let mut initiator = SpnegoContext::new(vec![Box::new(initiator(credentials))]);
    let mut acceptor = SpnegoAcceptor::new(acceptor());
    let result = negotiate(&mut initiator, &mut acceptor, as_sent);
    assert!(matches!(result, Err(SecurityError::Credentials(_))));
}

#[test]
fn a_better_mechanism_struck_from_the_list_is_noticed() {
    let mut initiator = SpnegoContext::new(vec![Toy::boxed(3), Box::new(initiator(jane()))]);
    let mut acceptor = SpnegoAcceptor::new(acceptor());
    initiator.step(&[]).unwrap();
    // Someone in between tells the server of NTLM alone, and the client that
    // the server chose it.
    let list = mech_type_list([NTLM_OID].into_iter());
    let struck = NegTokenInit { mech_types: &list, mech_token: None };
    let reply = acceptor.step(&struck.encode()).unwrap();
    let step = initiator.step(&reply).unwrap();
    let reply = acceptor.step(&step.token).unwrap();
    let step = initiator.step(&reply).unwrap();
    let result = acceptor.step(&step.token);
    assert_eq!(result, Err(SecurityError::BadSignature));
}

#[test]
fn the_server_has_to_sign_the_list_as_well() {
    let altered = |alter: fn(usize, Vec<u8>) -> Vec<u8>| {
        let mut acceptor = SpnegoAcceptor::new(acceptor());
        negotiate(&mut ntlm_only(), &mut acceptor, alter)
    };
    let stripped = altered(|leg, token| match leg {
        2 => edit(&token, |reply| reply.mech_list_mic = None),
        _ => token,
    });
    assert!(matches!(stripped, Err(SecurityError::Downgrade { .. })));
    let wrong = altered(|leg, token| match leg {
        2 => edit(&token, |reply| reply.mech_list_mic = Some(&[7; 16])),
        _ => token,
    });
    assert_eq!(wrong, Err(SecurityError::BadSignature));
    let early = altered(|_, token| edit(&token, |reply| reply.mech_list_mic = Some(&[7; 16])));
    assert_eq!(early, Err(SecurityError::BadSignature));
}

#[test]
fn a_server_out_of_turn_is_refused() {
    let first = |change: fn(&mut NegTokenResp<'_>)| {
        let mut acceptor = SpnegoAcceptor::new(acceptor());
        negotiate(&mut ntlm_only(), &mut acceptor, |_, token| edit(&token, change))
    };
    for change in [
        (|reply| reply.state = Some(NegState::AcceptCompleted)) as fn(&mut NegTokenResp<'_>),
        |reply| reply.response_token = None,
        |reply| reply.response_token = Some(&[]),
        |reply| reply.supported_mech = Some(TOY_OID),
    ] {
        let result = first(change);
        assert!(matches!(result, Err(SecurityError::InvalidToken { .. })));
    }
    let rejected = first(|reply| reply.state = Some(NegState::Reject));
    assert!(matches!(rejected, Err(SecurityError::Credentials(_))));

    let second = |change: fn(&mut NegTokenResp<'_>)| {
        let mut acceptor = SpnegoAcceptor::new(acceptor());
        negotiate(&mut ntlm_only(), &mut acceptor, |leg, token| match leg {
            2 => edit(&token, change),
            _ => token,
        })
    };
    for change in [
        (|reply| reply.state = Some(NegState::AcceptIncomplete)) as fn(&mut NegTokenResp<'_>),
        |reply| reply.state = None,
        |reply| reply.response_token = Some(&[1]),
    ] {
        let result = second(change);
        assert!(matches!(result, Err(SecurityError::InvalidToken { .. })));
    }
}

/// What the server answers to each of the client's tokens, and whether the
/// client signs the list in what it sends then; `None` where it is done.
type Script<'a> = &'a [(NegTokenResp<'a>, Option<bool>)];

fn follow(tokens: usize, script: Script<'_>) {
    let mut initiator = SpnegoContext::new(vec![Toy::boxed(tokens), Toy::boxed(1)]);
    let step = initiator.step(&[]).unwrap();
    let init = NegTokenInit::decode(&step.token).unwrap();
    let expected = NegTokenInit { mech_types: &toy_list(), mech_token: Some(TOY_TOKEN) };
    assert_eq!(init, expected);
    for (reply, signed) in script {
        let step = initiator.step(&reply.encode()).unwrap();
        assert_eq!(step.expects_reply, signed.is_some());
        let Some(signed) = signed else {
            assert_eq!(step.token, []);
            continue;
        };
        let answer = NegTokenResp::decode(&step.token).unwrap();
        let mic = signed.then(|| Toy::mic(&toy_list()));
        assert_eq!(answer.mech_list_mic, mic.as_deref());
    }
    let result = initiator.step(&[]);
    assert!(matches!(result, Err(SecurityError::Misuse(_))));
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

#[test]
fn nothing_is_protected_before_the_negotiation_is_complete() {
    let mut initiator = ntlm_only();
    let mut acceptor = SpnegoAcceptor::new(acceptor());
    let step = initiator.step(&[]).unwrap();
    let reply = acceptor.step(&step.token).unwrap();
    initiator.step(&reply).unwrap();
    // NTLM is complete here, SPNEGO is not.
    let message = Protected { pdu: &mut [0; 8], stub: 0..8, header_signing: true };
    let result = initiator.protect(AuthLevel::Integrity, message, &mut Vec::new());
    assert!(matches!(result, Err(SecurityError::Misuse(_))));
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

fn fresh() -> (SpnegoContext, NtlmAcceptor) {
    let toy_first = vec![Toy::boxed(1), Box::new(initiator(jane())) as _];
    (SpnegoContext::new(toy_first), acceptor())
}

proptest! {
    #[test]
    fn no_server_token_panics(tokens in proptest::collection::vec(hostile(), 1..5)) {
        for mut context in [ntlm_only(), fresh().0] {
            context.step(&[]).unwrap();
            for token in &tokens {
                let _ = context.step(token);
            }
        }
    }

    #[test]
    fn no_second_server_token_panics(token in hostile()) {
        let (mut context, ntlm) = fresh();
        let mut acceptor = SpnegoAcceptor::new(ntlm);
        let _ = negotiate(&mut context, &mut acceptor, |leg, sent| if leg == 3 { token.clone() } else { sent });
    }

    #[test]
    fn no_client_token_panics(first in hostile(), second in hostile()) {
        let mut acceptor = SpnegoAcceptor::new(acceptor());
        let _ = acceptor.step(&first);
        let mut acceptor = SpnegoAcceptor::new(fresh().1);
        acceptor.step(&ntlm_only().step(&[]).unwrap().token).unwrap();
        let _ = acceptor.step(&second);
        prop_assert!(!acceptor.is_established());
    }
}
