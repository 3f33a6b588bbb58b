//! What has been counted since the start. Counting takes no lock.

use crate::failover::Line;
use crate::report::{Kind, Report, notification_name};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use swnclient::Notification;

/// The upper bounds of the classes of the times in which the kernel is told, in microseconds.
const DELIVERY: [u64; 13] =
    [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000];
/// Likewise, of those in which it has a connection again.
const FAILOVER: [u64; 12] = [
    10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
    30_000_000, 60_000_000,
];
/// The types of notifications.
const TYPES: [&str; 4] = ["resource_change", "client_move", "share_move", "ip_change"];

/// How many times lie in each class; the last one has what is above all bounds.
#[derive(Debug)]
struct Histogram<const N: usize> {
    bounds: &'static [u64; N],
    counts: [AtomicU64; N],
    above: AtomicU64,
    sum: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    fn new(bounds: &'static [u64; N]) -> Self {
        let counts = [const { AtomicU64::new(0) }; N];
        Self { bounds, counts, above: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }

    fn add(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let class = self.bounds.iter().zip(&self.counts).find(|(bound, _)| micros <= **bound);
        class.map_or(&self.above, |(_, count)| count).fetch_add(1, Relaxed);
        self.sum.fetch_add(micros, Relaxed);
    }

    fn view(&self) -> Times {
        let counts = self.counts.iter().chain([&self.above]);
        Times {
            bounds_us: self.bounds.to_vec(),
            counts: counts.map(|count| count.load(Relaxed)).collect(),
            sum_us: self.sum.load(Relaxed),
        }
    }
}

/// The counters.
#[derive(Debug)]
pub struct Counters {
    kinds: [AtomicU64; Kind::ALL.len()],
    /// Of the kinds of failures, those that ended a registration.
    losses: [AtomicU64; Kind::ALL.len()],
    notifications: [AtomicU64; TYPES.len()],
    delivery: Histogram<13>,
    failover: Histogram<12>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            kinds: [const { AtomicU64::new(0) }; Kind::ALL.len()],
            losses: [const { AtomicU64::new(0) }; Kind::ALL.len()],
            notifications: [const { AtomicU64::new(0) }; TYPES.len()],
            delivery: Histogram::new(&DELIVERY),
            failover: Histogram::new(&FAILOVER),
        }
    }
}

/// How many times lie in each class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// The upper bounds of the classes, in microseconds.
    pub bounds_us: Vec<u64>,
    /// How many there are in each, and above all bounds.
    pub counts: Vec<u64>,
    /// The sum of all, in microseconds.
    pub sum_us: u64,
}

/// What has been counted, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// How often each kind of thing has happened, by its name.
    pub events: BTreeMap<&'static str, u64>,
    /// How often a witness that watched a mount was lost, by reason.
    pub losses: BTreeMap<&'static str, u64>,
    /// How many notifications witnesses have sent, by type.
    pub notifications: BTreeMap<&'static str, u64>,
    /// How long it took to tell the kernel.
    pub delivery: Times,
    /// How long it took until the kernel had a connection again.
    pub failover: Times,
}

impl Counters {
    /// Counts what is reported.
    pub fn report(&self, report: &Report) {
        let kind = report.kind();
        // In the order of their definition.
        if let Some(count) = self.kinds.get(kind as usize) {
            count.fetch_add(1, Relaxed);
        }
        match report {
            Report::Failed { lost: true, .. } => {
                if let Some(count) = self.losses.get(kind as usize) {
                    count.fetch_add(1, Relaxed);
                }
            }
            Report::Notified { delivery, .. } => self.delivery.add(*delivery),
            Report::Failover {
                line: Line::Reconnected { after } | Line::ServedBy { after: Some(after), .. },
                ..
            } => self.failover.add(*after),
            _ => {}
        }
    }

    /// Counts a notification of a witness.
    pub fn notification(&self, notification: &Notification) {
        let name = notification_name(notification);
        let counts = TYPES.iter().zip(&self.notifications);
        for (_, count) in counts.filter(|(it, _)| **it == name) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Returns what has been counted.
    pub fn view(&self) -> Counted {
        let kinds = Kind::ALL.iter().zip(&self.kinds);
        let losses = Kind::ALL.iter().zip(&self.losses).filter(|(kind, _)| kind.is_failure());
        let types = TYPES.into_iter().zip(&self.notifications);
        Counted {
            events: kinds.map(|(kind, count)| (kind.name(), count.load(Relaxed))).collect(),
            losses: losses
                .filter_map(|(kind, count)| Some((kind.reason()?, count.load(Relaxed))))
                .collect(),
            notifications: types.map(|(name, count)| (name, count.load(Relaxed))).collect(),
            delivery: self.delivery.view(),
            failover: self.failover.view(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Mount;
    use rustix::io::Errno;
    use swnclient::RegistrationRequest;

    #[test]
    fn each_report_counts_for_its_kind_and_its_time() {
        let counters = Counters::default();
        let mount = Mount::from(&RegistrationRequest::new("cluster"));
        let address = "10.0.0.9".parse().unwrap();
        let notified = |answer, micros| Report::Notified {
            mount: mount.clone(),
            notification: Notification::ClientMove { address },
            answer,
            delivery: Duration::from_micros(micros),
        };
        counters.report(&notified(Ok(()), 25));
        counters.report(&notified(Err(Errno::PERM), 1_000_000));
        counters.report(&Report::Overrun);
        for lost in [false, true] {
            let (mount, error) = (mount.clone(), swnclient::Error::NoWitness);
            counters.report(&Report::Failed { mount, error, retry_in: None, again: true, lost });
        }
        counters.notification(&Notification::IpChange { address });
        let line = Line::Reconnected { after: Duration::from_millis(40) };
        counters.report(&Report::Failover { mount: mount.clone(), others: 0, line });

        let view = counters.view();
        let of = |name: &str| view.events.get(name).copied();
        let expected = [Some(1), Some(1), Some(1), Some(1), Some(0), None];
        let names = ["notified", "notified.refused", "overrun", "failover.done", "told", "x"];
        assert_eq!(names.map(of), expected);
        assert_eq!(view.events.len(), Kind::ALL.len());
        let losses = ["no_witness", "refused", "account"].map(|reason| view.losses.get(reason));
        assert_eq!(losses, [Some(&1), Some(&0), None]);
        assert_eq!(of("failed.no_witness"), Some(2));
        assert_eq!(view.notifications.get("ip_change"), Some(&1));
        assert_eq!(view.delivery.sum_us, 1_000_025);
        assert_eq!(view.delivery.counts, [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(view.failover.counts.get(2), Some(&1));
    }
}
