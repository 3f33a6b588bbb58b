//! Whatever a server sends: no panic, and no more memory than the bound.

use crate::support::allocations::peak;
use crate::support::{Protection, any_protection, bind, call, pair};
use dcerpc_proto::association::{Association, Event};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// One thing that goes wrong on the way.
#[derive(Debug, Clone)]
enum Damage {
    Set(Index, u8),
    Flip(Index, u8),
    /// A 16-bit value, as lengths are.
    Set16(Index, u16),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
    /// Bytes that come a second time.
    Repeat(Index, Index),
    Cut(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<(Index, u8)>().prop_map(|(at, to)| Damage::Set(at, to)),
        (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Damage::Flip(at, 1 << bit)),
        any::<(Index, u16)>().prop_map(|(at, to)| Damage::Set16(at, to)),
        (any::<Index>(), 1..40usize).prop_map(|(at, len)| Damage::Remove(at, len)),
        (any::<Index>(), vec(any::<u8>(), 1..40)).prop_map(|(at, new)| Damage::Insert(at, new)),
        any::<(Index, Index)>().prop_map(|(from, to)| Damage::Repeat(from, to)),
        any::<Index>().prop_map(Damage::Cut),
    ]
}

fn apply(damage: &Damage, data: &mut Vec<u8>) {
    if data.is_empty() {
        return;
    }
    let len = data.len();
    match damage {
        Damage::Set(at, to) => data[at.index(len)] = *to,
        Damage::Flip(at, bit) => data[at.index(len)] ^= bit,
        Damage::Set16(at, to) => {
            let at = at.index(len);
            let end = len.min(at + 2);
            data[at..end].copy_from_slice(&to.to_le_bytes()[..end - at]);
        }
        Damage::Remove(at, count) => {
            let at = at.index(len);
            data.drain(at..len.min(at + count));
        }
        Damage::Insert(at, new) => {
            let at = at.index(len);
            data.splice(at..at, new.iter().copied());
        }
        Damage::Repeat(from, to) => {
            let (from, to) = (from.index(len), to.index(len));
            let copy = data[from.min(to)..from.max(to)].to_vec();
            data.extend(copy);
        }
        Damage::Cut(at) => data.truncate(at.index(len)),
    }
}

/// The owner's part, whatever happens.
fn drain(association: &mut Association) {
    while let Some(event) = association.poll_event() {
        if let Event::Authenticate(job) = event {
            let _ = association.authenticated(job.run());
        }
    }
}

/// Receives in parts of `part` bytes.
fn receive(association: &mut Association, data: &mut [u8], part: usize) {
    for part in data.chunks_mut(part) {
        let _ = association.receive(part);
        drain(association);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_damaged_bind_does_not_panic(
        protection in any_protection(), first in vec(damage(), 0..3), then in vec(damage(), 1..3),
        part in 1..500usize,
    ) {
        let (mut association, mut server) = pair(protection);
        let _ = association.call(7, b"?".to_vec());
        for damages in [first, then] {
            let sent = association.take_transmit();
            let mut answer = server.receive(&sent);
            for damage in &damages {
                apply(damage, &mut answer);
            }
            let (held, ()) = peak(|| receive(&mut association, &mut answer, part));
            prop_assert!(held < 64 * 1024, "{}", held);
        }
    }

    #[test]
    fn damaged_responses_do_not_panic(
        protection in any_protection(), damages in vec(damage(), 1..4), part in 1..2000usize,
    ) {
        let (mut association, mut server, mut stream) = conversation(protection);
        for damage in &damages {
            apply(damage, &mut stream);
        }
        let (held, ()) = peak(|| receive(&mut association, &mut stream, part));
        prop_assert!(held < 64 * 1024, "{}", held);
        // Whether or not it has ended, it can be used.
        let _ = association.call(7, Vec::new());
        let _ = association.take_transmit();
        let _ = association.receive(&mut server.respond(9, b"", 100));
    }

    #[test]
    fn noise_does_not_panic(
        bound: bool, start in prop::option::of(0..20u8), mut noise in vec(any::<u8>(), 0..300),
    ) {
        let (mut association, mut server) = pair(None);
        if bound {
            bind(&mut association, &mut server).unwrap();
            call(&mut association, &mut server, b"?");
        }
        if let (Some(packet_type), Some(start)) = (start, noise.get_mut(..16)) {
            start.copy_from_slice(&[5, 0, packet_type, 3, 16, 0, 0, 0, 100, 0, 0, 0, 2, 0, 0, 0]);
        }
        receive(&mut association, &mut noise, 100);
    }
}

/// Three calls, answered by several fragments, a fault, and one fragment.
fn conversation(protection: Protection) -> (Association, crate::support::Server, Vec<u8>) {
    let (mut association, mut server) = pair(protection);
    bind(&mut association, &mut server).unwrap();
    for _ in 0..3 {
        call(&mut association, &mut server, b"?");
    }
    let mut stream = server.respond(3, &[3; 2000], 700);
    stream.extend(server.fault(2, 0x1c01_0002));
    stream.extend(server.respond(4, &[4; 50], 100));
    (association, server, stream)
}
