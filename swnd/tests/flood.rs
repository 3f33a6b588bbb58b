//! A witness cannot fill the log.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

mod notifications;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::mpsc;
use std::time::Duration;
use swnd::logging;
use swnd::options::LogTarget;

const NOTIFICATIONS: usize = 5000;
/// How many lines of a kind about one mount are logged within a minute.
const LINES: usize = 20;

#[test]
fn the_same_again_and_again_makes_a_few_lines() {
    let (read, write) = rustix::pipe::pipe().unwrap();
    rustix::stdio::dup2_stderr(write).unwrap();
    let (seen, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(File::from(read)).lines() {
            seen.send(line.unwrap()).unwrap();
        }
    });
    logging::init(Some(LogTarget::Stderr), log::LevelFilter::Info).unwrap();
    notifications::hand_on(NOTIFICATIONS, |_| {});
    log::logger().flush();
    log::info!("the end");
    let mut accepted = 0;
    loop {
        let line = lines.recv_timeout(Duration::from_secs(10)).unwrap();
        accepted += usize::from(line.contains("the kernel accepted it"));
        if line.ends_with("the end") {
            break;
        }
    }
    assert_eq!(accepted, LINES);
}
