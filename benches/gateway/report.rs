//! What was measured, as a table for people and as JSON for machines.

use serde_json::{Value, json};
use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use crate::load::Sample;
use crate::options::Options;
use crate::rounds::{Comparison, Round, Spread};

pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    subject: String,
    how: String,
    load_before: String,
}

pub(crate) struct Row {
    name: &'static str,
    unit: &'static str,
    figures: Comparison,
    goal: Option<Goal>,
    traffic: Option<Traffic>,
    /// What the two columns are, where they are not floor and gateway.
    note: Cow<'static, str>,
}

#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// The ratio is at most this.
    Ratio(f64),
    /// The gateway's own figure is at most this.
    Figure(f64),
}

/// For information: on a small machine these say as much about the machine as about the proxy.
pub(crate) struct Traffic {
    baseline: Flow,
    subject: Flow,
}

struct Flow {
    per_second: f64,
    /// Microseconds at the 50th and the 99th percentile, where single operations were timed.
    latency: Option<(f64, f64)>,
}

impl Report {
    pub(crate) fn new(gateway: Option<&Path>, options: &Options) -> Self {
        let stand_in = || "a second floor in the gateway's place: every ratio should be 1, no filter".to_owned();
        Self {
            rows: Vec::new(),
            subject: gateway.map_or_else(stand_in, |path| path.display().to_string()),
            how: format!("{} rounds of 4 slots of {:?}", options.rounds, options.slot),
            load_before: load_average(),
        }
    }
}

impl Row {
    pub(crate) fn compared(name: &'static str, unit: &'static str, figures: Comparison) -> Self {
        Self { name, unit, figures, goal: None, traffic: None, note: "".into() }
    }

    pub(crate) fn goal(self, goal: Option<Goal>) -> Self {
        Self { goal, ..self }
    }

    pub(crate) fn traffic(self, traffic: Traffic) -> Self {
        Self { traffic: Some(traffic), ..self }
    }

    pub(crate) fn note(self, note: impl Into<Cow<'static, str>>) -> Self {
        Self { note: note.into(), ..self }
    }

    /// What the baseline needs.
    pub(crate) fn baseline(&self) -> f64 {
        self.figures.baseline.median
    }

    /// How much more the subject needs than the baseline.
    pub(crate) fn difference(&self) -> f64 {
        self.figures.subject.median - self.figures.baseline.median
    }

    fn met(&self) -> Option<bool> {
        self.goal.map(|goal| match goal {
            Goal::Ratio(most) => self.figures.ratio.median <= most,
            Goal::Figure(most) => self.figures.subject.median <= most,
        })
    }
}

impl Traffic {
    pub(crate) fn of(rounds: &[Round<Sample>]) -> Self {
        Self {
            baseline: Flow::of(rounds.iter().flat_map(|round| &round.baseline)),
            subject: Flow::of(rounds.iter().flat_map(|round| &round.subject)),
        }
    }
}

impl Flow {
    fn of<'a>(samples: impl Iterator<Item = &'a Sample> + Clone) -> Self {
        let operations: f64 = samples.clone().map(|sample| f64::from(sample.operations)).sum();
        let elapsed: Duration = samples.clone().map(|sample| sample.elapsed).sum();
        let mut latencies: Vec<Duration> = samples.flat_map(|sample| &sample.latencies).copied().collect();
        latencies.sort_unstable();
        let at = |percent: usize| latencies.get(latencies.len() * percent / 100).map(|&time| micros(time));
        Self { per_second: operations / elapsed.as_secs_f64(), latency: at(50).zip(at(99)) }
    }
}

pub(crate) fn print(report: &Report, as_json: bool) {
    if as_json {
        println!("{:#}", json_of(report));
    } else {
        println!("{}", text_of(report));
    }
}

fn text_of(report: &Report) -> String {
    let Report { rows, subject, how, load_before } = report;
    let costs = rows.iter().map(|row| cost_cells(row).to_vec());
    let flows = rows.iter().filter_map(|row| Some(flow_cells(row.name, row.traffic.as_ref()?).to_vec()));
    format!(
        "gateway: {subject}\n{how}, load average {load_before} before and {} after\n\n{}\n\
         For information, wall clock: operations/s, p50 / p99 of one call in µs\n\n{}",
        load_average(),
        table(&["scenario", "floor", "gateway", "ratio (min..max)", "goal", "ok?", ""], costs),
        table(&["scenario", "floor", "gateway"], flows),
    )
}

fn cost_cells(row: &Row) -> [String; 7] {
    let Comparison { baseline, subject, ratio } = &row.figures;
    let figure = |spread: &Spread| format!("{:.1} {}", spread.median, row.unit);
    [
        row.name.to_owned(),
        figure(baseline),
        figure(subject),
        format!("{:.2} ({:.2}..{:.2})", ratio.median, ratio.min, ratio.max),
        match row.goal {
            Some(Goal::Ratio(most)) => format!("≤ {most:.2}"),
            Some(Goal::Figure(most)) => format!("≤ {most:.0} {}", row.unit),
            None => String::new(),
        },
        row.met().map_or("", |met| if met { "yes" } else { "no" }).to_owned(),
        row.note.to_string(),
    ]
}

fn flow_cells(name: &str, traffic: &Traffic) -> [String; 3] {
    let cell = |flow: &Flow| match flow.latency {
        Some((p50, p99)) => format!("{:.0}/s, {p50:.0} / {p99:.0}", flow.per_second),
        None => format!("{:.0}/s", flow.per_second),
    };
    [name.to_owned(), cell(&traffic.baseline), cell(&traffic.subject)]
}

fn table(head: &[&str], body: impl Iterator<Item = Vec<String>>) -> String {
    let head = head.iter().map(|&cell| cell.to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    format!("{}\n", cells.join(" | ").trim_end_matches([' ', '|']))
}

fn json_of(report: &Report) -> Value {
    json!({
        "gateway": report.subject,
        "how": report.how,
        "loadAverage": { "before": report.load_before, "after": load_average() },
        "rows": report.rows.iter().map(json_row).collect::<Vec<_>>(),
    })
}

fn json_row(row: &Row) -> Value {
    let goal = row.goal.map(|goal| match goal {
        Goal::Ratio(most) => json!({ "ratio": most }),
        Goal::Figure(most) => json!({ "figure": most }),
    });
    json!({
        "scenario": row.name, "unit": row.unit, "note": row.note, "goal": goal, "met": row.met(),
        "floor": json_spread(&row.figures.baseline),
        "gateway": json_spread(&row.figures.subject),
        "ratio": json_spread(&row.figures.ratio),
        "traffic": row.traffic.as_ref().map(|traffic| json!({
            "floor": json_flow(&traffic.baseline), "gateway": json_flow(&traffic.subject),
        })),
    })
}

fn json_spread(spread: &Spread) -> Value {
    json!({ "median": spread.median, "min": spread.min, "max": spread.max })
}

fn json_flow(flow: &Flow) -> Value {
    let (p50, p99) = flow.latency.unzip();
    json!({ "perSecond": flow.per_second, "p50Micros": p50, "p99Micros": p99 })
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
