//! `portcullis check`

use std::{path::Path, process::ExitCode};

use super::read_config;
use crate::pipeline::{Toolbox, plan_file};

pub(super) fn run(file: &Path, tools: &Toolbox, json: bool) -> anyhow::Result<ExitCode> {
    let plan = plan_file(file, &read_config(file)?, tools);
    if json {
        println!("{}", plan.report.to_json());
    } else if plan.report.is_empty() {
        println!("{}: no problems", file.display());
    } else {
        print!("{}", plan.report);
    }
    Ok(if plan.report.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
