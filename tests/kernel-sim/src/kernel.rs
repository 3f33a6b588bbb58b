//! `nlctrl` and the cifs module's side of the witness
//! (`fs/smb/client/cifs_swn.c`).
//!
//! It speaks in bytes, as the kernel does, and acts on a message while it is
//! being sent, as the kernel does.

use crate::message::{
    decode_lookup, decode_notify, decode_scope_id, encode_answer, encode_family,
    encode_registration,
};
use neli::consts::genl::CtrlCmd;
use rustix::io::Errno;
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use swnclient::{Notification, RegistrationRequest, ScopedAddr};
use swnd::kernel::KernelAuth;
use swnd::kernel::ctrl::{self, Family};
use swnd::kernel::link::{Datagram, Transport};
use swnd::kernel::message::{FAMILY, GROUP};
use swnd::kernel::wire::Messages;
use tokio::sync::Notify;

/// `nlctrl`'s group `notify`.
const CONTROLLER_GROUP: u32 = 0x10;
/// How many datagrams the daemon's socket holds unread.
const ROOM: usize = 4096;

/// A notification as the kernel took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// When.
    pub at: Instant,
    /// For which of its registrations.
    pub id: u32,
    /// What.
    pub notification: Notification,
}

/// A mounted share, `struct cifs_swn_reg`.
#[derive(Debug, Clone)]
struct Registration {
    request: RegistrationRequest,
    auth: KernelAuth,
    /// How many mounts share it.
    references: u32,
}

#[derive(Debug)]
struct State {
    module: Option<Family>,
    /// Numbers of families and groups are not used again soon.
    loads: u16,
    groups: BTreeSet<u32>,
    /// Whether the daemon has `CAP_NET_ADMIN`.
    privileged: bool,
    registrations: BTreeMap<u32, Registration>,
    taken: Vec<Taken>,
    socket: VecDeque<(Option<u32>, Vec<u8>)>,
    room: usize,
    /// How many of the next datagrams find no room in any case.
    lose: usize,
    /// `NETLINK_S_CONGESTED`: a loss was told, and the socket not empty since.
    congested: bool,
    overrun: bool,
}

/// The stand-in, and the daemon's socket to it: clones are one and the same.
#[derive(Debug, Clone)]
pub struct StandInKernel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    arrived: Notify,
    took: Notify,
}

impl Default for StandInKernel {
    fn default() -> Self {
        Self::new()
    }
}

impl StandInKernel {
    /// A kernel whose cifs module is not loaded.
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            state: Mutex::new(State {
                module: None,
                loads: 0,
                groups: BTreeSet::new(),
                privileged: true,
                registrations: BTreeMap::new(),
                taken: Vec::new(),
                socket: VecDeque::new(),
                room: ROOM,
                lose: 0,
                congested: false,
                overrun: false,
            }),
            arrived: Notify::new(),
            took: Notify::new(),
        }))
    }

    /// A kernel whose cifs module is loaded.
    pub fn with_module() -> Self {
        let kernel = Self::new();
        kernel.load_module();
        kernel
    }

    /// Loads the cifs module, under new numbers each time.
    pub fn load_module(&self) {
        let mut state = self.state();
        state.loads += 1;
        let family = Family {
            id: 0x20 + state.loads,
            name: FAMILY.into(),
            groups: vec![(GROUP.into(), 0x40 + u32::from(state.loads))],
        };
        state.announce(CtrlCmd::Newfamily, &family);
        state.module = Some(family);
        self.0.arrived.notify_one();
    }

    /// Unloads the cifs module, which nothing must be mounted for.
    pub fn unload_module(&self) {
        let mut state = self.state();
        if let Some(family) = state.module.take() {
            state.registrations.clear();
            for (_, group) in &family.groups {
                state.groups.remove(group);
            }
            state.announce(CtrlCmd::Delfamily, &family);
        }
        self.0.arrived.notify_one();
    }

    /// Takes `CAP_NET_ADMIN` from the daemon.
    pub fn revoke_privilege(&self) {
        self.state().privileged = false;
    }

    /// Mounts a share and gives the registration's number: a share that is
    /// mounted already has one.
    pub fn mount(&self, request: &RegistrationRequest, auth: &KernelAuth) -> u32 {
        let mut state = self.state();
        let known = state.registrations.iter_mut().find(|(_, registration)| {
            registration.request.net_name == request.net_name
                && registration.request.share_name == request.share_name
        });
        let id = if let Some((id, registration)) = known {
            registration.references += 1;
            *id
        } else {
            let registration =
                Registration { request: request.clone(), auth: auth.clone(), references: 1 };
            state.insert(registration)
        };
        state.multicast_register(id);
        self.0.arrived.notify_one();
        id
    }

    /// Unmounts.
    pub fn unmount(&self, id: u32) {
        self.state().release(id);
        self.0.arrived.notify_one();
    }

    /// Lets one echo interval pass: each registration is sent again.
    pub fn echo(&self) {
        let mut state = self.state();
        let ids: Vec<u32> = state.registrations.keys().copied().collect();
        for id in ids {
            state.multicast_register(id);
        }
        self.0.arrived.notify_one();
    }

    /// Reconnects a mount to another address by itself; the next
    /// [`StandInKernel::echo`] tells.
    pub fn reconnect(&self, id: u32, address: IpAddr) {
        if let Some(registration) = self.state().registrations.get_mut(&id) {
            registration.request.ip_address = Some(address);
        }
    }

    /// Changes the credentials of a mount, as a remount does.
    pub fn change_auth(&self, id: u32, auth: &KernelAuth) {
        if let Some(registration) = self.state().registrations.get_mut(&id) {
            registration.auth = auth.clone();
        }
    }

    /// The registrations, as `/proc/fs/cifs/DebugData` lists them: number, net
    /// name, address.
    pub fn registrations(&self) -> Vec<(u32, SmolStr, Option<IpAddr>)> {
        let state = self.state();
        let list = state.registrations.iter().map(|(id, registration)| {
            let request = &registration.request;
            (*id, request.net_name.clone(), request.ip_address)
        });
        list.collect()
    }

    /// The notifications taken since the last call, refused ones not included.
    pub fn take_notifications(&self) -> Vec<Taken> {
        std::mem::take(&mut self.state().taken)
    }

    /// Waits until a notification is taken.
    pub async fn notified(&self) {
        while self.state().taken.is_empty() {
            self.0.took.notified().await;
        }
    }

    /// Limits the daemon's receive buffer, in datagrams.
    pub fn set_room(&self, datagrams: usize) {
        self.state().room = datagrams;
    }

    /// Lets the next so many datagrams find no room.
    pub fn lose(&self, datagrams: usize) {
        self.state().lose = datagrams;
    }

    /// Puts a datagram into the daemon's socket.
    pub fn inject(&self, sender: Option<u32>, datagram: Vec<u8>) {
        self.state().deliver(sender, datagram);
        self.0.arrived.notify_one();
    }

    /// The family's id while the module is loaded.
    pub fn family_id(&self) -> Option<u16> {
        self.state().module.as_ref().map(|family| family.id)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for StandInKernel {
    async fn readable(&self) -> io::Result<()> {
        loop {
            let arrived = self.0.arrived.notified();
            {
                let state = self.state();
                if state.overrun || !state.socket.is_empty() {
                    return Ok(());
                }
            }
            arrived.await;
        }
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<Datagram> {
        let mut state = self.state();
        if std::mem::take(&mut state.overrun) {
            return Err(Errno::NOBUFS.into());
        }
        let Some((sender, bytes)) = state.socket.pop_front() else {
            state.congested = false;
            return Err(io::ErrorKind::WouldBlock.into());
        };
        for (to, from) in buffer.iter_mut().zip(&bytes) {
            *to = *from;
        }
        let length = bytes.len();
        Ok(Datagram { length, sender })
    }

    fn send(&self, datagram: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        for message in Messages::new(datagram).flatten() {
            let result = if message.kind == ctrl::id() {
                state.controller(message.sequence, message.payload)
            } else if Some(message.kind) == state.module.as_ref().map(|family| family.id) {
                let result = state.notify(message.payload);
                self.0.took.notify_one();
                result.map(|()| true)
            } else {
                Err(Errno::NOENT)
            };
            match result {
                Ok(false) => {}
                Ok(true) => state.acknowledge(message.sequence, 0),
                Err(errno) => state.acknowledge(message.sequence, -errno.raw_os_error()),
            }
        }
        self.0.arrived.notify_one();
        Ok(())
    }

    fn join(&self, group: u32) -> io::Result<()> {
        let mut state = self.state();
        let module = state.module.as_ref();
        let of_module = module.is_some_and(|family| family.groups.iter().any(|g| g.1 == group));
        if of_module && !state.privileged {
            return Err(Errno::PERM.into());
        }
        if !of_module && group != CONTROLLER_GROUP {
            return Err(Errno::NOENT.into());
        }
        state.groups.insert(group);
        Ok(())
    }
}

impl State {
    /// A question to `nlctrl`; tells whether an acknowledgement is due.
    fn controller(&mut self, sequence: u32, payload: &[u8]) -> Result<bool, Errno> {
        let name = decode_lookup(payload).ok_or(Errno::INVAL)?;
        let family = match (name.as_str(), &self.module) {
            (ctrl::NAME, _) => Family {
                id: ctrl::id(),
                name,
                groups: vec![(ctrl::NOTIFY_GROUP.into(), CONTROLLER_GROUP)],
            },
            (FAMILY, Some(family)) => family.clone(),
            _ => return Err(Errno::NOENT),
        };
        let answer = encode_family(CtrlCmd::Newfamily, &family, sequence);
        self.deliver(Some(0), answer.map_err(|_| Errno::MSGSIZE)?);
        Ok(false)
    }

    /// `cifs_swn_notify`.
    fn notify(&mut self, payload: &[u8]) -> Result<(), Errno> {
        let (id, notification) = decode_notify(payload).map_err(|_| Errno::INVAL)?;
        let registration = self.registrations.get(&id).ok_or(Errno::INVAL)?;
        if let Notification::ClientMove { address } = notification {
            let scope_id = decode_scope_id(payload);
            let (now, then) = (&registration.request, ScopedAddr::new(address, scope_id));
            if now.ip_address.map(|address| now.scoped(address)) != Some(then) {
                self.move_to(id, then);
            }
        }
        self.taken.push(Taken { at: Instant::now(), id, notification });
        Ok(())
    }

    /// `cifs_swn_reconnect`: a registration that others use too keeps its
    /// number, and no unregister message is sent for it.
    fn move_to(&mut self, id: u32, address: ScopedAddr) {
        let Some(mut registration) = self.registrations.get(&id).cloned() else {
            return;
        };
        registration.request.ip_address = Some(address.address());
        registration.request.scope_id = address.scope_id();
        let id = if registration.references == 1 {
            self.release(id);
            self.insert(registration)
        } else {
            self.registrations.insert(id, registration);
            id
        };
        self.multicast_register(id);
    }

    /// Takes the lowest free number, as `idr_alloc` does.
    fn insert(&mut self, registration: Registration) -> u32 {
        let id = (1..).find(|id| !self.registrations.contains_key(id)).unwrap_or_default();
        self.registrations.insert(id, registration);
        id
    }

    fn release(&mut self, id: u32) {
        let Some(registration) = self.registrations.get_mut(&id) else {
            return;
        };
        registration.references -= 1;
        if registration.references == 0 {
            let request = registration.request.clone();
            self.registrations.remove(&id);
            self.multicast(id, &request, None);
        }
    }

    fn multicast_register(&mut self, id: u32) {
        if let Some(Registration { request, auth, .. }) = self.registrations.get(&id).cloned() {
            self.multicast(id, &request, Some(&auth));
        }
    }

    fn multicast(&mut self, id: u32, request: &RegistrationRequest, auth: Option<&KernelAuth>) {
        let Some(family) = &self.module else { return };
        if !family.groups.iter().any(|(_, g)| self.groups.contains(g)) {
            return;
        }
        if let Ok(bytes) = encode_registration(family.id, id, request, auth) {
            self.deliver(Some(0), bytes);
        }
    }

    fn announce(&mut self, command: CtrlCmd, family: &Family) {
        if self.groups.contains(&CONTROLLER_GROUP) {
            if let Ok(bytes) = encode_family(command, family, 0) {
                self.deliver(Some(0), bytes);
            }
        }
    }

    fn acknowledge(&mut self, sequence: u32, code: i32) {
        self.deliver(Some(0), encode_answer(sequence, code));
    }

    fn deliver(&mut self, sender: Option<u32>, datagram: Vec<u8>) {
        if self.lose == 0 && self.socket.len() < self.room {
            self.socket.push_back((sender, datagram));
            return;
        }
        self.lose = self.lose.saturating_sub(1);
        // The error is given once, before what is still in the socket.
        self.overrun |= !std::mem::replace(&mut self.congested, true);
    }
}
