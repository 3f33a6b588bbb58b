//! The daemon as the control socket has it.

use super::{Observer, Shared};
use crate::adoption::Rules;
use crate::authentication::Policy;
use crate::control::{Probe, Source, TestError};
use crate::failover::Lead;
use crate::failover::driver::{Answer, Network};
use crate::kernel::Transport;
use crate::status::Status;
use crate::table::{Forward, MountKind, MountView, Registrar, in_service};
use std::net::IpAddr;
use std::sync::{Arc, Weak, mpsc};
use std::time::{Duration, Instant};
use swnclient::{Interface, Notification, ResourceState};
use tokio::time::timeout;

/// How long the kernel's answer to a test may be under way after it has acted.
const TEST_LIMIT: Duration = Duration::from_secs(5);

/// How long an address may take to answer when the kernel asks for it, and waits.
const LEAD_LIMIT: Duration = Duration::from_millis(300);

/// The daemon as the control socket sees it, from another thread.
pub(super) struct SharedSource<T, O, C> {
    pub(super) shared: Arc<Shared<T, O>>,
    pub(super) client: Weak<C>,
    pub(super) network: Option<Arc<dyn Network>>,
}

impl<T: Transport, O: Observer, C: Registrar> Source for SharedSource<T, O, C> {
    fn status(&self) -> Status {
        self.shared.books().current_status()
    }

    fn unwatched(&self) -> Duration {
        self.shared.books().unwatched.total(Instant::now())
    }

    fn witness_connections(&self) -> Answer<usize> {
        match self.client.upgrade() {
            Some(client) => client.witness_connections(),
            None => Box::pin(std::future::ready(0)),
        }
    }

    fn mounts_after(&self, after: Option<u32>, limit: usize) -> Vec<MountView> {
        self.shared.books().table.mounts_after(after, limit)
    }

    fn retry(&self, id: u32) -> bool {
        if MountKind::of(id) == MountKind::Adopted {
            // Its credentials may be others now.
            self.shared.books().adoption.register_again();
            self.shared.adopt.notify_one();
        }
        let client = self.client.upgrade();
        client.is_some_and(|client| self.shared.books().table.retry(id, &*client))
    }

    fn set_policy(&self, policy: Policy) {
        let mut books = self.shared.books();
        books.table.set_policy(policy);
        books.adoption.register_again();
        drop(books);
        self.shared.adopt.notify_one();
    }

    fn set_rules(&self, rules: Rules) {
        let mut books = self.shared.books();
        books.adoption.set_rules(rules);
        books.adoption.register_again();
        drop(books);
        self.shared.adopt.notify_one();
    }

    fn probe(&self, id: u32) -> Option<Probe> {
        let client = self.client.upgrade()?;
        let books = self.shared.books();
        let (request, credentials) = books.table.registering(id)?;
        let registration = books.table.registration(id)?;
        drop(books);
        let attempt = client.attempt(request, credentials);
        let list = client.interfaces(registration);
        Some(Probe { nodes: Box::pin(async { in_service(list.await) }), attempt })
    }

    fn interfaces(&self, id: u32) -> Option<Answer<Vec<Interface>>> {
        let client = self.client.upgrade()?;
        let registration = self.shared.books().table.registration(id)?;
        Some(client.interfaces(registration))
    }

    fn lead(&self, name: &str) -> Option<Answer<Option<IpAddr>>> {
        let mut books = self.shared.books();
        let lead = books.failover.as_mut()?.lead(name, Instant::now())?;
        let address = match lead {
            Lead::To(address) => return Some(Box::pin(async move { Some(address) })),
            Lead::System => return Some(Box::pin(async { None })),
            Lead::IfAlive(address) => address,
        };
        let server = books.table.scoped(address);
        drop(books);
        let probe = self.network.as_ref()?.probe(server);
        let shared = Arc::clone(&self.shared);
        Some(Box::pin(async move {
            if timeout(LEAD_LIMIT, probe).await.unwrap_or_default() {
                return Some(address);
            }
            if let Some(failover) = &mut shared.books().failover {
                failover.lead_is_silent(address, Instant::now());
                shared.wake.notify_one();
            }
            None
        }))
    }

    fn test_notify(&self, id: u32, reconnect: bool) -> Result<Duration, TestError> {
        let state = match reconnect {
            true => ResourceState::Unavailable,
            false => ResourceState::Unknown,
        };
        let (answered, answer) = mpsc::sync_channel(1);
        let since = Instant::now();
        let mut books = self.shared.books();
        let mount = books.table.mount(id).ok_or(TestError::NotFound)?;
        if MountKind::of(id) == MountKind::Adopted {
            let what = "the mount is adopted: the kernel takes no notification about it";
            return Err(TestError::NotSent(what.into()));
        }
        let name = mount.net_name().clone();
        let notification = Notification::ResourceChange { name, state };
        let registration = books.table.registration(id);
        let test = Some(answered);
        let forward = Forward { id, registration, notification: notification.clone(), since, test };
        let prepared = books.link.prepare(id, &notification, 0, forward);
        drop(books);
        let prepared = prepared.map_err(|error| TestError::NotSent(error.to_string()))?;
        if let Err(error) = prepared.send(&*self.shared.transport) {
            self.shared.books().link.not_sent(&prepared);
            return Err(TestError::NotSent(error.to_string()));
        }
        // The event loop reads the answer, which the kernel has given by now.
        match answer.recv_timeout(TEST_LIMIT) {
            Ok(Ok(())) => Ok(since.elapsed()),
            Ok(Err(errno)) => Err(TestError::Refused(errno)),
            Err(_) => Err(TestError::NoAnswer),
        }
    }
}
