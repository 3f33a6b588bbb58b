//! What an association holds, however a server behaves.

use crate::support::allocations::{live, peak};
use crate::support::{
    PROTECTIONS, Protection, Server, assert_ended, bind, bound, call, config, replies, security,
};
use dcerpc_proto::association::{Association, AssociationError};
use dcerpc_proto::pdu::PfcFlags;

const KIB: usize = 1024;
/// What fits into a fragment.
const PART: usize = 5000;

/// Sends fragments of the given number of calls in turns, and never a last one,
/// until the association ends; gives how much stub it took, and how much memory
/// it held at most.
fn flood(protection: Protection, bound: usize, calls: u32) -> (usize, usize) {
    let mut config = config(protection);
    config.max_response = bound;
    let security = protection.map(|(service, _)| security(service, "secret"));
    let mut association = Association::new(config, security).unwrap();
    let mut server = Server::new(protection);
    bind(&mut association, &mut server).unwrap();
    for _ in 0..calls {
        call(&mut association, &mut server, b"?");
    }
    let mut fragments: Vec<Vec<u8>> = (0..)
        .zip((2..2 + calls).cycle())
        .take(bound / PART + 1)
        .map(|(nth, call_id)| {
            let flags = if nth < calls { PfcFlags::FIRST_FRAG } else { PfcFlags::empty() };
            server.fragment(call_id, flags, &[7; PART])
        })
        .collect();
    let (held, taken) = peak(|| {
        let results = fragments.iter_mut().map(|fragment| association.receive(fragment));
        results.take_while(Result::is_ok).count()
    });
    assert_eq!(taken, fragments.len() - 1);
    assert_ended(&mut association);
    (taken * PART, held)
}

#[test]
fn a_response_that_never_ends_is_refused_at_the_bound() {
    let default = config(None).max_response;
    assert_eq!(default, 1024 * KIB);
    for (protection, bound) in PROTECTIONS.into_iter().zip([default, 64 * KIB, 64 * KIB]) {
        let (taken, held) = flood(protection, bound, 1);
        assert!(taken <= bound && taken > bound - PART, "{taken}");
        // A vector that grows is there twice for a moment.
        assert!(held < 2 * bound, "{held}");
    }
}

#[test]
fn the_bound_holds_for_all_responses_of_an_association_together() {
    let bound = config(None).max_response;
    let (taken, held) = flood(None, bound, 100);
    assert!(taken <= bound && taken > bound - PART, "{taken}");
    assert!(held < 2 * bound, "{held}");
}

#[test]
fn what_is_put_together_takes_no_more_than_the_bound() {
    let max = config(None).max_response;
    let (mut association, mut server) = bound(None);
    call(&mut association, &mut server, b"?");
    let stub = vec![7; max];
    let mut stream = server.respond(2, &stub, PART);
    let last = stream.split_off(stream.len() - 100);
    let before = live();
    for part in stream.chunks_mut(16 * KIB) {
        association.receive(part).unwrap();
    }
    let held = usize::try_from(live() - before).unwrap();
    assert!(held < max + 16 * KIB, "{held}");
    association.receive(&mut last.clone()).unwrap();
    assert_eq!(replies(&mut association)[0].1.as_ref().unwrap().stub, stub);

    call(&mut association, &mut server, b"?");
    let mut stream = server.respond(3, &vec![7; max + 1], PART);
    assert_eq!(association.receive(&mut stream), Err(AssociationError::ResponseTooLong));
}

#[test]
fn the_bound_is_the_owner_s_choice() {
    for (len, expected) in [(10, Ok(())), (11, Err(AssociationError::ResponseTooLong))] {
        let mut config = config(None);
        config.max_response = 10;
        let mut association = Association::new(config, None).unwrap();
        let mut server = Server::new(None);
        bind(&mut association, &mut server).unwrap();
        // What has ended counts no more, whether by its response or a fault.
        for call_id in 2..6 {
            call(&mut association, &mut server, b"?");
            let mut answer = if call_id % 2 == 0 {
                server.respond(call_id, &[7; 10], 3)
            } else {
                let mut begun = server.fragment(call_id, PfcFlags::FIRST_FRAG, &[7; 10]);
                begun.extend(server.fault(call_id, 0x1c01_0002));
                begun
            };
            association.receive(&mut answer).unwrap();
        }
        call(&mut association, &mut server, b"?");
        let mut answer = server.respond(6, &vec![7; len], 4);
        assert_eq!(association.receive(&mut answer), expected);
    }
}

#[test]
fn a_fragment_that_never_ends_takes_no_more_than_a_fragment() {
    let (mut association, mut server) = bound(None);
    call(&mut association, &mut server, b"?");
    let fragment = server.respond(2, &[7; 5800], 5800);
    let (held, ()) = peak(|| {
        for byte in &fragment[..fragment.len() - 1] {
            association.receive(&mut [*byte]).unwrap();
        }
    });
    assert!(held < 16 * KIB, "{held}");
    assert!(association.poll_event().is_none());
    association.receive(&mut [7]).unwrap();
    assert_eq!(replies(&mut association).len(), 1);
}

#[test]
fn lengths_and_hints_that_lie_allocate_nothing() {
    // alloc_hint is always u32::MAX in what this server sends.
    let (mut association, mut server) = bound(None);
    call(&mut association, &mut server, b"?");
    let mut answer = server.respond(2, b"short", 100);
    let (held, result) = peak(|| association.receive(&mut answer));
    result.unwrap();
    assert!(held < 2 * KIB, "{held}");
}

#[test]
fn between_calls_nothing_is_held() {
    for protection in PROTECTIONS {
        let (mut association, mut server) = bound(protection);
        let mut rest = [0; 3];
        for (call_id, rest) in (2..).zip(&mut rest) {
            call(&mut association, &mut server, b"?");
            server.requests.clear();
            server.log.clear();
            let mut answer = server.respond(call_id, &[7; 100_000], 1000);
            for part in answer.chunks_mut(777) {
                association.receive(part).unwrap();
            }
            drop(answer);
            assert_eq!(replies(&mut association).len(), 1);
            *rest = live();
        }
        assert!(rest.iter().all(|live| *live == rest[0]), "{rest:?}");
    }
}
