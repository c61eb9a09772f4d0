//! A JSON object, edited member by member: what is not touched keeps the bytes that its sender wrote.

use std::borrow::Cow;

use portcullis_policies::kit::json::{Flaw, Limits, Reader};
use serde::de::DeserializeOwned;

/// The members of an object, in their order.
#[derive(Clone, Debug, Default)]
pub(in crate::proxy) struct Object<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Object<'a> {
    /// Takes an object apart. What is no object has no members; what two parsers could read differently is a flaw.
    pub(in crate::proxy) fn read(text: &'a str) -> Result<Self, Flaw> {
        let mut reader = Reader::new(text, &Limits::ANSWER);
        let mut members = Vec::new();
        if reader.peek() == Some(b'{') {
            reader.object(|reader, key| {
                let value = reader.value()?;
                let value = text.get(value.range()).unwrap_or_default();
                members.push((key.text(text), Cow::Borrowed(value)));
                Ok(())
            })?;
        }
        Ok(Self(members))
    }

    /// A member's value, as JSON text.
    pub(in crate::proxy) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == key).map(|(_, value)| &**value)
    }

    /// A member's value, if it has this type.
    pub(in crate::proxy) fn parse<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        serde_json::from_str(self.get(key)?).ok()
    }

    /// Takes a member out.
    pub(in crate::proxy) fn take(&mut self, key: &str) -> Option<Cow<'a, str>> {
        let place = self.0.iter().position(|(found, _)| found == key)?;
        Some(self.0.remove(place).1)
    }

    /// Gives a member this value, JSON text, in the place of the one it has.
    pub(in crate::proxy) fn set(&mut self, key: &'a str, value: impl Into<Cow<'a, str>>) {
        match self.0.iter_mut().find(|(found, _)| found == key) {
            Some((_, place)) => *place = value.into(),
            None => self.0.push((key.into(), value.into())),
        }
    }

    /// The members' names and values, as JSON text.
    pub(in crate::proxy) fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    /// As JSON text.
    pub(in crate::proxy) fn to_json(&self) -> String {
        let length = self.0.iter().map(|(key, value)| key.len() + value.len() + 4).sum::<usize>();
        let mut text = String::with_capacity(length + 2);
        text.push('{');
        for (at, (key, value)) in self.0.iter().enumerate() {
            text.push_str(if at == 0 { "" } else { "," });
            text.push_str(&quoted(key));
            text.push(':');
            text.push_str(value);
        }
        text.push('}');
        text
    }
}

/// A string, as JSON text.
pub(in crate::proxy) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_touched_keeps_its_bytes() {
        let text = r#"{ "id" : 123456789012345678901234567890, "a\u0062": 1.50, "gone":[ ], "last":{"x" : 1} }"#;
        let mut object = Object::read(text).unwrap();
        assert_eq!(object.take("gone").as_deref(), Some("[ ]"));
        object.set("last", "2");
        object.set("new\"", quoted("\n"));
        assert_eq!(object.get("ab"), Some("1.50"));
        let written = r#"{"id":123456789012345678901234567890,"ab":1.50,"last":2,"new\"":"\n"}"#;
        assert_eq!(object.to_json(), written);
    }

    #[test]
    fn what_is_no_object_is_empty_and_what_is_ambiguous_is_refused() {
        assert_eq!(Object::read("null").unwrap().to_json(), "{}");
        assert!(Object::read(r#"{"a":1,"a":2}"#).is_err());
    }
}
