//! What the kernel sends: a datagram, and datagrams on the link in any state.

use kernel_sim::StandInKernel;
use std::net::IpAddr;
use swnclient_proto::{Notification, RegistrationRequest};
use swnd::kernel::{self, KernelAuth, Link, LinkEvent};

/// What the kernel multicasts and its controller answers: a datagram.
pub(crate) fn kernel_message(data: &[u8]) {
    for message in kernel::wire::Messages::new(data) {
        let Ok(message) = message else {
            return;
        };
        let _ = kernel::message::decode(message.payload);
        let _ = kernel::ctrl::decode(message.payload);
    }
}

/// The bytes are operations, of two bytes each; one of them is followed by a datagram.
pub(crate) fn kernel_link(data: &[u8]) {
    follow(data);
}

/// How many events the link has told.
fn follow(mut data: &[u8]) -> usize {
    let stand_in = StandInKernel::new();
    let Ok(mut link) = Link::open(stand_in.clone()) else { return 0 };
    let mut told = 0;
    while let Some((&[operation, argument], mut rest)) = data.split_first_chunk() {
        match operation & 7 {
            0 => stand_in.load_module(),
            1 => stand_in.unload_module(),
            2 => drop(stand_in.mount(&request(), &KernelAuth::Kerberos)),
            3 => stand_in.lose(usize::from(argument) % 8),
            4 => stand_in.echo(),
            5 => {
                let address = IpAddr::from([10, 0, 0, argument]);
                let moved = Notification::ClientMove { address };
                let _ = link.notify(1, &moved, 0, argument);
            }
            // A family's number, a type and a sequence number are in the datagram.
            _ => {
                let (datagram, after) = rest.split_at(usize::from(argument).min(rest.len()));
                rest = after;
                stand_in.inject((operation & 8 == 0).then_some(0), datagram.to_vec());
            }
        }
        data = rest;
        link.receive();
        while let Some(event) = link.poll_event() {
            match event {
                Ok(LinkEvent::Up | LinkEvent::Down | LinkEvent::Message(_)) => told += 1,
                Ok(_) => {}
                Err(_) => return told,
            }
        }
    }
    told
}

fn request() -> RegistrationRequest {
    RegistrationRequest {
        net_name: "cluster".into(),
        share_name: Some("data".into()),
        ip_address: "192.0.2.1".parse().ok(),
        scope_id: 0,
        net_name_notify: true,
        share_name_notify: true,
        ip_notify: true,
    }
}

/// The module comes, mounts, is told something and goes; with each datagram between.
pub(crate) fn link_seeds() -> Vec<Vec<u8>> {
    let life = [0, 0, 2, 0, 5, 7, 3, 1, 4, 0, 1, 0, 0, 0];
    let mut seeds = vec![life.to_vec()];
    for datagram in crate::seeds::kernel_message() {
        if let Ok(length) = u8::try_from(datagram.len()) {
            seeds.push([&life[..], &[6, length], &datagram, &[14, length], &datagram].concat());
        }
    }
    seeds
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_seeds_get_as_far_as_to_messages() {
        let told: Vec<usize> = super::link_seeds().iter().map(|seed| super::follow(seed)).collect();
        assert!(told.len() > 1 && told.iter().all(|told| *told >= 4), "{told:?}");
    }
}
