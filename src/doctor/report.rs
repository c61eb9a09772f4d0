//! What an examination found, for people and for programs.

use std::fmt::Write;

use portcullis_policies::kit::words;
use serde_json::{Value, json};

use super::{
    finding::{Finding, State},
    subject::Subject,
};
use crate::fault::Fault;

/// Letters of evidence at most: a server has a say in it.
const LONGEST: usize = 600;

/// What stands in commands for what is not to be shown.
const VARIABLES: [(&str, &str); 2] = [("$TOKEN", "the access token"), ("$QUERY", "what follows `?` in the URL")];

/// All that was found.
pub struct Report {
    subject: Subject,
    lines: Vec<Line>,
}

struct Line {
    check: &'static str,
    question: &'static str,
    finding: Finding,
}

/// A fault, with every finding of it.
struct Diagnosis<'a> {
    fault: Fault,
    findings: Vec<&'a Finding>,
}

impl Report {
    pub(super) fn new(subject: Subject) -> Self {
        Self { subject, lines: Vec::new() }
    }

    /// What is examined, before the first line.
    pub fn head(&self) -> String {
        let token = self.subject.token_from().map(|from| format!("with the token of {from}\n")).unwrap_or_default();
        format!("{}\n{token}\n", self.subject.title())
    }

    /// Takes in what a check found; returns its lines.
    pub(super) fn add(&mut self, check: &'static str, question: &'static str, findings: Vec<Finding>) -> String {
        let mut lines = String::new();
        for mut finding in findings {
            // Masked first and cut then: a cut could leave the beginning of a secret, which nobody would find any more.
            finding.evidence = words::plain(&self.subject.masked(&finding.evidence), LONGEST);
            let _ = writeln!(lines, "  {:<8} {check:<12} {}", finding.state.word(), finding.evidence);
            self.lines.push(Line { check, question, finding });
        }
        lines
    }

    /// Each fault once, in the order in which they were found, the failures first.
    fn diagnosis(&self) -> Vec<Diagnosis<'_>> {
        let mut all: Vec<Diagnosis<'_>> = Vec::new();
        for state in [State::Failed, State::Warning] {
            for finding in self.lines.iter().map(|line| &line.finding).filter(|finding| finding.state == state) {
                let Some(fault) = finding.fault else { continue };
                match all.iter_mut().find(|known| known.fault == fault) {
                    Some(known) => known.findings.push(finding),
                    None => all.push(Diagnosis { fault, findings: vec![finding] }),
                }
            }
        }
        all
    }

    /// The first fault that keeps clients from working with it.
    fn failure(&self) -> Option<Fault> {
        self.lines.iter().find(|line| line.finding.state == State::Failed)?.finding.fault
    }

    /// 0 where nothing failed, else the class of the first failure.
    pub fn exit_code(&self) -> u8 {
        self.failure().map_or(0, |fault| fault.class().exit_code())
    }

    /// What follows the lines.
    pub fn conclusion(&self) -> String {
        let diagnosis = self.diagnosis();
        if diagnosis.is_empty() {
            return format!(
                "\nNothing is wrong with what was looked at.\n{}",
                self.at_the_client("If {client} still fails")
            );
        }
        let mut text = "\nDiagnosis\n".to_owned();
        for Diagnosis { fault, findings } in &diagnosis {
            let _ = writeln!(text, "  {}: {}", fault.code(), fault.cause());
            text.extend(findings.iter().map(|finding| format!("    seen: {}\n", finding.evidence)));
        }
        for (at, one) in diagnosis.iter().enumerate() {
            let title = if at == 0 { "The smallest fix" } else { "Then" };
            let _ = writeln!(text, "\n{title} ({})", one.fault.code());
            text.extend(one.fixes(&self.subject).iter().map(|fix| format!("  {fix}\n")));
        }
        text += &self.at_the_client("For {client}");
        let commands = self.verification(&diagnosis);
        text += "\nVerify\n";
        for (variable, what) in VARIABLES.iter().filter(|(name, _)| commands.iter().any(|line| line.contains(name))) {
            let _ = writeln!(text, "  # {variable} is {what}");
        }
        text.extend(commands.iter().map(|command| format!("  {command}\n")));
        text
    }

    /// What to do at the client that was named.
    fn at_the_client(&self, title: &str) -> String {
        let Some(client) = self.subject.client() else { return String::new() };
        let mut text = format!("\n{}\n", title.replace("{client}", client.profile().name));
        let _ = writeln!(text, "  It comes back to: {}", client.profile().redirects.join("; "));
        for step in client.steps() {
            let command = step.command.map(|command| format!("    {}\n", self.subject.filled(command)));
            let _ = write!(text, "  {}\n{}", step.says, command.unwrap_or_default());
        }
        text
    }

    /// The same for programs.
    fn client(&self) -> Option<Value> {
        let client = self.subject.client()?;
        let steps = client.steps().map(|step| step.to_json(|command| self.subject.filled(command)));
        Some(json!({
            "name": client.word(),
            "redirectUris": client.profile().redirects,
            "steps": steps.collect::<Vec<_>>(),
        }))
    }

    /// Each command once; the one that looks again at the end.
    fn verification(&self, diagnosis: &[Diagnosis<'_>]) -> Vec<String> {
        let findings = diagnosis.iter().flat_map(|one| &one.findings);
        let own = findings.flat_map(|finding| self.subject.verification(finding));
        each_once(own.chain([self.subject.again().to_owned()]))
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let checks = self.lines.iter().map(|Line { check, question, finding }| {
            json!({
                "check": check, "question": question, "state": finding.state.word(),
                "code": finding.fault.map(Fault::code), "evidence": finding.evidence,
            })
        });
        let diagnosis = self.diagnosis();
        let faults = diagnosis.iter().map(|one| {
            let Diagnosis { fault, findings } = one;
            json!({
                "code": fault.code(), "state": fault.severity().word(), "class": fault.class().word(),
                "cause": fault.cause(), "fix": one.fixes(&self.subject).join(" "),
                "evidence": findings.iter().map(|finding| &*finding.evidence).collect::<Vec<_>>(),
                "verify": each_once(findings.iter().flat_map(|finding| self.subject.verification(finding))),
            })
        });
        let state = diagnosis.first().map_or(State::Ok, |one| one.fault.severity().into());
        json!({
            "subject": self.subject.title(),
            "token": self.subject.token_from(),
            "client": self.client(),
            "state": state.word(),
            "class": self.failure().map(|fault| fault.class().word()),
            "exitCode": self.exit_code(),
            "checks": checks.collect::<Vec<_>>(),
            "diagnosis": faults.collect::<Vec<_>>(),
        })
    }
}

impl Diagnosis<'_> {
    /// A fix may repeat what a server said.
    fn fixes(&self, subject: &Subject) -> Vec<String> {
        each_once(self.findings.iter().map(|finding| subject.masked(finding.fix())))
    }
}

/// The check that runs, on a line that what it finds is written over.
pub(super) fn under_way(check: &str) -> String {
    format!("  {:<8} {check}\r", "…")
}

fn each_once(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut once = Vec::new();
    for text in all {
        if !once.contains(&text) {
            once.push(text);
        }
    }
    once
}
