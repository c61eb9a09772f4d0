//! Which tool a task began with: its result comes later, under the task's name alone.

use std::{fmt, sync::Arc, time::Duration};

use moka::sync::Cache;
use serde_json::Value;

use crate::kit::definitions::Asker;

/// Tasks that are remembered, and for how long.
const REMEMBERED: u64 = 100_000;
const MEMORY: Duration = Duration::from_hours(24);
/// A longer name is not remembered.
const LONGEST: usize = 256;

/// Route, caller and task.
type Key = (Arc<str>, Option<Arc<str>>, Box<str>);

/// Tasks and their tools.
#[derive(Clone)]
pub(super) struct Tasks(Cache<Key, Box<str>>);

/// A call that may become a task.
pub(super) struct Began {
    tasks: Tasks,
    asker: Asker,
    tool: Box<str>,
}

impl Tasks {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(REMEMBERED).time_to_live(MEMORY).build())
    }

    pub(super) fn watch(&self, asker: Asker, tool: &str) -> Began {
        Began { tasks: self.clone(), asker, tool: tool.into() }
    }

    /// The tool that a task began with.
    pub(super) fn tool(&self, asker: &Asker, task: &str) -> Option<Box<str>> {
        self.0.get(&key(asker, task))
    }
}

impl Began {
    /// Remembers the task, if the result says that one began: in `task` (2025-11-25), or in the result itself (2026-07-28).
    pub(super) fn note(&self, result: &[u8]) {
        const NAME: &[u8] = b"\"taskId\"";
        if !result.windows(NAME.len()).any(|part| part == NAME) {
            return;
        }
        let result: Value = serde_json::from_slice(result).unwrap_or_default();
        let named = [&result["task"]["taskId"], &result["taskId"]].into_iter().find_map(Value::as_str);
        if let Some(task) = named.filter(|task| task.len() <= LONGEST) {
            self.tasks.0.insert(key(&self.asker, task), self.tool.clone());
        }
    }
}

fn key(asker: &Asker, task: &str) -> Key {
    (Arc::clone(&asker.route), asker.caller.as_ref().map(|caller| Arc::clone(&caller.subject)), task.into())
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tasks")
    }
}
