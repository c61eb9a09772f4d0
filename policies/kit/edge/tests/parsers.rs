//! Three upstreams that read JSON differently where JSON lets them.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;

use crate::kit::message::{Kind, Message};

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// A parser, and how it finds a key again.
struct Parser {
    name: &'static str,
    parse: fn(&[u8]) -> serde_json::Result<Value>,
    key: fn(&str) -> String,
}

const PARSERS: [Parser; 3] = [
    Parser { name: "the last duplicate wins", parse: |json| serde_json::from_slice(json), key: str::to_owned },
    Parser { name: "the first duplicate wins", parse: parse::<FirstWins>, key: str::to_owned },
    Parser { name: "keys are folded, the last wins", parse: parse::<Folded>, key: fold },
];

/// Every parser finds what the message says it is.
pub(super) fn assert_all_parsers_agree(message: &Message, about: &str) {
    for Parser { name, parse, key } in PARSERS {
        let tree = parse(message.bytes()).unwrap_or_else(|error| panic!("{about}: {name}: {error}"));
        let get = |at: &Value, member: &str| at.get(key(member)).cloned().unwrap_or_default();
        assert!(tree.is_object(), "{about}: {name}: no object");
        assert_eq!(get(&tree, "jsonrpc"), "2.0", "{about}: {name}: version of JSON-RPC");

        let id = message.id().map_or(Value::Null, |id| serde_json::from_str(id).unwrap());
        assert_eq!(get(&tree, "id"), id, "{about}: {name}: id");

        let method = message.method().map_or(Value::Null, |method| method.name().into());
        assert_eq!(get(&tree, "method"), method, "{about}: {name}: method");
        let has = |member: &str| tree.get(key(member)).is_some();
        assert_eq!(has("result") || has("error"), *message.kind() == Kind::Response, "{about}: {name}: kind");

        let params = get(&tree, "params");
        if let Some(target) = target(message, &|path| path.iter().fold(params.clone(), |at, member| get(&at, member))) {
            assert_eq!(target, message.target().unwrap().1, "{about}: {name}: target");
        }
        if let Some(version) = get(&get(&params, "_meta"), VERSION).as_str() {
            assert_eq!(Some(version), message.version(), "{about}: {name}: revision");
        }
    }
}

/// What the specification says the request is about.
fn target(message: &Message, at: &dyn Fn(&[&str]) -> Value) -> Option<Value> {
    match message.method()?.name() {
        "tools/call" | "prompts/get" => Some(at(&["name"])),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Some(at(&["uri"])),
        "tasks/get" | "tasks/result" | "tasks/update" | "tasks/cancel" => Some(at(&["taskId"])),
        "completion/complete" => {
            Some(at(&["ref", "name"])).filter(|name| !name.is_null()).or_else(|| Some(at(&["ref", "uri"])))
        }
        _ => None,
    }
}

/// What a parser does with a member.
trait Rule {
    fn insert(members: &mut Map<String, Value>, key: String, value: Value);
}

struct FirstWins;

impl Rule for FirstWins {
    fn insert(members: &mut Map<String, Value>, key: String, value: Value) {
        members.entry(key).or_insert(value);
    }
}

struct Folded;

impl Rule for Folded {
    fn insert(members: &mut Map<String, Value>, key: String, value: Value) {
        members.insert(fold(&key), value);
    }
}

/// As loose as a parser may be: compatibility forms, case, and the letters that only some languages fold.
fn fold(key: &str) -> String {
    let lower: String = key.nfkc().flat_map(char::to_lowercase).collect();
    lower.replace('ı', "i").replace("i\u{307}", "i").replace('ß', "ss").replace(['\u{200b}', '\u{ad}'], "")
}

fn parse<R: Rule>(json: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice::<Tree<R>>(json).map(|tree| tree.0)
}

struct Tree<R>(Value, PhantomData<R>);

impl<'de, R: Rule> Deserialize<'de> for Tree<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Grow::<R>(PhantomData)).map(|value| Self(value, PhantomData))
    }
}

struct Grow<R>(PhantomData<R>);

impl<'de, R: Rule> Visitor<'de> for Grow<R> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Tree(item, _)) = items.next_element::<Tree<R>>()? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, Tree(value, _))) = members.next_entry::<String, Tree<R>>()? {
            R::insert(&mut object, key, value);
        }
        Ok(object.into())
    }
}

#[test]
fn the_parsers_differ_where_they_should() {
    let json = br#"{"a":1,"A":2,"a":3}"#;
    let found = PARSERS.map(|parser| (parser.parse)(json).unwrap()["a"].clone());
    assert_eq!(found, [3, 1, 3].map(Value::from));
    let folded = (PARSERS[2].parse)("{\"name\":1,\"NAME\":2,\"\u{ff4e}ame\":3}".as_bytes()).unwrap();
    assert_eq!(folded, serde_json::json!({ "name": 3 }));
}
