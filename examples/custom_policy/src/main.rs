//! A gateway with one policy more than the standard ones.

use std::process::ExitCode;

use portcullis_policies::{STANDARD, kit::policy::PolicyKind};
use team_gateway::TeamToken;

fn main() -> ExitCode {
    portcullis::cli::main([STANDARD, &[PolicyKind::of::<TeamToken>()]].concat())
}
