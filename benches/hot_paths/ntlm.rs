//! The logon.

use crate::rpc::{alice, ntlm_server};
use criterion::{BatchSize, Criterion};
use dcerpc_proto::security::ntlm::NtlmContext;
use dcerpc_proto::security::{AcceptorContext, SecurityContext};

pub(crate) fn bench(criterion: &mut Criterion) {
    criterion.bench_function("answer an NTLM challenge", |bencher| {
        bencher.iter_batched(
            challenged,
            |(mut client, challenge)| (client.step(&challenge).expect("AUTHENTICATE"), client),
            BatchSize::SmallInput,
        );
    });
}

/// A client, and the challenge that it is to answer.
fn challenged() -> (NtlmContext, Vec<u8>) {
    let mut client = NtlmContext::new(alice(), Some("cifs/node1.example.test"), "BENCH");
    let negotiate = client.step(&[]).expect("NEGOTIATE").token;
    (client, ntlm_server().step(&negotiate).expect("CHALLENGE"))
}
