//! What comes from outside: names in log lines, and addresses of a link.

use super::*;
use swnclient::ScopedAddr;

#[test]
fn a_name_from_outside_cannot_forge_a_log_line() {
    let mut bench = Bench::default();
    let report = bench.register(1, "a\nroot: all is well\x1b[2J", HERE);
    assert!(!report.to_string().chars().any(char::is_control));
    let report = bench.register(1, "a\u{2028}\u{202e}b\u{2066}", HERE);
    assert!(report.to_string().starts_with(r"\\a\u{2028}\u{202e}b\u{2066}\data: "), "{report}");
}

#[test]
fn a_name_of_any_length_makes_a_short_line() {
    let mut bench = Bench::default();
    let registration = {
        bench.register(1, "witclu", HERE);
        bench.started()
    };
    let name = "é".repeat(750_000).into();
    let change = Notification::ResourceChange { name, state: ResourceState::Available };
    let forward = bench.table.event(registration, Event::Notification(change)).forward.unwrap();
    let answer = KernelAnswer { token: forward, result: Ok(()) };
    let line = bench.table.answer(answer, &bench.client).unwrap().to_string();
    assert!(line.len() < 1000, "{} bytes", line.len());
    assert!(line.contains("éé… is available: "), "{line}");
}

#[test]
fn an_address_of_a_link_is_connected_to_on_that_of_the_mount_which_is_by_it() {
    let mut bench = Bench::default();
    let address = |text: &str| text.parse().unwrap();
    assert_eq!(bench.table.scoped(address("fe80::2")), address("fe80::2").into());
    bench.register(1, "witclu", HERE);
    for (id, net_name, by, link) in [(2, "one", "fe80::1", 3), (3, "two", "fe80::2", 4)] {
        let request = request(net_name, by).on_link(link);
        let message = KernelMessage::Register { id, request, auth: auth("swnuser") };
        bench.table.message(message, &bench.client);
    }
    assert_eq!([1, 2, 3, 4].map(|id| bench.table.scope_id(id)), [0, 3, 4, 0]);
    for (text, link) in [("fe80::1", 3), ("fe80::2", 4), ("fe80::9", 3)] {
        let scoped = bench.table.scoped(address(text));
        assert_eq!(scoped, ScopedAddr::new(address(text), link), "{text}");
    }
    assert_eq!(bench.table.scoped(address("2001:db8::1")).scope_id(), 0);
}
