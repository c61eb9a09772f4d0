//! One CEL expression, for what the other conditions cannot say. The crate stays behind this file: its interface changes often.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use cel::{Context, Env, Program, Value as Cel};
use serde_json::{Value, json};

use super::{
    condition::{Annotations, Call},
    truth::Truth,
};

/// Characters of an expression, and how often it may go through lists: nothing else bounds what it costs.
const LONGEST: usize = 2_000;
const LOOPS: usize = 1;
const LOOPING: [&str; 6] = [".all(", ".exists(", ".exists_one(", ".existsOne(", ".map(", ".filter("];
const NAMES: [&str; 6] = ["tool", "route", "upstream", "annotations", "caller", "arguments"];

/// The functions of CEL, which are the same for all.
static FUNCTIONS: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

#[derive(Debug)]
pub(super) struct Expression {
    program: Program,
    asks: Asks,
}

/// What it looks at, of that which costs something or may be unknown.
#[derive(Clone, Copy, Debug)]
struct Asks {
    arguments: bool,
    annotations: bool,
    caller: bool,
}

impl Expression {
    pub(super) fn new(source: &str) -> Result<Self, String> {
        if source.len() > LONGEST {
            return Err(format!("an expression has at most {LONGEST} characters"));
        }
        let program = Program::compile(source).map_err(|errors| errors.to_string())?;
        let references = program.references();
        let variables: Vec<_> = references.variables().into_iter().filter(|name| !name.starts_with('@')).collect();
        let compact: String = source.split_whitespace().collect();
        let is_bound = |name: &str| LOOPING.iter().any(|begin| compact.contains(&format!("{begin}{name},")));
        if let Some(name) = variables.iter().find(|name| !NAMES.contains(*name) && !is_bound(name)) {
            return Err(format!("there is no {name:?}; an expression knows {}", NAMES.join(", ")));
        }
        let loops: usize = LOOPING.iter().map(|begin| compact.matches(begin).count()).sum();
        if loops > LOOPS {
            return Err("an expression goes through one list at most: write two rules".to_owned());
        }
        if loops > 0 && (references.has_function("matches") || references.has_function("@in")) {
            return Err(
                "what goes through a list does not also search with `matches` or `in`: write two rules".to_owned()
            );
        }
        let asks = |name| variables.contains(&name);
        let asks = Asks { arguments: asks("arguments"), annotations: asks("annotations"), caller: asks("caller") };
        Ok(Self { program, asks })
    }

    pub(super) fn asks_annotations(&self) -> bool {
        self.asks.annotations
    }

    pub(super) fn asks_arguments(&self) -> bool {
        self.asks.arguments
    }

    pub(super) fn asks_caller(&self) -> bool {
        self.asks.caller
    }

    /// An error, such as a member that is not there or text compared with a number, is no answer. Nor is one about what is not
    /// known: CEL has an answer to each comparison with nothing.
    pub(super) fn fits(&self, call: &Call<'_>) -> Truth {
        let is_unknown = (self.asks.annotations && call.annotations == Annotations::Unknown)
            || (self.asks.caller && call.caller.is_none());
        if is_unknown {
            return Truth::Undecided;
        }
        match self.context(call).map(|context| self.program.execute(&context)) {
            Some(Ok(Cel::Bool(fits))) => fits.into(),
            // What is false or true without any arguments stays so with them: CEL has no answer that a missing value changes.
            _ if self.asks.arguments && call.arguments.is_none() => Truth::Depends,
            _ => Truth::Undecided,
        }
    }

    fn context(&self, call: &Call<'_>) -> Option<Context<'static, 'static>> {
        let mut context = Context::with_env(Arc::clone(&FUNCTIONS));
        context.add_variable("tool", call.tool).ok()?;
        context.add_variable("route", call.route).ok()?;
        context.add_variable("upstream", call.upstream).ok()?;
        if self.asks.annotations {
            context.add_variable_from_value("annotations", value(&call.annotations.to_json()));
        }
        if self.asks.caller {
            context.add_variable_from_value("caller", value(&call.caller.map(|caller| json!(**caller))?));
        }
        if let Some(arguments) = call.arguments.filter(|_| self.asks.arguments) {
            context.add_variable_from_value("arguments", value(arguments));
        }
        Some(context)
    }
}

/// Whole numbers are `int` wherever they can be: CEL does not reckon with `int` and `uint` together.
fn value(json: &Value) -> Cel {
    match json {
        Value::Null => Cel::Null,
        Value::Bool(is) => Cel::Bool(*is),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Cel::Int(number),
            (None, Some(number)) => Cel::UInt(number),
            (None, None) => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(value).collect())),
        Value::Object(members) => {
            let members: HashMap<_, _> = members.iter().map(|(name, member)| (name.clone(), value(member))).collect();
            Cel::Map(members.into())
        }
    }
}
