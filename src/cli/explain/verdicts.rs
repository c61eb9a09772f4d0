//! What came of a rehearsal, for people and for programs.

use std::process::ExitCode;

use http::HeaderMap;
use portcullis_policies::kit::{
    host::Caller,
    message::Message,
    rehearsal::{Said, Step, Verdict},
};
use serde_json::{Value, json};

use crate::config::Secrets;

/// The exit codes beside 0, which means that the request would be sent, and 1, an error of the configuration.
const REFUSED: u8 = 3;
const HELD: u8 = 4;
const NOT_JUDGED: u8 = 5;

/// One rehearsal.
pub(super) struct Rehearsed {
    pub(super) path: String,
    pub(super) method: &'static str,
    pub(super) target: Option<String>,
    pub(super) caller: Option<Caller>,
    /// Each layer's name, and its policy's.
    pub(super) layers: Vec<(String, &'static str)>,
    /// What became of the request there, and then at the end of the chain.
    pub(super) steps: Vec<Step>,
    /// Why it did not come so far.
    pub(super) unread: Option<Said>,
    /// What would be sent, with the headers that policies set.
    pub(super) sent: Option<(Message, HeaderMap)>,
    pub(super) upstream: String,
    /// What the list would hold.
    pub(super) list: Option<Listed>,
}

/// The tools of the upstream.
#[derive(Default)]
pub(super) struct Listed {
    pub(super) shown: Vec<String>,
    pub(super) hidden: Vec<Hidden>,
}

/// A tool that is not in the list.
pub(super) struct Hidden {
    pub(super) tool: String,
    /// Which layer hides it.
    pub(super) by: Option<usize>,
    /// Which layer refuses a call of it, and how.
    pub(super) refused: Option<(usize, Said)>,
}

/// What came of it all.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Sent,
    Refused,
    Held,
    NotJudged,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Held => "held",
            Self::NotJudged => "not_judged",
        }
    }
}

/// A verdict's name, as in JSON.
fn name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::NotReached => "not_reached",
        Verdict::Passed => "passed",
        Verdict::Refused(_) => "refused",
        Verdict::RefusedLast(_) => "refused_last",
        Verdict::Held(_) => "held",
        Verdict::Answered(_) => "answered",
        Verdict::NotJudged(_) => "not_judged",
    }
}

impl Rehearsed {
    fn outcome(&self) -> Outcome {
        let has = |is: fn(&Verdict) -> bool| self.steps.iter().any(|step| is(&step.verdict));
        if self.unread.is_none() && has(|verdict| matches!(verdict, Verdict::Held(_))) {
            Outcome::Held
        } else if self.sent.is_none() {
            Outcome::Refused
        } else if has(|verdict| matches!(verdict, Verdict::NotJudged(_))) {
            Outcome::NotJudged
        } else {
            Outcome::Sent
        }
    }

    pub(super) fn code(&self) -> ExitCode {
        match self.outcome() {
            Outcome::Sent => ExitCode::SUCCESS,
            Outcome::Refused => REFUSED.into(),
            Outcome::Held => HELD.into(),
            Outcome::NotJudged => NOT_JUDGED.into(),
        }
    }

    /// The tools in the list that the outermost layer passes back.
    pub(super) fn shown(&self) -> Vec<String> {
        self.steps.iter().find_map(|step| step.listed.clone()).unwrap_or_default()
    }

    /// Which layer takes this tool out of the list: the innermost that passes back a list without it.
    pub(super) fn hides(&self, tool: &str) -> Option<usize> {
        let lacks = |step: &Step| step.listed.as_ref().is_some_and(|listed| !listed.iter().any(|name| name == tool));
        self.steps.iter().rposition(lacks)
    }

    /// Prints it, without what came from `$env` and `$file`.
    pub(super) fn show(&self, secrets: &Secrets, json: bool) -> anyhow::Result<()> {
        if json {
            println!("{}", serde_json::to_string_pretty(&secrets.mask_strings(&self.to_json()))?);
        } else {
            print!("{}", secrets.mask(&self.lines().join("\n")));
            println!();
        }
        Ok(())
    }

    fn lines(&self) -> Vec<String> {
        let target = self.target.as_ref().map(|target| format!(" {target:?}")).unwrap_or_default();
        let who =
            self.caller.as_ref().map_or("without a credential".to_owned(), |caller| format!("as {}", caller.subject));
        let mut lines = vec![format!("{}: {}{target} {who}", self.path, self.method), String::new()];
        lines.extend(self.unread.iter().map(|said| format!("  before the first layer: refused, {}", sentence(said))));
        let names: Vec<_> = self.layers.iter().map(|(name, kind)| titled(name, kind)).collect();
        let width = names.iter().map(String::len).max().unwrap_or_default();
        for (index, (name, step)) in names.iter().zip(&self.steps).enumerate() {
            let mut said = said(step).into_iter();
            let first = said.next().unwrap_or_default();
            let line = format!("  {}. {name:width$}  {:11} {first}", index + 1, words(&step.verdict));
            lines.push(line.trim_end().to_owned());
            lines.extend(said.map(|more| format!("{:indent$}{more}", "", indent = width + 19)));
        }
        lines.push(String::new());
        lines.extend(self.end());
        lines
    }

    /// What comes of it at the end of the chain.
    fn end(&self) -> Vec<String> {
        let last = self.steps.get(self.layers.len()).map(|step| &step.verdict);
        let mut lines = match (&self.sent, last) {
            (None, Some(Verdict::Refused(said))) => {
                vec![format!("  → refused at the end of the chain: {}", sentence(said))]
            }
            (None, _) => vec!["  → not sent".to_owned()],
            (Some((message, headers)), _) => {
                let params: Value =
                    message.params().and_then(|params| serde_json::from_str(params).ok()).unwrap_or_default();
                let tool = params["name"].as_str().map(|name| format!(" {name:?} with {}", params["arguments"]));
                let names: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
                let set = (!names.is_empty()).then(|| format!("; headers of policies: {}", names.join(", ")));
                let (tool, set) = (tool.unwrap_or_default(), set.unwrap_or_default());
                vec![format!("  → would be sent to {}: {}{tool}{set}", self.upstream, self.method)]
            }
        };
        if self.outcome() == Outcome::NotJudged {
            lines.push("    if the layers that could not be judged let it pass".to_owned());
        }
        lines.extend(self.list.iter().flat_map(|list| self.of_list(list)));
        lines
    }

    fn of_list(&self, list: &Listed) -> Vec<String> {
        let mut lines = vec![String::new(), format!("  listed: {}", list.shown.join(", "))];
        for Hidden { tool, by, refused } in &list.hidden {
            let call = refused.as_ref().map(|(index, said)| {
                let by = if Some(*index) == *by { "" } else { &format!("; a call by {}", self.layer(Some(*index))) };
                format!("{by}: {}", sentence(said))
            });
            lines.push(format!("  hidden: {tool} by {}{}", self.layer(*by), call.unwrap_or_default()));
        }
        lines
    }

    fn layer(&self, index: Option<usize>) -> &str {
        index.and_then(|index| self.layers.get(index)).map_or("the end of the chain", |(name, _)| name.as_str())
    }

    fn to_json(&self) -> Value {
        let layers = self.layers.iter().zip(&self.steps).map(|((name, kind), step)| of_step(name, kind, step));
        let last = self.steps.get(self.layers.len()).and_then(|step| step.verdict.said());
        let sent = self.sent.as_ref().map(|(message, headers)| {
            let params: Value = message.params().and_then(|params| serde_json::from_str(params).ok()).unwrap_or_default();
            json!({
                "upstream": self.upstream, "method": self.method, "tool": params["name"], "arguments": params["arguments"],
                "headers": headers.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(),
            })
        });
        let mut all = json!({
            "path": self.path,
            "method": self.method,
            "tool": self.target,
            "caller": self.caller.as_ref().map(|caller| &*caller.subject),
            "outcome": self.outcome().name(),
            "layers": layers.collect::<Vec<_>>(),
            "refusedBefore": self.unread.as_ref().map(of_said),
            "refusedAtTheEnd": last.map(of_said),
            "sent": sent,
        });
        if let Some(list) = &self.list {
            let hidden = list.hidden.iter().map(|Hidden { tool, by, refused }| {
                let call = refused.as_ref().map(|(index, said)| {
                    let mut call = of_said(said);
                    call["by"] = self.layer(Some(*index)).into();
                    call
                });
                json!({ "tool": tool, "by": self.layer(*by), "call": call })
            });
            all["listed"] = json!(list.shown);
            all["hidden"] = hidden.collect();
        }
        all
    }
}

fn titled(name: &str, kind: &str) -> String {
    if name == kind { name.to_owned() } else { format!("{name} ({kind})") }
}

fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::RefusedLast(_) => "refuses".to_owned(),
        other => name(other).replace('_', " "),
    }
}

/// What happened, and what to do about it.
fn sentence(said: &Said) -> String {
    let reason = said.reason.map(|reason| format!("{reason}: "));
    let remedy = said.remedy.as_ref().map(|remedy| format!(" {remedy}"));
    format!("{}{}{}", reason.unwrap_or_default(), said.message, remedy.unwrap_or_default())
}

/// All that a layer says, line by line.
fn said(step: &Step) -> Vec<String> {
    let verdict = match &step.verdict {
        Verdict::NotJudged(why) => Some(why.clone()),
        Verdict::RefusedLast(said) => {
            Some(format!("at the end, unless a layer below answers first: {}", sentence(said)))
        }
        Verdict::Held(said) => Some(said.message.clone()),
        other => other.said().map(sentence),
    };
    let changes = (!step.changes.is_empty()).then(|| format!("changes {}", step.changes.join(", ")));
    let is_news = |rule: &str| step.verdict.said().is_none_or(|said| said.rule.as_deref() != Some(rule));
    let decided = step.decided.iter().filter(|decided| is_news(&decided.rule));
    let decided = decided.map(|decided| format!("rule {:?}: {}", decided.rule, decided.outcome.replace('_', " ")));
    verdict.into_iter().chain(decided).chain(changes).chain(step.notes.iter().cloned()).collect()
}

fn of_step(name: &str, kind: &str, step: &Step) -> Value {
    let decided = step.decided.iter().map(|decided| json!({ "rule": &*decided.rule, "outcome": decided.outcome }));
    let mut all = json!({
        "name": name,
        "policy": kind,
        "verdict": self::name(&step.verdict),
        "decided": decided.collect::<Vec<_>>(),
        "changes": step.changes,
        "notes": step.notes,
    });
    if let Verdict::NotJudged(why) = &step.verdict {
        all["message"] = why.as_str().into();
    }
    if let (Some(said), Value::Object(members)) = (step.verdict.said(), &mut all)
        && let Value::Object(said) = of_said(said)
    {
        members.extend(said);
    }
    all
}

fn of_said(said: &Said) -> Value {
    json!({ "reason": said.reason, "rule": said.rule, "message": said.message, "remedy": said.remedy })
}
