//! The sans-IO client: from a notification's bytes to the event and the next
//! request, and all that it does for a registration.

use bench::scenario::{Meter, Scenario};
use criterion::{BenchmarkId, Criterion};
use std::time::{Duration, Instant};

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a notification");
    for there in [1, 100, 10_000] {
        // Each sample has at least one notification of each registration.
        group.sample_size(if there > 100 { 10 } else { 100 });
        group.bench_function(BenchmarkId::from_parameter(there), |bencher| {
            let mut scenario = Scenario::new(Clock::default());
            scenario.register(there);
            scenario.measure(true);
            bencher.iter_custom(|times| each(&mut scenario, times, there, Scenario::notify));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("a registration");
    group.sample_size(10);
    group.bench_function("the first", |bencher| {
        bencher.iter_custom(|times| {
            let first = |_| {
                let mut scenario = Scenario::new(Clock::default());
                scenario.measure(true);
                scenario.register(1);
                scenario.meter(Clock::take)
            };
            (0..times).map(first).sum()
        });
    });
    group.bench_function("one of the first 100", |bencher| {
        bencher.iter_custom(|times| {
            let mut scenario = Scenario::new(Clock::default());
            each(&mut scenario, times, 100, |scenario| {
                *scenario = Scenario::new(Clock::default());
                scenario.measure(true);
                scenario.register(100);
            })
        });
    });
}

/// How long `times` of something take of which each turn has so many, all of them
/// measured.
fn each(
    scenario: &mut Scenario<Clock>,
    times: u64,
    in_a_turn: usize,
    turn: impl Fn(&mut Scenario<Clock>),
) -> Duration {
    let in_a_turn = u64::try_from(in_a_turn).expect("few");
    let turns = times.div_ceil(in_a_turn);
    let mut took = Duration::ZERO;
    for _ in 0..turns {
        turn(scenario);
        took += scenario.meter(Clock::take);
    }
    took.mul_f64(float(times) / float(turns * in_a_turn))
}

fn float(number: u64) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

/// Time; what the clock itself takes is part of it, some 50 ns a call.
#[derive(Debug, Default)]
struct Clock(Duration);

impl Clock {
    fn take(&mut self) -> Duration {
        std::mem::take(&mut self.0)
    }
}

impl Meter for Clock {
    fn measure<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = call();
        self.0 += started.elapsed();
        result
    }
}
