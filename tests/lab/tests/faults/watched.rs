//! What is registered while the cluster goes through something, and where its registrations stand.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use lab::{Cluster, Guest, Mount, Registration, Select, Swnd, Target, wait_until};
use swnclient::{Notification, ResourceState};

use crate::clients::Clients;

/// What swnd calls itself for the mount: the guest's host name.
pub(crate) const MOUNT: &str = "swnguest";

/// How long anything may take that waits for nothing.
const PROMPTLY: Duration = Duration::from_secs(10);

/// Ids of registrations.
pub(crate) type Ids = BTreeSet<String>;

/// A mount that swnd registers, and for each node a client of the library that is served by its address.
pub(crate) struct Watched<'a> {
    cluster: &'a Cluster,
    clients: Clients,
    /// The address that each node holds while all are healthy.
    addresses: Vec<Ipv4Addr>,
    _mount: Mount<'a>,
    swnd: Swnd<'a>,
}

/// Where each registration stood at a moment.
pub(crate) struct Standing {
    registrations: BTreeMap<String, Registration>,
    holders: BTreeMap<Ipv4Addr, Option<usize>>,
    /// Those that the list shows though they have ended.
    ghosts: Ids,
}

impl<'a> Watched<'a> {
    /// Registers everything; the mount is served by `node`.
    pub(crate) fn start(
        cluster: &'a Cluster,
        guest: &'a Guest,
        node: usize,
    ) -> (Watched<'a>, Standing) {
        let addresses: Vec<_> = (0..Cluster::NODES).map(|node| cluster.address_of(node)).collect();
        let swnd = Swnd::start(guest);
        let mount = Mount::with_witness(guest, addresses[node]);
        let clients = Clients::start(&addresses);
        let watched = Watched { cluster, clients, addresses, _mount: mount, swnd };
        let standing = watched.settle("the start", &Ids::new(), PROMPTLY);
        (watched, standing)
    }

    /// Waits until everything is registered, once, at a witness that lives on another node than the one that serves; no
    /// registration is one of those `lost`.
    ///
    /// # Panics
    /// After `bound`.
    pub(crate) fn settle(&self, after: &str, lost: &Ids, bound: Duration) -> Standing {
        self.settle_among_ghosts(after, lost, &Ids::new(), bound)
    }

    /// The same, where the list may also show `ghosts`: registrations that have come to an end, but that a node has not
    /// heard of the end of.
    pub(crate) fn settle_among_ghosts(
        &self,
        after: &str,
        lost: &Ids,
        ghosts: &Ids,
        bound: Duration,
    ) -> Standing {
        let start = Instant::now();
        let standing = wait_until(&format!("all is registered after {after}"), bound, || {
            self.look(lost, ghosts)
        });
        println!("after {after}: all registered in {:.1?}, bound {bound:?}", start.elapsed());
        if std::env::var_os("LAB_LOG").is_some() {
            println!("clients: {}\nswnd: {}", self.clients.history(), self.swnd.log());
        }
        standing
    }

    fn look(&self, lost: &Ids, ghosts: &Ids) -> Result<Standing, String> {
        let holders = self.cluster.holders();
        let mut list = self.cluster.registrations();
        list.retain(|registration| !ghosts.contains(&registration.id));
        let stands = |registration: &&Registration| {
            let witness = node_of(&holders, registration.witness);
            witness.is_some()
                && witness != node_of(&holders, registration.ip_address)
                && !lost.contains(&registration.id)
        };
        let standing = list.iter().filter(stands);
        let registrations: BTreeMap<_, _> = standing
            .map(|registration| (registration.client_computer_name.clone(), registration.clone()))
            .collect();
        let wanted = self.addresses.len() + 1;
        if list.len() == wanted && registrations.len() == wanted {
            Ok(Standing { registrations, holders, ghosts: ghosts.clone() })
        } else {
            let swnd = self.swnd.log();
            let clients = self.clients.history();
            let seen = format!("{list:#?}\nlost: {lost:?}\naddresses: {holders:?}");
            Err(format!("{seen}\nclients: {clients}\nswnd: {swnd}"))
        }
    }

    /// The client that `node` served has heard that its address was out of service.
    ///
    /// # Panics
    /// Where it hasn't.
    pub(crate) fn assert_told_of_loss(&self, node: usize) {
        let told = self.clients.notifications(node);
        let is_loss = |notification: &Notification| {
            let lost = ResourceState::Unavailable;
            matches!(notification, Notification::ResourceChange { state, .. } if *state == lost)
        };
        assert!(told.iter().any(is_loss), "the client of {}: {told:?}", self.addresses[node]);
    }

    /// Moves everyone to another address; everyone hears of it, once.
    ///
    /// # Panics
    /// Where someone doesn't.
    pub(crate) fn assert_moves_arrive(&self, standing: &Standing) {
        for index in 0..self.addresses.len() {
            let name = Clients::name(index);
            let already = self.clients.notifications(index).len();
            let address = self.order_move(standing, &name);
            wait_until(&format!("{name} hears of its move to {address}"), PROMPTLY, || {
                let told = self.clients.notifications(index).split_off(already);
                let wanted = [Notification::ClientMove { address }];
                if told == wanted { Ok(()) } else { Err(format!("{told:?}")) }
            });
        }
        // The kernel takes the old registration back and asks for one with the new address.
        let address = self.order_move(standing, MOUNT);
        wait_until(&format!("the mount moves to {address}"), PROMPTLY, || {
            let mut list = self.cluster.registrations();
            list.retain(|entry| !standing.ghosts.contains(&entry.id));
            let mine = list.iter().filter(|entry| entry.client_computer_name == MOUNT);
            let addresses: Vec<IpAddr> = mine.map(|entry| entry.ip_address).collect();
            if addresses == [address] {
                Ok(())
            } else {
                Err(format!("{addresses:?}\n{}", self.swnd.log()))
            }
        });
    }

    /// Tells `name` to move to the address of its witness, which is known to answer, and gives that.
    fn order_move(&self, standing: &Standing, name: &str) -> IpAddr {
        let Registration { id, witness, .. } = &standing.registrations[name];
        self.cluster.client_move(Select::Id(id), Target::Ip(*witness));
        *witness
    }
}

impl Standing {
    /// The node whose witness serves `name`.
    pub(crate) fn witness_of(&self, name: &str) -> usize {
        let witness = self.registrations[name].witness;
        node_of(&self.holders, witness).expect("the witness was alive")
    }

    /// The ids of those that end when `address` moves: their witness goes away, or drops them for it.
    pub(crate) fn depending_on(&self, address: Ipv4Addr) -> Ids {
        let address = IpAddr::from(address);
        let all = self.registrations.values();
        let depending = all.filter(|entry| [entry.witness, entry.ip_address].contains(&address));
        depending.map(|entry| entry.id.clone()).collect()
    }

    /// The ids of all.
    pub(crate) fn all(&self) -> Ids {
        self.registrations.values().map(|entry| entry.id.clone()).collect()
    }
}

fn node_of(holders: &BTreeMap<Ipv4Addr, Option<usize>>, address: IpAddr) -> Option<usize> {
    match address {
        IpAddr::V4(address) => holders.get(&address).copied().flatten(),
        IpAddr::V6(_) => None,
    }
}
