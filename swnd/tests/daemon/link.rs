//! The link to the kernel's family.

use kernel_sim::{StandInKernel, encode_family, encode_registration};
use neli::consts::genl::CtrlCmd;
use rustix::io::Errno;
use std::io;
use swnclient::{Notification, RegistrationRequest, Secret};
use swnd::kernel::ctrl::{self, Family};
use swnd::kernel::link::{DATAGRAM_MAX, Datagram};
use swnd::kernel::message::{self, DecodeError};
use swnd::kernel::{
    KernelAnswer, KernelAuth, KernelMessage, LinkError, LinkEvent, NotifyError, Transport,
};

fn request(net_name: &str) -> RegistrationRequest {
    RegistrationRequest {
        net_name: net_name.into(),
        share_name: Some("data".into()),
        ip_address: Some("10.77.0.101".parse().unwrap()),
        scope_id: 0,
        net_name_notify: true,
        share_name_notify: true,
        ip_notify: false,
    }
}

fn auth() -> KernelAuth {
    KernelAuth::Ntlm {
        user: Some("swnuser".into()),
        domain: None,
        password: Some(Secret::new("swnpass")),
    }
}

fn client_move() -> Notification {
    Notification::ClientMove { address: "10.77.0.102".parse().unwrap() }
}

fn registered(id: u32, net_name: &str) -> Event {
    LinkEvent::Message(KernelMessage::Register { id, request: request(net_name), auth: auth() })
}

/// The tokens are numbers.
type Link<T = StandInKernel> = swnd::kernel::Link<T, u64>;
type Event = LinkEvent<u64>;

fn next(link: &mut Link<impl Transport>) -> Option<Result<Event, LinkError>> {
    link.receive();
    link.poll_event()
}

/// All that has happened so far.
fn events(link: &mut Link<impl Transport>) -> Vec<Event> {
    std::iter::from_fn(|| next(link)).map(Result::unwrap).collect()
}

fn link_up(kernel: &StandInKernel) -> Link {
    let mut link = Link::open(kernel.clone()).unwrap();
    assert_eq!(events(&mut link), [LinkEvent::Up]);
    link
}

#[test]
fn a_module_that_is_there_is_found() {
    link_up(&StandInKernel::with_module());
}

#[test]
fn a_module_that_comes_later_goes_away_and_returns_is_followed() {
    let kernel = StandInKernel::new();
    let mut link = Link::open(kernel.clone()).unwrap();
    assert_eq!(events(&mut link), [LinkEvent::Down]);
    for _ in 0..3 {
        kernel.load_module();
        assert_eq!(events(&mut link), [LinkEvent::Up]);
        let id = kernel.mount(&request("witclu"), &auth());
        assert_eq!(events(&mut link), [registered(id, "witclu")]);
        kernel.unload_module();
        assert_eq!(events(&mut link), [LinkEvent::Down]);
    }
}

#[tokio::test]
async fn the_transport_is_readable_when_the_module_comes() {
    let kernel = StandInKernel::new();
    let mut link = Link::open(kernel.clone()).unwrap();
    assert_eq!(events(&mut link), [LinkEvent::Down]);
    let load = async {
        tokio::task::yield_now().await;
        kernel.load_module();
    };
    let (ready, ()) = tokio::join!(link.transport().readable(), load);
    ready.unwrap();
    assert_eq!(events(&mut link), [LinkEvent::Up]);
}

#[test]
fn a_reload_between_two_looks_shows_as_one() {
    let kernel = StandInKernel::with_module();
    let mut link = link_up(&kernel);
    kernel.unload_module();
    kernel.load_module();
    assert_eq!(events(&mut link), [LinkEvent::Down, LinkEvent::Up]);
    kernel.mount(&request("witclu"), &auth());
    assert_eq!(events(&mut link), [registered(1, "witclu")]);
}

#[test]
fn other_families_are_none_of_its_business() {
    let kernel = StandInKernel::with_module();
    let mut link = link_up(&kernel);
    for command in [CtrlCmd::Newfamily, CtrlCmd::Delfamily] {
        let family = Family { id: 0x99, name: "cifs2".into(), groups: vec![] };
        let news = encode_family(command, &family, 0).unwrap();
        kernel.inject(Some(0), news);
    }
    let stray = encode_registration(0x99, 1, &request("witclu"), None).unwrap();
    kernel.inject(Some(0), stray);
    assert_eq!(events(&mut link), []);
}

#[test]
fn a_missing_capability_is_told_as_such() {
    let kernel = StandInKernel::with_module();
    kernel.revoke_privilege();
    let mut link = Link::open(kernel.clone()).unwrap();
    let error = next(&mut link).unwrap().unwrap_err();
    assert!(matches!(error, LinkError::NotPermitted), "{error}");
    assert!(error.to_string().contains("CAP_NET_ADMIN"));
}

#[test]
fn a_kernel_without_the_witness_is_told_as_such() {
    let kernel = StandInKernel::new();
    let mut link = Link::open(kernel.clone()).unwrap();
    events(&mut link);
    let family = Family { id: 0x99, name: message::FAMILY.into(), groups: vec![] };
    let news = encode_family(CtrlCmd::Newfamily, &family, 0).unwrap();
    kernel.inject(Some(0), news);
    let error = next(&mut link).unwrap().unwrap_err();
    assert!(matches!(error, LinkError::NoGroup), "{error}");
}

#[test]
fn only_the_kernel_is_listened_to() {
    let kernel = StandInKernel::with_module();
    let mut link = link_up(&kernel);
    let family = kernel.family_id().unwrap();
    let forged = || encode_registration(family, 1, &request("evil"), None).unwrap();
    kernel.inject(Some(4711), forged());
    kernel.inject(None, forged());
    assert_eq!(events(&mut link), [LinkEvent::Foreign(Some(4711)), LinkEvent::Foreign(None)]);
}

#[test]
fn a_notification_is_acted_on_before_the_call_returns_and_answered_after() {
    let kernel = StandInKernel::with_module();
    let mut link = link_up(&kernel);
    let id = kernel.mount(&request("witclu"), &auth());
    events(&mut link);

    let notification = Notification::ResourceChange {
        name: "NODE".into(),
        state: swnclient::ResourceState::Unavailable,
    };
    link.notify(id, &notification, 0, 40).unwrap();
    let taken = kernel.take_notifications();
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].id, &taken[0].notification), (id, &notification));
    assert_eq!(events(&mut link), [LinkEvent::Answer(KernelAnswer { token: 40, result: Ok(()) })]);
}

#[test]
fn answers_are_matched_to_what_they_answer() {
    let kernel = StandInKernel::with_module();
    let mut link = link_up(&kernel);
    let id = kernel.mount(&request("witclu"), &auth());
    events(&mut link);
    link.notify(id, &client_move(), 0, 40).unwrap();
    link.notify(99, &client_move(), 0, 41).unwrap();
    let answers: Vec<_> = events(&mut link)
        .into_iter()
        .filter_map(|event| match event {
            LinkEvent::Answer(answer) => Some((answer.token, answer.result)),
            _ => None,
        })
        .collect();
    assert_eq!(answers, [(40, Ok(())), (41, Err(Errno::INVAL))]);
}

#[test]
fn a_client_move_is_followed_by_unregister_register_and_the_answer() {
    let kernel = StandInKernel::with_module();
    let mut link = link_up(&kernel);
    let id = kernel.mount(&request("witclu"), &auth());
    events(&mut link);
    link.notify(id, &client_move(), 0, 40).unwrap();
    let events = events(&mut link);
    assert_eq!(events.len(), 3);
    assert_eq!(events[0], LinkEvent::Message(KernelMessage::Unregister { id }));
    assert!(matches!(
        &events[1],
        LinkEvent::Message(KernelMessage::Register { id: again, request, .. })
            if *again == id && request.ip_address == Some("10.77.0.102".parse().unwrap())
    ));
    assert!(matches!(&events[2], LinkEvent::Answer(_)));
}

#[test]
fn what_was_received_is_given_out_before_what_came_later() {
    let kernel = StandInKernel::with_module();
    let mut link = link_up(&kernel);
    let id = kernel.mount(&request("witclu"), &auth());
    link.receive();
    kernel.unmount(id);
    link.receive();
    assert_eq!(link.poll_event().unwrap().unwrap(), registered(id, "witclu"));
    let gone = LinkEvent::Message(KernelMessage::Unregister { id });
    assert_eq!(link.poll_event().unwrap().unwrap(), gone);
    assert!(link.poll_event().is_none());
}

#[test]
fn a_notification_that_was_prepared_is_answered_once_it_is_sent() {
    let kernel = StandInKernel::with_module();
    let mut link = link_up(&kernel);
    let id = kernel.mount(&request("witclu"), &auth());
    events(&mut link);
    let prepared = link.prepare(id, &client_move(), 0, 40).unwrap();
    assert!(kernel.take_notifications().is_empty());
    prepared.send(&**link.transport()).unwrap();
    assert_eq!(kernel.take_notifications().len(), 1);
    let answered = events(&mut link);
    let answer = LinkEvent::Answer(KernelAnswer { token: 40, result: Ok(()) });
    assert_eq!(answered.last(), Some(&answer));
    // Of one that could not be sent nothing is left.
    let prepared = link.prepare(id, &client_move(), 0, 41).unwrap();
    link.not_sent(&prepared);
    prepared.send(&**link.transport()).unwrap();
    assert_eq!(events(&mut link), []);
}

#[test]
fn without_the_module_a_notification_is_refused() {
    let kernel = StandInKernel::new();
    let mut link = Link::open(kernel.clone()).unwrap();
    events(&mut link);
    let error = link.notify(1, &client_move(), 0, 40).unwrap_err();
    assert!(matches!(error, NotifyError::Down), "{error}");
}

#[test]
fn an_overrun_is_told_once_and_the_link_goes_on() {
    let kernel = StandInKernel::with_module();
    let mut link = link_up(&kernel);
    kernel.set_room(1);
    for name in ["a", "b", "c"] {
        kernel.mount(&request(name), &auth());
    }
    kernel.set_room(100);
    // The kernel gives the error first, then what there was room for.
    assert_eq!(events(&mut link), [LinkEvent::Overrun, registered(1, "a")]);
    kernel.echo();
    assert_eq!(events(&mut link), [registered(1, "a"), registered(2, "b"), registered(3, "c")]);
}

#[test]
fn the_question_after_an_overrun_waits_until_there_is_room_for_the_answer() {
    let kernel = StandInKernel::with_module();
    let mut link = link_up(&kernel);
    kernel.set_room(2);
    for name in ["a", "b"] {
        kernel.mount(&request(name), &auth());
    }
    kernel.unload_module();
    assert_eq!(
        events(&mut link),
        [LinkEvent::Overrun, registered(1, "a"), registered(2, "b"), LinkEvent::Down]
    );
}

#[test]
fn an_answer_before_an_overrun_is_not_lost_with_it() {
    let kernel = StandInKernel::with_module();
    let mut link = link_up(&kernel);
    let id = kernel.mount(&request("a"), &auth());
    events(&mut link);
    let ip_change = Notification::IpChange { address: "::1".parse().unwrap() };
    link.notify(id, &ip_change, 0, 40).unwrap();
    kernel.lose(1);
    kernel.mount(&request("b"), &auth());
    let events = events(&mut link);
    assert_eq!(events.len(), 2);
    assert_eq!(events[0], LinkEvent::Overrun);
    assert!(matches!(&events[1], LinkEvent::Answer(answer) if answer.result == Ok(())));
}

#[test]
fn an_overrun_that_swallowed_the_modules_news_is_made_good() {
    let kernel = StandInKernel::with_module();
    let mut link = link_up(&kernel);
    kernel.lose(1);
    kernel.unload_module();
    assert_eq!(events(&mut link), [LinkEvent::Overrun, LinkEvent::Down]);
    kernel.lose(1);
    kernel.load_module();
    assert_eq!(events(&mut link), [LinkEvent::Overrun, LinkEvent::Up]);
    kernel.mount(&request("witclu"), &auth());
    assert_eq!(events(&mut link), [registered(1, "witclu")]);
}

#[test]
fn an_overrun_during_the_first_lookup_is_made_good() {
    let kernel = StandInKernel::with_module();
    kernel.lose(1);
    let mut link = Link::open(kernel.clone()).unwrap();
    assert_eq!(events(&mut link), [LinkEvent::Overrun, LinkEvent::Up]);
    kernel.unload_module();
    assert_eq!(events(&mut link), [LinkEvent::Down]);
}

#[test]
fn a_message_of_no_use_loses_nothing_else() {
    let kernel = StandInKernel::with_module();
    let mut link = link_up(&kernel);
    let family = kernel.family_id().unwrap();
    let good = |id, name| encode_registration(family, id, &request(name), Some(&auth())).unwrap();
    let mut nameless = request("x");
    nameless.ip_address = None;
    let bad = encode_registration(family, 2, &nameless, Some(&auth())).unwrap();
    // In one datagram, and in one of its own that ends too early.
    kernel.inject(Some(0), [good(1, "a"), bad, good(3, "c")].concat());
    let mut cut = good(4, "d");
    cut.truncate(40);
    kernel.inject(Some(0), cut);
    kernel.inject(Some(0), good(5, "e"));
    let events = events(&mut link);
    assert_eq!(events.len(), 5);
    assert_eq!(events[0], registered(1, "a"));
    assert_eq!(events[1], LinkEvent::Undecodable(DecodeError::Missing(message::Attribute::Ip)));
    assert_eq!(events[2], registered(3, "c"));
    assert!(matches!(events[3], LinkEvent::Undecodable(_)));
    assert_eq!(events[4], registered(5, "e"));
}

#[test]
fn a_datagram_beyond_the_buffer_is_told_and_dropped() {
    let kernel = StandInKernel::with_module();
    let mut link = link_up(&kernel);
    kernel.inject(Some(0), vec![1; DATAGRAM_MAX + 1]);
    let events = events(&mut link);
    assert!(matches!(events[..], [LinkEvent::Undecodable(_)]), "{events:?}");
}

/// The stand-in kernel, which looks at the buffers that it is given.
struct Looking(StandInKernel);

impl Transport for Looking {
    async fn readable(&self) -> io::Result<()> {
        self.0.readable().await
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<Datagram> {
        assert!(buffer.iter().all(|byte| *byte == 0), "it holds what was received before");
        self.0.receive(buffer)
    }

    fn send(&self, message: &[u8]) -> io::Result<()> {
        self.0.send(message)
    }

    fn join(&self, group: u32) -> io::Result<()> {
        self.0.join(group)
    }
}

#[test]
fn a_password_is_wiped_from_the_receive_buffer() {
    let kernel = StandInKernel::with_module();
    let mut link = Link::open(Looking(kernel.clone())).unwrap();
    assert_eq!(events(&mut link), [LinkEvent::Up]);
    kernel.mount(&request("witclu"), &auth());
    // It is given the buffer again to find out that there is nothing more.
    assert_eq!(events(&mut link), [registered(1, "witclu")]);
}

#[test]
fn no_datagram_of_the_kernel_makes_the_link_panic() {
    use proptest::strategy::{Strategy, ValueTree};
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let kernel = StandInKernel::with_module();
    let mut link = link_up(&kernel);
    let family = kernel.family_id().unwrap();
    let kinds = proptest::sample::select(vec![0, 1, 2, 3, ctrl::id(), family]);
    let datagrams = (kinds, proptest::collection::vec(proptest::num::u8::ANY, 0..96));
    for _ in 0..2000 {
        let (kind, payload) = datagrams.new_tree(&mut runner).unwrap().current();
        let mut datagram = Vec::new();
        datagram.extend(u32::try_from(16 + payload.len()).unwrap().to_ne_bytes());
        datagram.extend(kind.to_ne_bytes());
        datagram.extend([0; 10]);
        datagram.extend(payload);
        kernel.inject(Some(0), datagram);
    }
    for event in events(&mut link) {
        assert!(matches!(event, LinkEvent::Undecodable(_) | LinkEvent::Message(_)), "{event:?}");
    }
    assert_eq!(kernel.mount(&request("witclu"), &auth()), 1);
    assert_eq!(events(&mut link), [registered(1, "witclu")]);
}
