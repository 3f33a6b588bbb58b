//! What the program `bench` and the benchmarks by criterion share. Nothing here
//! is an interface for others.

pub mod scenario;
