//! Parameters of a query or a form, each at most once (RFC 6749 §3.1, §3.2).

use std::collections::HashMap;

use super::denied::Denied;

/// Parameters by name. Those without a value count as absent.
pub(super) struct Form(HashMap<String, String>);

const MOST: usize = 64;

impl Form {
    pub(super) fn parse(text: &[u8]) -> Result<Self, Denied> {
        let mut fields = HashMap::new();
        for (name, value) in url::form_urlencoded::parse(text).into_owned() {
            if fields.len() == MOST || fields.insert(name, value).is_some() {
                return Err(Denied::request("a parameter is given more than once, or there are too many"));
            }
        }
        fields.retain(|_, value| !value.is_empty());
        Ok(Self(fields))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that must be there; `missing` says so.
    pub(super) fn require(&self, name: &str, missing: &'static str) -> Result<&str, Denied> {
        self.get(name).ok_or(Denied::request(missing))
    }

    /// A token is for `mcp`, whether or not the client says so (RFC 8707 §2).
    pub(super) fn check_resource(&self, mcp: &str) -> Result<(), Denied> {
        if self.get("resource").is_none_or(|resource| resource == mcp) { Ok(()) } else { Err(Denied::target()) }
    }
}
