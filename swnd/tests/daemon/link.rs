//! The link to the kernel's family.

use kernel_sim::{StandInKernel, encode_family, encode_registration};
use neli::consts::genl::CtrlCmd;
use rustix::io::Errno;
use std::io;
use swnclient::{Notification, RegistrationId, RegistrationRequest, Secret};
use swnd::kernel::ctrl::{self, Family};
use swnd::kernel::link::{DATAGRAM_MAX, Datagram};
use swnd::kernel::message::{self, DecodeError};
use swnd::kernel::{
    KernelAnswer, KernelAuth, KernelMessage, Link, LinkError, LinkEvent, NotifyError, NotifyTarget,
    Transport,
};

fn request(net_name: &str) -> RegistrationRequest {
    RegistrationRequest {
        net_name: net_name.into(),
        share_name: Some("data".into()),
        ip_address: Some("10.77.0.101".parse().unwrap()),
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

fn registered(id: u32, net_name: &str) -> LinkEvent {
    LinkEvent::Message(KernelMessage::Register { id, request: request(net_name), auth: auth() })
}

async fn next(link: &Link<impl Transport>) -> Option<Result<LinkEvent, LinkError>> {
    tokio::select! {
        biased;
        event = link.next() => Some(event),
        () = std::future::ready(()) => None,
    }
}

/// All that has happened so far.
async fn events(link: &Link<impl Transport>) -> Vec<LinkEvent> {
    let mut events = Vec::new();
    while let Some(event) = next(link).await {
        events.push(event.unwrap());
    }
    events
}

fn target(registration: u64, id: u32) -> NotifyTarget {
    NotifyTarget { id, registration: Some(RegistrationId(registration)) }
}

/// Notifies, whatever has arrived.
fn notify(
    link: &Link<StandInKernel>,
    registration: u64,
    id: u32,
    notification: &Notification,
) -> Result<(), NotifyError> {
    link.notify(&target(registration, id), notification, |_| false)
}

async fn link_up(kernel: &StandInKernel) -> Link<StandInKernel> {
    let link = Link::open(kernel.clone()).unwrap();
    assert_eq!(events(&link).await, [LinkEvent::Up]);
    link
}

#[tokio::test]
async fn a_module_that_is_there_is_found() {
    link_up(&StandInKernel::with_module()).await;
}

#[tokio::test]
async fn a_module_that_comes_later_goes_away_and_returns_is_followed() {
    let kernel = StandInKernel::new();
    let link = Link::open(kernel.clone()).unwrap();
    assert_eq!(events(&link).await, [LinkEvent::Down]);
    for _ in 0..3 {
        kernel.load_module();
        assert_eq!(events(&link).await, [LinkEvent::Up]);
        let id = kernel.mount(&request("witclu"), &auth());
        assert_eq!(events(&link).await, [registered(id, "witclu")]);
        kernel.unload_module();
        assert_eq!(events(&link).await, [LinkEvent::Down]);
    }
}

#[tokio::test]
async fn the_loop_wakes_when_the_module_comes() {
    let kernel = StandInKernel::new();
    let link = Link::open(kernel.clone()).unwrap();
    assert_eq!(events(&link).await, [LinkEvent::Down]);
    let load = async {
        tokio::task::yield_now().await;
        kernel.load_module();
    };
    let (event, ()) = tokio::join!(link.next(), load);
    assert_eq!(event.unwrap(), LinkEvent::Up);
}

#[tokio::test]
async fn a_reload_between_two_looks_shows_as_one() {
    let kernel = StandInKernel::with_module();
    let link = link_up(&kernel).await;
    kernel.unload_module();
    kernel.load_module();
    assert_eq!(events(&link).await, [LinkEvent::Down, LinkEvent::Up]);
    kernel.mount(&request("witclu"), &auth());
    assert_eq!(events(&link).await, [registered(1, "witclu")]);
}

#[tokio::test]
async fn other_families_are_none_of_its_business() {
    let kernel = StandInKernel::with_module();
    let link = link_up(&kernel).await;
    for command in [CtrlCmd::Newfamily, CtrlCmd::Delfamily] {
        let family = Family { id: 0x99, name: "cifs2".into(), groups: vec![] };
        let news = encode_family(command, &family, 0).unwrap();
        kernel.inject(Some(0), news);
    }
    let stray = encode_registration(0x99, 1, &request("witclu"), None).unwrap();
    kernel.inject(Some(0), stray);
    assert_eq!(events(&link).await, []);
}

#[tokio::test]
async fn a_missing_capability_is_told_as_such() {
    let kernel = StandInKernel::with_module();
    kernel.revoke_privilege();
    let link = Link::open(kernel.clone()).unwrap();
    let error = next(&link).await.unwrap().unwrap_err();
    assert!(matches!(error, LinkError::NotPermitted), "{error}");
    assert!(error.to_string().contains("CAP_NET_ADMIN"));
}

#[tokio::test]
async fn a_kernel_without_the_witness_is_told_as_such() {
    let kernel = StandInKernel::new();
    let link = Link::open(kernel.clone()).unwrap();
    events(&link).await;
    let family = Family { id: 0x99, name: message::FAMILY.into(), groups: vec![] };
    let news = encode_family(CtrlCmd::Newfamily, &family, 0).unwrap();
    kernel.inject(Some(0), news);
    let error = next(&link).await.unwrap().unwrap_err();
    assert!(matches!(error, LinkError::NoGroup), "{error}");
}

#[tokio::test]
async fn only_the_kernel_is_listened_to() {
    let kernel = StandInKernel::with_module();
    let link = link_up(&kernel).await;
    let family = kernel.family_id().unwrap();
    let forged = || encode_registration(family, 1, &request("evil"), None).unwrap();
    kernel.inject(Some(4711), forged());
    kernel.inject(None, forged());
    assert_eq!(events(&link).await, [LinkEvent::Foreign(Some(4711)), LinkEvent::Foreign(None)]);
}

#[tokio::test]
async fn a_notification_is_acted_on_before_the_call_returns_and_answered_after() {
    let kernel = StandInKernel::with_module();
    let link = link_up(&kernel).await;
    let id = kernel.mount(&request("witclu"), &auth());
    events(&link).await;

    let notification = Notification::ResourceChange {
        name: "NODE".into(),
        state: swnclient::ResourceState::Unavailable,
    };
    notify(&link, 40, id, &notification).unwrap();
    let taken = kernel.take_notifications();
    assert_eq!(taken.len(), 1);
    assert_eq!((taken[0].id, &taken[0].notification), (id, &notification));
    assert_eq!(
        events(&link).await,
        [LinkEvent::Answer(KernelAnswer { target: target(40, id), notification, result: Ok(()) })]
    );
}

#[tokio::test]
async fn answers_are_matched_to_what_they_answer() {
    let kernel = StandInKernel::with_module();
    let link = link_up(&kernel).await;
    let id = kernel.mount(&request("witclu"), &auth());
    events(&link).await;
    notify(&link, 40, id, &client_move()).unwrap();
    notify(&link, 41, 99, &client_move()).unwrap();
    let answers: Vec<_> = events(&link)
        .await
        .into_iter()
        .filter_map(|event| match event {
            LinkEvent::Answer(answer) => Some((answer.target, answer.result)),
            _ => None,
        })
        .collect();
    assert_eq!(answers, [(target(40, id), Ok(())), (target(41, 99), Err(Errno::INVAL))]);
}

#[tokio::test]
async fn a_client_move_is_followed_by_unregister_register_and_the_answer() {
    let kernel = StandInKernel::with_module();
    let link = link_up(&kernel).await;
    let id = kernel.mount(&request("witclu"), &auth());
    events(&link).await;
    notify(&link, 40, id, &client_move()).unwrap();
    let events = events(&link).await;
    assert_eq!(events.len(), 3);
    assert_eq!(events[0], LinkEvent::Message(KernelMessage::Unregister { id }));
    assert!(matches!(
        &events[1],
        LinkEvent::Message(KernelMessage::Register { id: again, request, .. })
            if *again == id && request.ip_address == Some("10.77.0.102".parse().unwrap())
    ));
    assert!(matches!(&events[2], LinkEvent::Answer(_)));
}

#[tokio::test]
async fn what_has_arrived_but_was_not_given_out_can_supersede_a_notification() {
    let kernel = StandInKernel::with_module();
    let link = link_up(&kernel).await;
    let id = kernel.mount(&request("witclu"), &auth());
    events(&link).await;
    kernel.unmount(id);
    let gone = LinkEvent::Message(KernelMessage::Unregister { id });
    let send = || link.notify(&target(40, id), &client_move(), |event| *event == gone);
    assert!(matches!(send(), Err(NotifyError::Superseded)));
    // Nor when it is looked at again.
    assert!(matches!(send(), Err(NotifyError::Superseded)));
    assert!(kernel.take_notifications().is_empty());
    // And it is given out all the same.
    assert_eq!(events(&link).await, [gone]);
}

#[tokio::test]
async fn what_was_drained_elsewhere_wakes_the_loop() {
    let kernel = StandInKernel::with_module();
    let link = link_up(&kernel).await;
    let drain = async {
        tokio::task::yield_now().await;
        kernel.mount(&request("witclu"), &auth());
        let superseded = link.notify(&target(40, 1), &client_move(), |_| true);
        assert!(matches!(superseded, Err(NotifyError::Superseded)));
    };
    let (event, ()) = tokio::join!(link.next(), drain);
    assert_eq!(event.unwrap(), registered(1, "witclu"));
}

#[tokio::test]
async fn without_the_module_a_notification_is_refused() {
    let kernel = StandInKernel::new();
    let link = Link::open(kernel.clone()).unwrap();
    events(&link).await;
    let error = notify(&link, 40, 1, &client_move()).unwrap_err();
    assert!(matches!(error, NotifyError::Down), "{error}");
}

#[tokio::test]
async fn an_overrun_is_told_once_and_the_link_goes_on() {
    let kernel = StandInKernel::with_module();
    let link = link_up(&kernel).await;
    kernel.set_room(1);
    for name in ["a", "b", "c"] {
        kernel.mount(&request(name), &auth());
    }
    kernel.set_room(100);
    // The kernel gives the error first, then what there was room for.
    assert_eq!(events(&link).await, [LinkEvent::Overrun, registered(1, "a")]);
    kernel.echo();
    assert_eq!(events(&link).await, [registered(1, "a"), registered(2, "b"), registered(3, "c")]);
}

#[tokio::test]
async fn the_question_after_an_overrun_waits_until_there_is_room_for_the_answer() {
    let kernel = StandInKernel::with_module();
    let link = link_up(&kernel).await;
    kernel.set_room(2);
    for name in ["a", "b"] {
        kernel.mount(&request(name), &auth());
    }
    kernel.unload_module();
    assert_eq!(
        events(&link).await,
        [LinkEvent::Overrun, registered(1, "a"), registered(2, "b"), LinkEvent::Down]
    );
}

#[tokio::test]
async fn an_answer_before_an_overrun_is_not_lost_with_it() {
    let kernel = StandInKernel::with_module();
    let link = link_up(&kernel).await;
    let id = kernel.mount(&request("a"), &auth());
    events(&link).await;
    let ip_change = Notification::IpChange { address: "::1".parse().unwrap() };
    notify(&link, 40, id, &ip_change).unwrap();
    kernel.lose(1);
    kernel.mount(&request("b"), &auth());
    let events = events(&link).await;
    assert_eq!(events.len(), 2);
    assert_eq!(events[0], LinkEvent::Overrun);
    assert!(matches!(&events[1], LinkEvent::Answer(answer) if answer.result == Ok(())));
}

#[tokio::test]
async fn an_overrun_that_swallowed_the_modules_news_is_made_good() {
    let kernel = StandInKernel::with_module();
    let link = link_up(&kernel).await;
    kernel.lose(1);
    kernel.unload_module();
    assert_eq!(events(&link).await, [LinkEvent::Overrun, LinkEvent::Down]);
    kernel.lose(1);
    kernel.load_module();
    assert_eq!(events(&link).await, [LinkEvent::Overrun, LinkEvent::Up]);
    kernel.mount(&request("witclu"), &auth());
    assert_eq!(events(&link).await, [registered(1, "witclu")]);
}

#[tokio::test]
async fn an_overrun_during_the_first_lookup_is_made_good() {
    let kernel = StandInKernel::with_module();
    kernel.lose(1);
    let link = Link::open(kernel.clone()).unwrap();
    assert_eq!(events(&link).await, [LinkEvent::Overrun, LinkEvent::Up]);
    kernel.unload_module();
    assert_eq!(events(&link).await, [LinkEvent::Down]);
}

#[tokio::test]
async fn a_message_of_no_use_loses_nothing_else() {
    let kernel = StandInKernel::with_module();
    let link = link_up(&kernel).await;
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
    let events = events(&link).await;
    assert_eq!(events.len(), 5);
    assert_eq!(events[0], registered(1, "a"));
    assert_eq!(events[1], LinkEvent::Undecodable(DecodeError::Missing(message::Attribute::Ip)));
    assert_eq!(events[2], registered(3, "c"));
    assert!(matches!(events[3], LinkEvent::Undecodable(_)));
    assert_eq!(events[4], registered(5, "e"));
}

#[tokio::test]
async fn a_datagram_beyond_the_buffer_is_told_and_dropped() {
    let kernel = StandInKernel::with_module();
    let link = link_up(&kernel).await;
    kernel.inject(Some(0), vec![1; DATAGRAM_MAX + 1]);
    let events = events(&link).await;
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

#[tokio::test]
async fn a_password_is_wiped_from_the_receive_buffer() {
    let kernel = StandInKernel::with_module();
    let link = Link::open(Looking(kernel.clone())).unwrap();
    assert_eq!(events(&link).await, [LinkEvent::Up]);
    kernel.mount(&request("witclu"), &auth());
    // It is given the buffer again to find out that there is nothing more.
    assert_eq!(events(&link).await, [registered(1, "witclu")]);
}

#[tokio::test]
async fn no_datagram_of_the_kernel_makes_the_link_panic() {
    use proptest::strategy::{Strategy, ValueTree};
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let kernel = StandInKernel::with_module();
    let link = link_up(&kernel).await;
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
    for event in events(&link).await {
        assert!(matches!(event, LinkEvent::Undecodable(_) | LinkEvent::Message(_)), "{event:?}");
    }
    assert_eq!(kernel.mount(&request("witclu"), &auth()), 1);
    assert_eq!(events(&link).await, [registered(1, "witclu")]);
}
