//! A witness cluster in one process.
