//! The host's name, by calls of the C library, and its addresses.
#![expect(unsafe_code, reason = "the standard library has no names")]

use libc::{AI_CANONNAME, addrinfo};
use smol_str::SmolStr;
use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use swnclient_proto::{FullName, ScopedAddr};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// HOST_NAME_MAX of Linux, and a NUL.
const HOST_NAME_SIZE: usize = 65;
/// How long a registration waits for the full name.
const LIMIT: Duration = Duration::from_secs(2);

/// Returns the kernel's name of the host, with or without a domain, without waiting: what
/// [`ClientName::of_host`](crate::ClientName::of_host) wants. It is "localhost" where none
/// is set.
pub fn host_name() -> SmolStr {
    let mut buffer = [0u8; HOST_NAME_SIZE];
    // SAFETY: the buffer is as long as it is said to be.
    let failed = unsafe { libc::gethostname(buffer.as_mut_ptr().cast(), buffer.len()) } != 0;
    let name = CStr::from_bytes_until_nul(&buffer).unwrap_or_default();
    match name.to_string_lossy() {
        name if failed || name.is_empty() || name == "(none)" => SmolStr::new_static("localhost"),
        name => name.into(),
    }
}

/// Looks full names up, one at a time.
#[derive(Debug, Clone)]
pub(crate) struct FullNames(Arc<Semaphore>);

impl Default for FullNames {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl FullNames {
    /// Looks one up, for [`LIMIT`] at the longest. Where the last one takes longer, this one
    /// is late at once.
    pub(crate) async fn find(&self, host: SmolStr) -> FullName {
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else {
            return FullName::Late;
        };
        let found = spawn_blocking(move || {
            let _permit = permit;
            full_name(&host)
        });
        match tokio::time::timeout(LIMIT, found).await {
            Ok(found) => found.ok().flatten().map_or(FullName::Unknown, FullName::Name),
            Err(_) => FullName::Late,
        }
    }
}

/// Returns what the system has as the full name of a host. May ask DNS.
fn full_name(host: &str) -> Option<SmolStr> {
    let host = CString::new(host).ok()?;
    // SAFETY: all of addrinfo's fields may be zero.
    let mut hints: addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_flags = AI_CANONNAME;
    let mut list = ptr::null_mut();
    // SAFETY: the name ends with NUL, the other pointers are to live variables.
    let error =
        unsafe { libc::getaddrinfo(host.as_ptr(), ptr::null(), &raw const hints, &raw mut list) };
    if error != 0 {
        return None;
    }
    // SAFETY: getaddrinfo succeeded: `list` is its first entry, which alone has
    // the name, if any has.
    let name = unsafe { list.as_ref() }.filter(|first| !first.ai_canonname.is_null()).map(
        // SAFETY: not NULL, ends with NUL.
        |first| unsafe { CStr::from_ptr(first.ai_canonname) }.to_string_lossy().into(),
    );
    // SAFETY: getaddrinfo's, and nothing of it is used any more.
    unsafe { libc::freeaddrinfo(list) };
    name
}

/// Whether an address is one of this machine's, or was a second ago. Nothing is sent.
pub fn is_own_address(scoped: ScopedAddr) -> bool {
    // A thousand mounts that are moved at once are moved to the same few addresses.
    OWN.with_borrow_mut(|own| own.get_or(scoped, Instant::now(), || finds_own_address(scoped)))
}

thread_local! {
    static OWN: RefCell<Lately> = const { RefCell::new(Lately(Vec::new())) };
}

/// What was found of addresses within the last second.
struct Lately(Vec<(ScopedAddr, Instant, bool)>);

impl Lately {
    const LASTS: Duration = Duration::from_secs(1);
    const MOST: usize = 8;

    fn get_or(&mut self, of: ScopedAddr, now: Instant, find: impl FnOnce() -> bool) -> bool {
        self.0.retain(|(_, at, _)| now.saturating_duration_since(*at) < Self::LASTS);
        if let Some((_, _, found)) = self.0.iter().find(|(address, _, _)| *address == of) {
            return *found;
        }
        let found = find();
        if self.0.len() >= Self::MOST {
            self.0.remove(0);
        }
        self.0.push((of, now, found));
        found
    }
}

fn finds_own_address(scoped: ScopedAddr) -> bool {
    let address = scoped.address();
    let is_bindable = |address: SocketAddr| UdpSocket::bind(address).is_ok();
    // Of documentation.
    let (any, foreign): (IpAddr, IpAddr) = match address {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()),
        IpAddr::V6(_) => {
            (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::from(0x2001_0db8_u128 << 96 | 1).into())
        }
    };
    // With net.ipv4.ip_nonlocal_bind a socket takes any address; then only that is one from
    // which it would be sent to itself.
    let sends_from = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(scoped.with_port(9))?;
        socket.local_addr()
    };
    let is_source = || sends_from().is_ok_and(|from| from.ip() == address);
    is_bindable(scoped.with_port(0)) && (!is_bindable((foreign, 0).into()) || is_source())
}

#[cfg(test)]
mod tests {
    use super::{FullNames, Lately, full_name, host_name, is_own_address};
    use std::net::IpAddr;
    use std::sync::Arc;
    use std::time::Instant;
    use swnclient_proto::{FullName, ScopedAddr};

    /// What every system has as its own full name, without asking elsewhere.
    const NUMBERS: &str = "192.0.2.77";

    #[test]
    fn the_addresses_of_this_machine_are_known_as_such() {
        for (address, is_own) in
            [("127.0.0.1", true), ("127.3.2.1", true), ("192.0.2.77", false), ("fe80::1", false)]
        {
            let address: IpAddr = address.parse().expect("an address");
            assert_eq!(is_own_address(address.into()), is_own, "{address}");
        }
    }

    #[test]
    fn the_hosts_name_is_the_kernels() {
        let kernels = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
        assert_eq!(host_name(), kernels.trim());
    }

    #[test]
    fn a_name_that_none_can_have_has_no_full_name() {
        assert_eq!(full_name("no such\u{1}name"), None);
        assert_eq!(full_name("nul\0"), None);
    }

    #[test]
    fn the_full_name_is_what_the_system_says() {
        assert_eq!(full_name(NUMBERS).as_deref(), Some(NUMBERS));
    }

    #[tokio::test]
    async fn a_look_up_is_late_while_the_last_one_has_not_ended() {
        let names = FullNames::default();
        let last = Arc::clone(&names.0).try_acquire_owned().expect("it is free");
        assert_eq!(names.find(NUMBERS.into()).await, FullName::Late);
        drop(last);
        assert_eq!(names.find(NUMBERS.into()).await, FullName::Name(NUMBERS.into()));
        assert_eq!(names.find("no such\u{1}name".into()).await, FullName::Unknown);
    }

    #[test]
    fn of_an_address_it_is_found_out_once_a_second() {
        let mut lately = Lately(Vec::new());
        let now = Instant::now();
        let address = |last: u8| ScopedAddr::from(IpAddr::from([192, 0, 2, last]));
        assert!(lately.get_or(address(1), now, || true));
        assert!(!lately.get_or(address(2), now, || false));
        let soon = now + Lately::LASTS / 2;
        assert!(lately.get_or(address(1), soon, || unreachable!("it is known")));
        assert!(!lately.get_or(address(1), now + Lately::LASTS, || false));
        for last in 0..=u8::MAX {
            lately.get_or(address(last), soon, || false);
        }
        assert_eq!(lately.0.len(), Lately::MOST);
    }
}
