//! Reads scripts.

use super::{Destination, Script, Step, Who};
use crate::{Fault, NodeId, Stage, Time, What};
use dcerpc_proto::association::FaultStatus;
use std::net::IpAddr;
use std::time::Duration;
use swnclient_proto::wire::{AddressInfo, Status};

/// Why a script cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ScriptError {
    /// The line, the first being 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

type Result<T> = std::result::Result<T, String>;

pub(super) fn script(text: &str) -> std::result::Result<Script, ScriptError> {
    let mut steps = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.split('#').next().unwrap_or_default();
        let mut words = Words::new(text);
        if words.is_empty() {
            continue;
        }
        let step = words
            .expect("at")
            .and_then(|()| time(words.next("a time")?))
            .and_then(|at| Ok((at, read_step(words)?)))
            .map_err(|reason| ScriptError { line, reason })?;
        steps.push(step);
    }
    steps.sort_by_key(|(at, _)| *at);
    Ok(Script { steps })
}

pub(super) fn step(text: &str) -> Result<Step> {
    read_step(Words::new(text))
}

/// The words of a line.
#[derive(Clone)]
struct Words<'a> {
    rest: std::iter::Peekable<std::str::SplitWhitespace<'a>>,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.split_whitespace().peekable() }
    }

    fn is_empty(&mut self) -> bool {
        self.rest.peek().is_none()
    }

    fn next(&mut self, what: &str) -> Result<&'a str> {
        self.rest.next().ok_or_else(|| format!("{what} expected"))
    }

    fn accept(&mut self, word: &str) -> bool {
        self.rest.next_if_eq(&word).is_some()
    }

    fn expect(&mut self, word: &str) -> Result<()> {
        match self.next(word)? {
            found if found == word => Ok(()),
            found => Err(format!("`{word}` expected, not `{found}`")),
        }
    }

    fn parse<T: std::str::FromStr>(&mut self, what: &str) -> Result<T> {
        let word = self.next(what)?;
        word.parse().map_err(|_| format!("{what} expected, not `{word}`"))
    }

    fn node(&mut self) -> Result<NodeId> {
        match self.parse("a node's number")? {
            0 => Err("nodes are counted from 1".into()),
            number => Ok(NodeId(number)),
        }
    }

    fn end(&mut self) -> Result<()> {
        match self.rest.next() {
            None => Ok(()),
            Some(word) => Err(format!("`{word}` is one word too many")),
        }
    }
}

fn read_step(mut words: Words<'_>) -> Result<Step> {
    let step = match words.next("a step")? {
        "node" => {
            let node = words.node()?;
            match words.next("up, down or cut")? {
                "up" => Step::NodeUp { node },
                "cut" => Step::NodeCut { node },
                "down" => Step::NodeDown { node, silent: words.accept("silent") },
                other => return Err(format!("a node can go up, down or be cut, not `{other}`")),
            }
        }
        "address" => {
            let address = words.parse("an address")?;
            match words.next("to, online or offline")? {
                "to" => {
                    words.expect("node")?;
                    let node = words.node()?;
                    Step::AddressMove { address, node }
                }
                "online" => Step::AddressState { address, online: true },
                "offline" => Step::AddressState { address, online: false },
                other => return Err(format!("an address goes nowhere by `{other}`")),
            }
        }
        "service" => {
            words.expect("node")?;
            let node = words.node()?;
            let port = if words.accept("stop") {
                None
            } else {
                words.expect("port")?;
                Some(words.parse("a port")?)
            };
            Step::Service { node, port }
        }
        "client-move" => {
            let (who, to) = movement(&mut words)?;
            Step::ClientMove { who, to }
        }
        "share-move" => {
            let (who, to) = movement(&mut words)?;
            Step::ShareMove { who, to }
        }
        "ip-change" => {
            let (who, to) = movement(&mut words)?;
            Step::IpChange { who, to }
        }
        "answer" => {
            let who = who(&mut words)?;
            let notice = match words.next("a status or `empty`")? {
                "empty" => Ok(None),
                code => Err(status(code)?),
            };
            Step::Answer { who, notice }
        }
        "force-unregister" => Step::ForceUnregister { who: who(&mut words)? },
        "password" => Step::Password {
            user: words.next("a user")?.into(),
            password: words.next("a password")?.into(),
        },
        "clock" => Step::Clock { ahead: words.parse("seconds")? },
        "fault" => Step::Fault(fault(&mut words)?),
        "no-faults" => Step::NoFaults,
        other => return Err(format!("there is no step `{other}`")),
    };
    words.end()?;
    Ok(step)
}

fn movement(words: &mut Words<'_>) -> Result<(Who, Destination)> {
    let who = who(words)?;
    words.expect("to")?;
    if words.accept("node") {
        return Ok((who, Destination::Node(words.node()?)));
    }
    let mut list = Vec::new();
    while !words.is_empty() {
        let word = words.next("an address")?;
        let (address, last) = match word.strip_suffix(',') {
            Some(address) => (address, false),
            None => (word, true),
        };
        let address: IpAddr =
            address.parse().map_err(|_| format!("an address expected, not `{address}`"))?;
        let offline = last && (words.accept("offline") || words.accept("offline,"));
        list.push(AddressInfo::new(address, !offline));
    }
    Ok((who, Destination::Addresses(list)))
}

fn who(words: &mut Words<'_>) -> Result<Who> {
    Ok(match words.next("all, client, address or witness")? {
        "all" => Who::All,
        "client" => Who::Client(words.next("a client's name")?.into()),
        "address" => Who::Address(words.parse("an address")?),
        "witness" => Who::Witness(words.node()?),
        other => return Err(format!("who is `{other}`?")),
    })
}

fn fault(words: &mut Words<'_>) -> Result<Fault> {
    let stage = words.next("a stage")?;
    let on = Stage::from_name(stage).ok_or_else(|| format!("there is no stage `{stage}`"))?;
    let node = if words.accept("node") { Some(words.node()?) } else { None };
    let times = if words.accept("always") {
        None
    } else if words.accept("times") {
        Some(words.parse("a number")?)
    } else {
        Some(1)
    };
    let what = match words.next("what goes wrong")? {
        "refuse" => What::Refuse,
        "no-reply" => What::NoReply,
        "drop" => What::Drop,
        "delay" => What::Delay(time(words.next("a time")?)?),
        "cut" => What::Cut(words.parse("a number of bytes")?),
        "garble" => What::Garble(words.parse("an offset")?),
        "chunks" => What::Chunks,
        "fragments" => What::Fragments(words.parse("a number of bytes")?),
        "huge-counts" => What::HugeCounts,
        "huge-length" => What::HugeLength,
        "truncate" => What::Truncate(words.parse("a number of bytes")?),
        "wrong-call-id" => What::WrongCallId,
        "unprotected" => What::Unprotected,
        "fault" => What::Fault(FaultStatus(code(words.next("a code")?)?)),
        "nak" => What::BindNak(words.parse("a reason")?),
        "status" => What::Status(status(words.next("a status")?)?),
        "empty" => What::Empty,
        "storm" => What::Storm(words.parse("a number of changes")?),
        other => return Err(format!("there is no fault `{other}`")),
    };
    Ok(Fault { on, node, times, what })
}

fn time(word: &str) -> Result<Time> {
    // The first two are how a time prints itself.
    let units = [("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    units
        .into_iter()
        .find_map(|(unit, seconds)| {
            let number: f64 = word.strip_suffix(unit)?.parse().ok()?;
            Duration::try_from_secs_f64(number * seconds).ok()
        })
        .ok_or_else(|| format!("a time such as 1.5s, 200ms or 10m expected, not `{word}`"))
}

fn code(word: &str) -> Result<u32> {
    let parsed = match word.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => word.parse(),
    };
    parsed.map_err(|_| format!("a code expected, not `{word}`"))
}

fn status(word: &str) -> Result<Status> {
    let named = Status::NAMED.iter().find(|status| status.name() == Some(word));
    named.map_or_else(|| code(word).map(Status), |status| Ok(*status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_reads_as_it_prints() {
        for text in [
            "node 1 down",
            "node 1 down silent",
            "node 3 cut",
            "node 1 up",
            "address 10.0.0.11 to node 2",
            "address fd00::11 offline",
            "address 10.0.0.11 online",
            "service node 2 stop",
            "service node 2 port 50000",
            "client-move all to node 2",
            "client-move client ws1 to 10.0.0.12",
            "share-move witness 2 to 10.0.0.12, 10.0.0.13",
            "ip-change address 10.0.0.11 to 10.0.0.11 offline, fd00::12, 10.0.0.13",
            "answer all ERROR_NOT_FOUND",
            "answer all ERROR_OUTOFMEMORY",
            "answer all ERROR_ALREADY_EXISTS",
            "answer all empty",
            "force-unregister all",
            "fault register node 2 times 3 status ERROR_INVALID_STATE",
            "fault notify always delay 5s",
            "fault list cut 100",
            "fault bind nak 2",
            "fault notify always storm 131000",
            "fault register-ex fault 0x1c010002",
            "no-faults",
        ] {
            let step: Step = text.parse().unwrap();
            assert_eq!(step.to_string(), text);
        }
    }

    #[test]
    fn a_script_has_times_comments_and_an_order() {
        let script: Script =
            "# a failover\nat 2s node 1 up\n\nat 200ms node 1 down # bang\n".parse().unwrap();
        let times: Vec<Time> = script.steps.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [Duration::from_millis(200), Duration::from_secs(2)]);
    }

    #[test]
    fn an_error_names_the_line_and_what_was_expected() {
        let error = "at 1s node 1 up\nat 2s node 0 up".parse::<Script>().unwrap_err();
        assert_eq!(error.to_string(), "line 2: nodes are counted from 1");
        for wrong in [
            "at 1s",
            "node 1 up",
            "at 1x node 1 up",
            "at 1s node 1 up now",
            "at 1s fault nowhere cut 1",
            "at 1s client-move all to nowhere",
        ] {
            assert!(wrong.parse::<Script>().is_err(), "{wrong}");
        }
    }
}
