//! Comparing arguments.

use std::cmp::Ordering;

use serde_json::{Number, Value};
use wildmatch::WildMatch;

use super::{
    options::{Comparison, Scalar, Tests},
    spelling::is_like,
    truth::Truth,
};

/// What must be at one place in the arguments.
#[derive(Debug)]
pub(super) struct Place {
    steps: Vec<String>,
    tests: Vec<Test>,
}

/// What is at a place.
#[derive(Clone, Copy, Debug)]
enum Found<'a> {
    This(&'a Value),
    Nothing,
    /// It depends on who reads: there is text on the way that may hold more JSON, or a key that is nearly the one.
    Unclear,
}

#[derive(Debug)]
enum Test {
    Exists(bool),
    Equals(Value),
    NotEquals(Value),
    OneOf(Vec<Value>),
    Matches(WildMatch),
    /// The order of the argument and this number is one of these.
    Ordered(Number, &'static [Ordering]),
}

impl Place {
    /// None where `pointer` is no JSON pointer.
    pub(super) fn new(pointer: &str, comparison: &Comparison) -> Option<Self> {
        let tests = match comparison {
            Comparison::Equals(scalar) => vec![Test::Equals(scalar.into())],
            Comparison::Tests(tests) => all_of(tests),
        };
        let steps = pointer.strip_prefix('/')?.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
        Some(Self { steps: steps.collect(), tests })
    }

    /// Does it say nothing at all?
    pub(super) fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    pub(super) fn fits(&self, arguments: &Value) -> Truth {
        match self.find(arguments) {
            Found::Unclear => Truth::Undecided,
            Found::Nothing => Truth::all(self.tests.iter().map(|test| test.holds(None))),
            Found::This(found) => Truth::all(self.tests.iter().map(|test| test.holds(Some(found)))),
        }
    }

    /// Servers take JSON in text for what it says, and some take keys in other spellings.
    fn find<'a>(&self, arguments: &'a Value) -> Found<'a> {
        let mut here = arguments;
        for (depth, step) in self.steps.iter().enumerate() {
            here = match here {
                Value::Object(members) if members.keys().any(|key| key != step && is_like(key, step)) => {
                    return Found::Unclear;
                }
                Value::Object(members) => match members.get(step) {
                    Some(member) => member,
                    None => return Found::Nothing,
                },
                Value::Array(items) if depth > 0 => match step.parse().ok().and_then(|index: usize| items.get(index)) {
                    Some(item) => item,
                    None => return Found::Nothing,
                },
                Value::Null => return Found::Nothing,
                _ => return Found::Unclear,
            };
        }
        Found::This(here)
    }
}

fn all_of(tests: &Tests) -> Vec<Test> {
    use Ordering::{Equal, Greater, Less};
    let ordered = |number: &Option<Number>, orders| number.clone().map(|number| Test::Ordered(number, orders));
    let values = |list: &Vec<Scalar>| list.iter().map(Value::from).collect();
    let all = [
        tests.exists.map(Test::Exists),
        tests.equals.as_ref().map(|scalar| Test::Equals(scalar.into())),
        tests.not_equals.as_ref().map(|scalar| Test::NotEquals(scalar.into())),
        tests.one_of.as_ref().map(|list| Test::OneOf(values(list))),
        tests.matches.as_ref().map(|pattern| Test::Matches(WildMatch::new(pattern))),
        ordered(&tests.less_than, &[Less]),
        ordered(&tests.at_most, &[Less, Equal]),
        ordered(&tests.greater_than, &[Greater]),
        ordered(&tests.at_least, &[Greater, Equal]),
    ];
    all.into_iter().flatten().collect()
}

impl Test {
    /// What is of another kind than the test is about cannot be judged: servers take `"1000"` for 1000, and what they make of
    /// a list nobody knows.
    fn holds(&self, found: Option<&Value>) -> Truth {
        match (self, found) {
            (Self::Exists(wanted), found) => (found.is_some() == *wanted).into(),
            (Self::NotEquals(_), None) => Truth::Yes,
            (Self::NotEquals(wanted), Some(found)) => same(found, wanted).not(),
            (_, None) => Truth::No,
            (Self::Equals(wanted), Some(found)) => same(found, wanted),
            (Self::OneOf(wanted), Some(found)) => Truth::any(wanted.iter().map(|wanted| same(found, wanted))),
            (Self::Matches(pattern), Some(Value::String(text))) => pattern.matches(text).into(),
            (Self::Matches(_), Some(_)) => Truth::Undecided,
            (Self::Ordered(limit, orders), Some(found)) => match number(found).and_then(|found| order(&found, limit)) {
                Some(order) => orders.contains(&order).into(),
                None => Truth::Undecided,
            },
        }
    }
}

/// Of two kinds, only nothing is certainly not the other: servers take `"1"` for 1 and `"true"` for true.
fn same(found: &Value, wanted: &Value) -> Truth {
    match (found, wanted) {
        (Value::Null, _) | (_, Value::Null) => (found == wanted).into(),
        (Value::String(found), Value::String(wanted)) => (found == wanted).into(),
        (Value::Bool(found), Value::Bool(wanted)) => (found == wanted).into(),
        _ => match (number(found), number(wanted)) {
            (Some(found), Some(wanted)) => (order(&found, &wanted) == Some(Ordering::Equal)).into(),
            _ => Truth::Undecided,
        },
    }
}

/// A number, or text that is one.
fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(number.clone()),
        Value::String(text) => serde_json::from_str(text.trim()).ok(),
        _ => None,
    }
}

/// Integers of 64 bits are compared as what they are, all else as doubles, as which servers read it.
fn order(a: &Number, b: &Number) -> Option<Ordering> {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fits(comparison: Value, found: impl Into<Value>) -> Truth {
        let comparison = serde_json::from_value(comparison).unwrap();
        Place::new("/a", &comparison).unwrap().fits(&json!({ "a": found.into() }))
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert_eq!(fits(json!(1), json!(1.0)), Truth::Yes);
        assert_eq!(fits(json!({ "atMost": 100 }), json!(1e2)), Truth::Yes);
        assert_eq!(fits(json!({ "lessThan": 100 }), json!(99.999)), Truth::Yes);
        assert_eq!(fits(json!({ "greaterThan": 9 }), json!(10)), Truth::Yes);
        assert_eq!(
            fits(json!({ "greaterThan": 9_007_199_254_740_992_u64 }), json!(9_007_199_254_740_993_u64)),
            Truth::Yes
        );
        assert_eq!(fits(json!({ "greaterThan": -1 }), json!(u64::MAX)), Truth::Yes);
    }

    #[test]
    fn text_that_is_a_number_is_compared_as_one_and_other_kinds_are_not_decided() {
        assert_eq!(fits(json!({ "greaterThan": 100 }), json!("1000")), Truth::Yes);
        for found in [json!("many"), json!([1000]), json!({}), json!(true), json!(null)] {
            assert_eq!(fits(json!({ "greaterThan": 100 }), found), Truth::Undecided);
        }
        assert_eq!(fits(json!({ "matches": "*" }), json!(["a"])), Truth::Undecided);
    }

    #[test]
    fn what_is_not_there_is_told_from_what_is_null() {
        let place = |comparison| Place::new("/b", &serde_json::from_value(comparison).unwrap()).unwrap();
        let arguments = json!({ "a": null });
        assert_eq!(place(json!({ "exists": false })).fits(&arguments), Truth::Yes);
        assert_eq!(place(json!({ "notEquals": 1 })).fits(&arguments), Truth::Yes);
        assert_eq!(place(json!({ "atMost": 1 })).fits(&arguments), Truth::No);
        assert_eq!(fits(json!({ "exists": true }), json!(null)), Truth::Yes);
        assert_eq!(fits(json!(null), json!(null)), Truth::Yes);
        assert_eq!(fits(json!({ "oneOf": ["x", 2] }), json!(2.0)), Truth::Yes);
        assert_eq!(fits(json!({ "exists": true, "notEquals": null }), json!(null)), Truth::No);
    }

    #[test]
    fn sec_what_a_server_may_take_for_the_same_is_not_decided() {
        assert_eq!(fits(json!(1), json!("1")), Truth::Yes);
        for (wanted, found) in [(json!(true), json!("true")), (json!(true), json!(1)), (json!("prod"), json!(["prod"]))]
        {
            assert_eq!(fits(wanted.clone(), found.clone()), Truth::Undecided);
            assert_eq!(fits(json!({ "notEquals": wanted }), found.clone()), Truth::Undecided);
            assert_eq!(fits(json!({ "oneOf": [wanted] }), found), Truth::Undecided);
        }
        let place =
            |pointer: &str| Place::new(pointer, &serde_json::from_value(json!({ "exists": false })).unwrap()).unwrap();
        for arguments in [json!({ "options": "{\"force\":true}" }), json!({ "Options": {} }), json!("{}"), json!([1])] {
            assert_eq!(place("/options/force").fits(&arguments), Truth::Undecided, "{arguments}");
        }
        assert_eq!(place("/options/force").fits(&json!({ "options": { "forces": 1 } })), Truth::Yes);
        assert_eq!(place("/options/force").fits(&json!({ "options": { "FORCE": 1 } })), Truth::Undecided);
    }
}
