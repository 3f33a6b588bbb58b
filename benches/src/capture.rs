//! A packet capture, and from it the server's think time: from the last byte of
//! a request to the first byte of the reply.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A running capture.
#[derive(Debug)]
pub(crate) struct Capture {
    tcpdump: Child,
    file: PathBuf,
}

/// A segment of a connection with something in it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Segment {
    /// Seconds since 1970.
    at: f64,
    /// The client's port.
    client: u16,
    /// Whether the client sent it.
    request: bool,
}

impl Capture {
    /// Starts tcpdump by way of `command`, which may say where.
    pub(crate) fn start(mut command: Command) -> Self {
        let file = std::env::temp_dir().join(format!("bench-{}.pcap", std::process::id()));
        let mut tcpdump = command
            .args(
                "tcpdump -i eth0 -s 96 -B 16384 -Z root --time-stamp-precision=nano -w".split(' '),
            )
            .arg(&file)
            .arg("tcp")
            .stderr(Stdio::piped())
            .spawn()
            .expect("tcpdump can be started");
        let stderr = tcpdump.stderr.take().expect("stderr is piped");
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("listening on")), "tcpdump does not listen");
        std::thread::spawn(move || lines.for_each(drop));
        Self { tcpdump, file }
    }

    /// Ends it; the client had this address.
    pub(crate) fn stop(mut self, client: [u8; 4]) -> Thinking {
        // What is still on its way to it.
        std::thread::sleep(std::time::Duration::from_secs(1));
        let pid = rustix::process::Pid::from_child(&self.tcpdump);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
        let _ = self.tcpdump.wait();
        let bytes = std::fs::read(&self.file).expect("tcpdump has written it");
        let mut segments = segments(&bytes, client);
        // Two processors see the two directions.
        segments.sort_by(|a, b| a.at.total_cmp(&b.at));
        Thinking { exchanges: exchanges(&segments) }
    }
}

/// What a server has thought about, and for how long.
#[derive(Debug)]
pub(crate) struct Thinking {
    /// When each reply began, and for how long it was thought about, in seconds.
    exchanges: Vec<(f64, f64)>,
}

impl Thinking {
    /// The number and the sum of all think times whose reply came between these
    /// times.
    pub(crate) fn between(&self, start: f64, end: f64) -> (usize, f64) {
        let within = self.exchanges.iter().filter(|(at, _)| (start..=end).contains(at));
        within.fold((0, 0.0), |(count, sum), (_, time)| (count + 1, sum + time))
    }
}

fn exchanges(segments: &[Segment]) -> Vec<(f64, f64)> {
    let mut asked = BTreeMap::new();
    let mut exchanges = Vec::new();
    for segment in segments {
        if segment.request {
            asked.insert(segment.client, segment.at);
        } else if let Some(at) = asked.remove(&segment.client) {
            exchanges.push((segment.at, segment.at - at));
        }
    }
    exchanges
}

/// Reads a capture of Ethernet with nanoseconds, in this machine's byte order.
fn segments(bytes: &[u8], client: [u8; 4]) -> Vec<Segment> {
    let word = |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|i| bytes[at + i]));
    assert_eq!((word(0), word(20)), (0xa1b2_3c4d, 1), "a capture of Ethernet");
    let mut segments = Vec::new();
    let mut at = 24;
    while at + 16 <= bytes.len() {
        let time = f64::from(word(at)) + f64::from(word(at + 4)) / 1e9;
        let captured = usize::try_from(word(at + 8)).expect("a length");
        let packet = &bytes[at + 16..at + 16 + captured];
        segments.extend(segment(time, packet, client));
        at += 16 + captured;
    }
    segments
}

/// A TCP segment over IPv4 that is not empty.
fn segment(at: f64, packet: &[u8], client: [u8; 4]) -> Option<Segment> {
    if packet.get(12..14)? != [8, 0] {
        return None;
    }
    let ip = packet.get(14..)?;
    let tcp = ip.get(usize::from(ip.first()? & 15) * 4..)?;
    let short =
        |part: &[u8], at: usize| Some(u16::from_be_bytes([*part.get(at)?, *part.get(at + 1)?]));
    let headers = usize::from(ip[0] & 15) * 4 + usize::from(tcp.get(12)? >> 4) * 4;
    let request = *ip.get(12..16)? == client;
    let port = short(tcp, if request { 0 } else { 2 })?;
    (usize::from(short(ip, 2)?) > headers).then_some(Segment { at, client: port, request })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn think_time_counts_from_the_last_request_to_the_first_reply() {
        let segment = |at, client, request| Segment { at, client, request };
        let segments = [
            segment(1.0, 1, true),
            segment(1.5, 1, true),
            segment(1.75, 2, true),
            segment(2.0, 1, false),
            segment(2.5, 1, false),
            segment(3.0, 2, false),
        ];
        let thinking = Thinking { exchanges: exchanges(&segments) };
        assert_eq!(thinking.between(0.0, 4.0), (2, 1.75));
        assert_eq!(thinking.between(0.0, 2.5), (1, 0.5));
    }
}
