//! `portcullis schema`

use std::process::ExitCode;

use crate::{config::json_schema, pipeline::Toolbox};

pub(super) fn run(tools: &Toolbox) -> anyhow::Result<ExitCode> {
    println!("{}", serde_json::to_string_pretty(&json_schema(&tools.kinds))?);
    Ok(ExitCode::SUCCESS)
}
