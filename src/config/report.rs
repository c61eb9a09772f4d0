//! Problems as people and programs read them.

use std::fmt::{self, Write};

use portcullis_policies::kit::{
    policy::{Problem, Severity},
    words::counted,
};
use serde::Serialize;

use super::Document;

/// Every problem of one document, each at its place. Values from `$env` and `$file` are masked.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    file: String,
    problems: Vec<Located>,
}

/// A problem with its place in the text.
#[derive(Clone, Debug, Serialize)]
pub struct Located {
    severity: &'static str,
    line: usize,
    column: usize,
    /// JSON pointer.
    at: String,
    why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip)]
    excerpt: String,
    #[serde(skip)]
    marks: usize,
}

impl Report {
    /// Locates the problems of a document.
    pub fn new(document: &Document, problems: &[Problem]) -> Self {
        let mut located: Vec<_> = problems.iter().map(|problem| locate(document, problem)).collect();
        located.sort_by_key(|problem| (problem.line, problem.column));
        Self { file: document.name.to_string(), problems: located }
    }

    /// Is there anything that must be mended?
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == "error")
    }

    /// Is there nothing to say?
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Each problem, in the order of the text.
    pub fn problems(&self) -> impl Iterator<Item = &Located> {
        self.problems.iter()
    }

    /// For programs.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl Located {
    /// Must it be mended before anything can run?
    pub fn is_error(&self) -> bool {
        self.severity == "error"
    }

    /// Where it is and what it is, in a line.
    pub fn in_a_line(&self, file: &str) -> String {
        format!("{}: {}", self.place(file), self.why)
    }

    /// Where it is.
    pub fn place(&self, file: &str) -> String {
        format!("{file}:{}:{}", self.line, self.column)
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

fn locate(document: &Document, problem: &Problem) -> Located {
    let text = &*document.text;
    let range = document.locate(&problem.at);
    let start = range.start.min(text.len());
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let excerpt = text[line_start..].lines().next().unwrap_or_default();
    let end = range.end.clamp(start, line_start + excerpt.len().max(start - line_start));
    Located {
        severity: match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        line: text[..start].matches('\n').count() + 1,
        column: text[line_start..start].chars().count() + 1,
        at: if problem.at.starts_with('#') { String::new() } else { problem.at.clone() },
        why: document.secrets.mask(&problem.why),
        hint: problem.hint.as_deref().map(|hint| document.secrets.mask(hint)),
        excerpt: excerpt.to_owned(),
        marks: text[start..end].chars().count().max(1),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            write_problem(f, &self.file, problem)?;
        }
        let errors = self.problems.iter().filter(|problem| problem.severity == "error").count();
        let warnings = self.problems.len() - errors;
        let mut summary = format!("{}: {}", self.file, counted(errors, "error"));
        if warnings > 0 {
            write!(summary, ", {}", counted(warnings, "warning"))?;
        }
        writeln!(f, "{summary}")
    }
}

fn write_problem(f: &mut fmt::Formatter<'_>, file: &str, problem: &Located) -> fmt::Result {
    let Located { severity, line, column, why, hint, excerpt, marks, .. } = problem;
    let gutter = " ".repeat(line.to_string().len());
    // Tabs stay tabs, so that the marks stand under what they mark.
    let indent: String = excerpt.chars().take(column - 1).map(|c| if c == '\t' { c } else { ' ' }).collect();
    writeln!(f, "{severity}: {why}")?;
    writeln!(f, "{gutter}--> {file}:{line}:{column}")?;
    writeln!(f, "{gutter} |")?;
    writeln!(f, "{line} | {excerpt}")?;
    writeln!(f, "{gutter} | {indent}{}", "^".repeat(*marks))?;
    if let Some(hint) = hint {
        writeln!(f, "{gutter} = {hint}")?;
    }
    writeln!(f)
}
