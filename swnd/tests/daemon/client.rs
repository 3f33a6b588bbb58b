//! A witness client that does nothing, and what the kernel asks for.

use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use swnclient::{
    Credentials, Interface, RegistrationId, RegistrationRequest, ResourceState, Secret,
};
use swnd::failover::driver::Answer;
use swnd::kernel::KernelAuth;
use swnd::table::Registrar;

/// What the table asked the client for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    Register(RegistrationId, RegistrationRequest, Credentials),
    Retry(RegistrationId, Credentials),
    TryNow(RegistrationId),
    Unregister(RegistrationId),
}

/// A client that writes down what it is asked for.
#[derive(Debug, Default)]
pub(super) struct FakeClient {
    calls: Mutex<Vec<Call>>,
    last: AtomicU64,
}

impl FakeClient {
    pub(super) fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn call(&self, call: Call) {
        self.calls.lock().unwrap().push(call);
    }
}

impl Registrar for FakeClient {
    fn register(&self, request: RegistrationRequest, credentials: Credentials) -> RegistrationId {
        let id = RegistrationId(self.last.fetch_add(1, Ordering::Relaxed) + 1);
        self.call(Call::Register(id, request, credentials));
        id
    }

    fn request_again(&self, id: RegistrationId, credentials: Credentials) {
        self.call(Call::Retry(id, credentials));
    }

    fn try_now(&self, id: RegistrationId) {
        self.call(Call::TryNow(id));
    }

    fn unregister(&self, id: RegistrationId) {
        self.call(Call::Unregister(id));
    }

    fn attempt(
        &self,
        _: RegistrationRequest,
        _: Credentials,
    ) -> Answer<Result<(IpAddr, u8), swnclient::Error>> {
        Box::pin(std::future::ready(Err(swnclient::Error::NoWitness)))
    }

    fn interfaces(&self, _: RegistrationId) -> Answer<Vec<Interface>> {
        let interface = |last, state, may_be_witness| Interface {
            group_name: "NODE".into(),
            state,
            addresses: vec![[10, 77, 0, last].into()],
            may_be_witness,
        };
        let list = vec![
            interface(101, ResourceState::Available, false),
            interface(102, ResourceState::Unavailable, true),
        ];
        Box::pin(std::future::ready(list))
    }

    fn witness_connections(&self) -> Answer<usize> {
        Box::pin(std::future::ready(3))
    }
}

pub(super) fn request(net_name: &str, address: &str) -> RegistrationRequest {
    RegistrationRequest {
        net_name: net_name.into(),
        share_name: Some("data".into()),
        ip_address: Some(address.parse().unwrap()),
        scope_id: 0,
        net_name_notify: true,
        share_name_notify: true,
        ip_notify: false,
    }
}

pub(super) fn auth(user: &str) -> KernelAuth {
    KernelAuth::Ntlm {
        user: Some(user.into()),
        domain: None,
        password: Some(Secret::new("swnpass")),
    }
}

/// A mount without a password.
pub(super) fn guest() -> KernelAuth {
    KernelAuth::Ntlm { user: Some("guest".into()), domain: None, password: None }
}
