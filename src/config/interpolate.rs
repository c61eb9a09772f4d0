//! `$env(NAME)` and `$file(PATH)` inside strings.

use std::{collections::BTreeMap, fmt, path::Path};

use portcullis_policies::kit::{catalogue::nearest, policy::Problem};
use serde_json::Value;

use super::Pointer;

/// Where values outside the document come from. The real ones are [`Surroundings::of_process`]; tests bring their own.
pub struct Surroundings<'a> {
    /// Reads an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The names of all variables, for "did you mean".
    pub variables: &'a dyn Fn() -> Vec<String>,
    /// Reads a file; the error is shown.
    pub file: &'a dyn Fn(&Path) -> Result<String, String>,
}

impl Surroundings<'_> {
    /// This process's environment, and files relative to the configuration's folder.
    pub fn of_process<T>(folder: &Path, run: impl FnOnce(&Surroundings<'_>) -> T) -> T {
        run(&Surroundings {
            variable: &|name| std::env::var(name).ok(),
            variables: &|| std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect(),
            file: &|path| std::fs::read_to_string(folder.join(path)).map_err(|error| error.to_string()),
        })
    }
}

/// Values that came from outside the document. They are never shown: [`Secrets::mask`] puts back what was written.
#[derive(Clone, Default)]
pub struct Secrets(BTreeMap<String, String>);

impl Secrets {
    /// The text with each secret replaced by the expression that it came from.
    pub fn mask(&self, text: &str) -> String {
        // Longest first, so that a secret inside another one leaves nothing behind.
        let mut secrets: Vec<_> = self.0.iter().filter(|(value, _)| !value.is_empty()).collect();
        secrets.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        secrets.into_iter().fold(text.to_owned(), |text, (value, written)| text.replace(value, written))
    }

    /// The same, for every string of a value: what is shown stays JSON.
    pub fn mask_strings(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.mask(text)),
            Value::Array(items) => Value::Array(items.iter().map(|item| self.mask_strings(item)).collect()),
            Value::Object(members) => {
                let masked = members.iter().map(|(key, value)| (key.clone(), self.mask_strings(value)));
                Value::Object(masked.collect())
            }
            other => other.clone(),
        }
    }

    fn keep(&mut self, value: &str, written: &str) {
        self.0.insert(value.to_owned(), written.to_owned());
        // How the value looks inside JSON text.
        let quoted = Value::from(value).to_string();
        let inside = quoted.get(1..quoted.len() - 1).unwrap_or_default();
        self.0.insert(inside.to_owned(), written.to_owned());
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

/// Replaces every expression in every string of `value`.
pub(super) fn interpolate(
    value: &mut Value,
    surroundings: &Surroundings<'_>,
    secrets: &mut Secrets,
    problems: &mut Vec<Problem>,
) {
    walk(value, &mut String::new(), &mut |text, at| {
        if !text.contains('$') {
            return;
        }
        problems.extend(lookalike(text).map(|problem| problem.within(at)));
        match expand(text, surroundings, secrets) {
            Ok(expanded) => *text = expanded,
            Err(problem) => problems.push(problem.within(at)),
        }
    });
}

fn walk(value: &mut Value, at: &mut String, visit: &mut impl FnMut(&mut String, &str)) {
    let length = at.len();
    match value {
        Value::String(text) => visit(text, at),
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                at.push_str(Pointer::root().join(index).as_str());
                walk(item, at, visit);
                at.truncate(length);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                at.push_str(Pointer::root().join(key).as_str());
                walk(member, at, visit);
                at.truncate(length);
            }
        }
        _ => {}
    }
}

fn expand(text: &str, surroundings: &Surroundings<'_>, secrets: &mut Secrets) -> Result<String, Problem> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("$env(").into_iter().chain(rest.find("$file(")).min() {
        let expression = &rest[start..];
        let Some(end) = expression.find(')') else {
            let why = format!("`{expression}` has no closing parenthesis");
            return Err(Problem::new("", why).hint("write $env(NAME) or $file(PATH)"));
        };
        let (written, after) = expression.split_at(end + 1);
        let value = resolve(written, surroundings)?;
        secrets.keep(&value, written);
        expanded.push_str(&rest[..start]);
        expanded.push_str(&value);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// What other programs would expand, and this one does not.
fn lookalike(text: &str) -> Option<Problem> {
    let (_, after) = text.split_once("${").or_else(|| text.split_once("$ENV("))?;
    let name: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let problem = Problem::new("", format!("nothing is put in place of {name} here: this text is taken as it is"));
    Some(problem.hint(format!("write $env({name}) for an environment variable")).warning())
}

fn resolve(written: &str, surroundings: &Surroundings<'_>) -> Result<String, Problem> {
    let argument = |name: &str| Some(written.strip_prefix(name)?.strip_suffix(')')?.trim());
    if let Some("") = argument("$env(").or_else(|| argument("$file(")) {
        let problem = Problem::new("", format!("`{written}` names nothing"));
        return Err(problem.hint("write $env(NAME) or $file(PATH)"));
    }
    if let Some(name) = argument("$env(") {
        return (surroundings.variable)(name).ok_or_else(|| {
            let variables = (surroundings.variables)();
            let hint = match nearest(name, variables.iter().map(String::as_str)) {
                Some(near) => format!("set {name}; there is {near}, did you mean that?"),
                None => format!("set {name} before starting, for instance `export {name}=…`"),
            };
            Problem::new("", format!("the environment variable {name} is not set")).hint(hint)
        });
    }
    let path = argument("$file(").unwrap_or_default();
    let content = (surroundings.file)(Path::new(path)).map_err(|error| {
        Problem::new("", format!("the file {path} cannot be read: {error}"))
            .hint("paths are relative to the folder of the configuration")
    })?;
    // Files written with an editor end with a line break that nobody means.
    Ok(content.strip_suffix('\n').map_or(content.as_str(), |line| line.strip_suffix('\r').unwrap_or(line)).to_owned())
}
