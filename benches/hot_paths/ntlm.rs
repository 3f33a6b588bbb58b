//! The logon.

use crate::rpc::{ntlm_client, ntlm_server};
use criterion::{BatchSize, Criterion};
use dcerpc_proto::pdu::AuthLevel;
use dcerpc_proto::security::{Accepted, Handshake, Step};

pub(crate) fn bench(criterion: &mut Criterion) {
    criterion.bench_function("answer an NTLM challenge", |bencher| {
        bencher.iter_batched(
            challenged,
            |(client, challenge)| {
                client.step(&challenge, AuthLevel::Privacy).expect("AUTHENTICATE")
            },
            BatchSize::SmallInput,
        );
    });
}

/// A client, and the challenge that it is to answer.
fn challenged() -> (Box<dyn Handshake>, Vec<u8>) {
    let client: Box<dyn Handshake> = Box::new(ntlm_client());
    let Ok(Step::Continue { token, handshake }) = client.step(&[], AuthLevel::Privacy) else {
        panic!("NEGOTIATE");
    };
    let server: Box<dyn Handshake<Accepted>> = Box::new(ntlm_server());
    match server.step(&token, AuthLevel::Privacy) {
        Ok(Step::Continue { token, .. }) => (handshake, token),
        _ => panic!("CHALLENGE"),
    }
}
