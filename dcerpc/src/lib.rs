//! A connection-oriented DCE/RPC 5.0 client ([C706], [MS-RPCE]).

pub mod security;
