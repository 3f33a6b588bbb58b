//! The kernel's messages.

use bench::scenario::request;
use criterion::Criterion;
use kernel_sim::{encode_registration, known_account};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use swnclient::{Notification, ResourceState};
use swnd::kernel::message::{decode, encode_notify};
use swnd::kernel::wire::Messages;

/// The number of the family, and the kernel's of a registration.
const FAMILY: u16 = 0x21;
const ID: u32 = 1;
const SERVES: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

pub(crate) fn bench(criterion: &mut Criterion) {
    let down =
        Notification::ResourceChange { name: "10.0.0.1".into(), state: ResourceState::Unavailable };
    let client_move = Notification::ClientMove { address: SERVES };
    let mut group = criterion.benchmark_group("encode the message to the kernel");
    for (name, notification) in [("resource change", &down), ("client move", &client_move)] {
        group.bench_function(name, |bencher| {
            let mut bytes = Vec::new();
            bencher.iter(|| encode_notify(&mut bytes, FAMILY, 1, ID, black_box(notification), 0));
        });
    }
    group.finish();

    let request = request("cluster.example.test", "data".into(), SERVES);
    let datagram =
        encode_registration(FAMILY, ID, &request, Some(&known_account())).expect("a message");
    criterion.bench_function("decode the kernel's registration", |bencher| {
        bencher.iter(|| {
            let message = Messages::new(black_box(&datagram)).next().expect("one message");
            decode(message.expect("a whole one").payload).expect("a registration")
        });
    });
}
