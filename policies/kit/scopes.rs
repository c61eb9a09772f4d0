//! Which scopes a call needs.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use wildmatch::WildMatch;

use crate::kit::{challenge::is_scope, message::Message, policy::Problem, sign_in::Access};

/// The scopes that every call needs, and those that calls of some tools need too.
#[derive(Clone, Debug, Default)]
pub struct ScopeRules {
    base: Vec<Box<str>>,
    tools: Vec<(WildMatch, Vec<Box<str>>)>,
}

impl ScopeRules {
    /// From the options `scopes` and `toolScopes`; the keys of the latter are names or patterns (`*`, `?`). A tool that
    /// several of them match needs the scopes of all.
    pub fn new(scopes: &[String], tool_scopes: &BTreeMap<String, Vec<String>>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        check(scopes, "/scopes", &mut problems);
        for (tool, scopes) in tool_scopes {
            let tool = tool.replace('~', "~0").replace('/', "~1");
            check(scopes, &format!("/toolScopes/{tool}"), &mut problems);
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let tools = tool_scopes.iter().map(|(tool, scopes)| (WildMatch::new(tool), boxed(scopes)));
        Ok(Self { base: boxed(scopes), tools: tools.collect() })
    }

    /// What every call needs.
    pub fn base(&self) -> &[Box<str>] {
        &self.base
    }

    /// What only some calls need, each scope once.
    pub fn more(&self) -> Vec<Box<str>> {
        let mut more = Vec::new();
        self.tools.iter().flat_map(|(_, scopes)| scopes).for_each(|scope| add(&mut more, scope));
        more.retain(|scope| !self.base.contains(scope));
        more
    }

    /// Is `access` enough for this message? For what is no message, the scopes of every call are. If it is not: all
    /// scopes that the message needs, so that a client asks once.
    pub fn missing(&self, message: Option<&Message>, access: &Access) -> Option<Vec<Box<str>>> {
        let tool = message.and_then(Message::tool);
        let needed = || self.base.iter().chain(self.of_tool(tool));
        if needed().all(|scope| access.covers(scope)) {
            return None;
        }
        let mut all = Vec::new();
        needed().for_each(|scope| add(&mut all, scope));
        Some(all)
    }

    fn of_tool<'a>(&'a self, tool: Option<&'a str>) -> impl Iterator<Item = &'a Box<str>> {
        let matching = self.tools.iter().filter(move |(pattern, _)| tool.is_some_and(|tool| pattern.matches(tool)));
        matching.flat_map(|(_, scopes)| scopes)
    }
}

fn boxed(scopes: &[String]) -> Vec<Box<str>> {
    scopes.iter().map(|scope| scope.as_str().into()).collect()
}

fn add(list: &mut Vec<Box<str>>, scope: &str) {
    if !list.iter().any(|known| **known == *scope) {
        list.push(scope.into());
    }
}

fn check(scopes: &[String], at: &str, problems: &mut Vec<Problem>) {
    for (index, scope) in scopes.iter().enumerate().filter(|(_, scope)| !is_scope(scope)) {
        let problem = Problem::new(format!("{at}/{index}"), format!("{scope:?} is not a scope"));
        let words: Vec<_> = scope.split_whitespace().map(|word| format!("{word:?}")).collect();
        problems.push(match words.len() {
            0 | 1 => problem.hint("a scope is printable ASCII without spaces, quotes and backslashes"),
            _ => problem.hint(format!("write each scope by itself: {}", words.join(", "))),
        });
    }
}
