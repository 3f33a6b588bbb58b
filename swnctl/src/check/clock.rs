//! What a node's clock says: the time in its response to an SMB2 NEGOTIATE ([MS-SMB2] 2.2.4),
//! for which no user is needed.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};
use swnclient::ScopedAddr;

/// How long the node may take.
const LIMIT: Duration = Duration::from_secs(2);
/// Before the time since 1970 there are so many seconds since 1601.
const EPOCH: u64 = 11_644_473_600;
/// Where a response has the time: behind the header, and what comes before it.
const SYSTEM_TIME: usize = 64 + 40;
/// The longest response that is read.
const RESPONSE_MAX: usize = 64 << 10;

/// Returns by how many seconds a node's clock is ahead of this machine's.
pub(super) fn ahead(address: ScopedAddr, port: u16) -> io::Result<i64> {
    let mut stream = TcpStream::connect_timeout(&address.with_port(port), LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.write_all(&request())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    let mut response = vec![0; length.min(RESPONSE_MAX)];
    stream.read_exact(&mut response)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let theirs = system_time(&response).ok_or(io::ErrorKind::InvalidData)?;
    Ok(i64::try_from(theirs).unwrap_or(i64::MAX) - i64::try_from(now.as_secs()).unwrap_or(0))
}

/// Returns the request: dialects 2.1, 3.0 and 3.0.2.
fn request() -> Vec<u8> {
    let mut message = vec![0; 64];
    if let Some(head) = message.get_mut(..6) {
        head.copy_from_slice(b"\xfeSMB\x40\x00");
    }
    // One credit.
    if let Some(credits) = message.get_mut(14) {
        *credits = 1;
    }
    // StructureSize, DialectCount, SecurityMode: signing enabled; then Reserved, Capabilities,
    // ClientGuid and ClientStartTime.
    message.extend_from_slice(&[36, 0, 3, 0, 1, 0]);
    message.extend_from_slice(&[0; 30]);
    message.extend_from_slice(&[0x10, 0x02, 0x00, 0x03, 0x02, 0x03]);
    let length = u32::try_from(message.len()).unwrap_or_default();
    [&length.to_be_bytes()[..], &message].concat()
}

/// Returns the seconds since 1970 that a response tells.
fn system_time(response: &[u8]) -> Option<u64> {
    if !response.starts_with(b"\xfeSMB") {
        return None;
    }
    let ticks = response.get(SYSTEM_TIME..)?.first_chunk::<8>()?;
    (u64::from_le_bytes(*ticks) / 10_000_000).checked_sub(EPOCH).filter(|seconds| *seconds > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_request_has_the_length_that_it_says() {
        let request = request();
        // As Windows 10 sends it, with three dialects: 64 of header, 36, and 6.
        assert_eq!(request.len(), 4 + 106);
        assert_eq!(request.get(..8).unwrap(), b"\x00\x00\x00\x6a\xfeSMB");
    }

    #[test]
    fn the_time_of_a_node_is_compared_with_this_machines() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let node = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            stream.read_exact(&mut [0; 110]).unwrap();
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            let ticks = (now.as_secs() + 400 + EPOCH) * 10_000_000;
            let mut response = vec![0; SYSTEM_TIME + 20];
            response[..4].copy_from_slice(b"\xfeSMB");
            response[SYSTEM_TIME..SYSTEM_TIME + 8].copy_from_slice(&ticks.to_le_bytes());
            let length = u32::try_from(response.len()).unwrap();
            stream.write_all(&length.to_be_bytes()).unwrap();
            stream.write_all(&response).unwrap();
        });
        let ahead = ahead(address.ip().into(), address.port()).unwrap();
        node.join().unwrap();
        assert!((398..=400).contains(&ahead), "{ahead}");
        assert_eq!(system_time(b"\xffSMB"), None);
        assert_eq!(system_time(&[0; 200]), None);
    }
}
