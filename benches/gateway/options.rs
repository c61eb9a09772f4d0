//! The command line of the bench.

use anyhow::{Context, Result, bail};
use std::str::FromStr;
use std::time::Duration;

use crate::scenarios;

const USAGE: &str = "cargo bench --bench gateway -- [--rounds N] [--seconds S] [--only NAME]… [--stand-in] [--json]";

pub(crate) struct Options {
    /// How often each scenario is repeated; a round runs baseline, subject, subject, baseline.
    pub(crate) rounds: usize,
    /// How long one of those four slots lasts.
    pub(crate) slot: Duration,
    /// The scenarios to run; empty means all.
    pub(crate) only: Vec<String>,
    /// Measure a second floor in the gateway's place.
    pub(crate) stand_in: bool,
    pub(crate) json: bool,
}

impl Options {
    /// `None` when there is nothing to run: `--help`, or `cargo test --all-targets`, which starts benches too but
    /// without the `--bench` that `cargo bench` passes.
    pub(crate) fn read(words: &[&str]) -> Result<Option<Self>> {
        if words.contains(&"--help") || !words.contains(&"--bench") {
            println!("{USAGE}\nscenarios: {}", scenarios::NAMES.join(" "));
            return Ok(None);
        }
        let mut options =
            Self { rounds: 15, slot: Duration::from_millis(300), only: Vec::new(), stand_in: false, json: false };
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            options.take(word, &mut words)?;
        }
        Ok(Some(options))
    }

    fn take<'a>(&mut self, word: &str, rest: &mut impl Iterator<Item = &'a str>) -> Result<()> {
        match word {
            "--bench" => {}
            "--rounds" => self.rounds = value::<usize>(word, rest)?.clamp(1, 100),
            "--seconds" => self.slot = Duration::from_secs_f64(value::<f64>(word, rest)?.clamp(0.05, 60.0)),
            "--only" => self.only.push(scenario(&value::<String>(word, rest)?)?),
            "--stand-in" => self.stand_in = true,
            "--json" => self.json = true,
            unknown => bail!("unknown argument {unknown}\n{USAGE}"),
        }
        Ok(())
    }

    pub(crate) fn wants(&self, scenario: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == scenario)
    }
}

fn value<'a, T: FromStr>(word: &str, rest: &mut impl Iterator<Item = &'a str>) -> Result<T> {
    let text = rest.next().with_context(|| format!("{word} needs a value\n{USAGE}"))?;
    text.parse().ok().with_context(|| format!("{word}: cannot read {text:?}\n{USAGE}"))
}

fn scenario(name: &str) -> Result<String> {
    if !scenarios::NAMES.contains(&name) {
        bail!("no scenario {name:?}; there are: {}", scenarios::NAMES.join(" "));
    }
    Ok(name.to_owned())
}
