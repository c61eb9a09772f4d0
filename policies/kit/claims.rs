//! Finding groups, roles and the tenant in what an issuer says about a caller.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use crate::kit::sign_in::ClaimNames;

type Claims = Map<String, Value>;

impl ClaimNames {
    /// All groups, each once: those of `groups` and those of the configured claims.
    pub fn groups_in(&self, claims: &Claims) -> Vec<String> {
        gather(claims, "groups", &self.groups)
    }

    /// All roles, each once: those of `roles` and those of the configured claims.
    pub fn roles_in(&self, claims: &Claims) -> Vec<String> {
        gather(claims, "roles", &self.roles)
    }

    /// The tenant, where it is text.
    pub fn tenant_in(&self, claims: &Claims) -> Option<String> {
        let found = find(claims, self.tenant.as_deref()?);
        found.into_iter().find_map(|value| value.as_str().map(ToOwned::to_owned))
    }
}

fn gather(claims: &Claims, always: &str, names: &[String]) -> Vec<String> {
    let mut gathered: Vec<String> = Vec::new();
    for name in std::iter::once(always).chain(names.iter().map(String::as_str)) {
        for text in find(claims, name).into_iter().flat_map(texts) {
            if !gathered.iter().any(|known| known == text) {
                gathered.push(text.to_owned());
            }
        }
    }
    gathered
}

/// A list of text, or one text by itself. What is neither names nobody.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The values that a name stands for: of the member that is called so, of one at a path of dots, or, where the name
/// begins with `*`, of each member whose name ends like the rest of it.
fn find<'a>(claims: &'a Claims, name: &str) -> Vec<&'a Value> {
    match name.strip_prefix('*') {
        Some(end) => claims.iter().filter(|(key, _)| key.ends_with(end)).map(|(_, value)| value).collect(),
        None => at_path(claims, name).into_iter().collect(),
    }
}

/// A member's own name may have dots in it, as client ids do, so every way to cut the path is tried.
fn at_path<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    let inside = |dot: usize| at_path(claims.get(&path[..dot])?.as_object()?, &path[dot + 1..]);
    claims.get(path).or_else(|| path.match_indices('.').find_map(|(dot, _)| inside(dot)))
}
