//! What is shown on a terminal, and what is not in a pipe.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::process::Command;

/// What a check of nothing in particular writes on a terminal of this width.
fn check(width: u16, environment: &[(&str, &str)]) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let size = Winsize { ws_row: 24, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let other_end = OpenOptions::new().read(true).write(true).open(name).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_swnctl"));
    command.args(["--socket", "/nonexistent", "check", "//127.0.0.1/data"]);
    command.env_remove("NO_COLOR").env("TERM", "xterm");
    command.envs(environment.iter().copied()).stdout(other_end);
    let mut program = command.spawn().unwrap();
    // Its end is the child's only from here on.
    drop(command);
    let reader = std::thread::spawn(move || {
        let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
        let mut terminal = File::from(terminal);
        // It fails once no process has the other end.
        while let Ok(length @ 1..) = terminal.read(&mut buffer) {
            text.extend_from_slice(buffer.get(..length).unwrap());
        }
        String::from_utf8(text).unwrap()
    });
    program.wait().unwrap();
    reader.join().unwrap()
}

#[test]
fn a_terminal_has_colours_and_lines_that_fit() {
    let text = check(60, &[]);
    assert!(text.contains("\u{1b}[1;31mFAIL \u{1b}[0m mount.name"), "{text:?}");
    for line in text.replace("\u{1b}[0m", "").lines() {
        let shown = line.split_once('m').filter(|_| line.starts_with('\u{1b}'));
        let shown = shown.map_or(line, |(_, rest)| rest);
        assert!(shown.trim_end().chars().count() <= 60, "{shown:?}");
    }
    assert!(check(2000, &[]).lines().count() < text.lines().count());
}

#[test]
fn who_wants_no_colours_gets_none() {
    for environment in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let text = check(80, &[environment]);
        assert!(text.contains("FAIL  mount.name") && !text.contains('\u{1b}'), "{text:?}");
    }
}

#[test]
fn json_is_on_one_line_or_for_people() {
    let swnctl = |form: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_swnctl"));
        let output = command.args(["--socket", "/nonexistent", form, "status"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(swnctl("--json"), "{\"daemon\":null}\n");
    assert_eq!(swnctl("--json=short"), "{\"daemon\":null}\n");
    assert_eq!(swnctl("--json=pretty"), "{\n  \"daemon\": null\n}\n");
}
