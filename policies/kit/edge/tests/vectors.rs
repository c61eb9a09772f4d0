//! The vectors of `tests/vectors`: each is refused for the reason it names, or executed as it says by every parser.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, de::DeserializeOwned};

use super::{parsers::assert_all_parsers_agree, *};

fn vectors<T: DeserializeOwned>(file: &str) -> T {
    let path = format!("{}/../tests/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestVector {
    id: String,
    what: String,
    body: Written,
    #[serde(default)]
    route: RouteOptions,
    refused: Option<String>,
    executed: Option<Executed>,
}

/// A body, in whichever way it can be written down.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Base64 { base64: String },
    Repeat { repeat: String, times: usize },
    Parts(Vec<Written>),
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct RouteOptions {
    allow_methods: Vec<Box<str>>,
    unusual_tool_names: bool,
}

/// How a message is executed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Executed {
    kind: String,
    method: Option<String>,
    target: Option<String>,
    /// As JSON text; left out where it is too long to repeat.
    id: Option<String>,
}

impl Written {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Base64 { base64 } => STANDARD.decode(base64).unwrap(),
            Self::Repeat { repeat, times } => repeat.repeat(*times).into_bytes(),
            Self::Parts(parts) => parts.iter().flat_map(Self::bytes).collect(),
        }
    }
}

impl Executed {
    fn assert_is(&self, message: &Message, about: &str) {
        let kind = match message.kind() {
            Kind::Request(_) => "request",
            Kind::Notification(_) => "notification",
            Kind::Response => "response",
        };
        assert_eq!(kind, self.kind, "{about}: kind");
        assert_eq!(message.method().map(Method::name), self.method.as_deref(), "{about}: method");
        assert_eq!(message.target().map(|(_, target)| target), self.target.as_deref(), "{about}: target");
        if let Some(id) = &self.id {
            assert_eq!(message.id(), Some(&**id), "{about}: id");
        }
    }
}

/// Checks an outcome. An agreement is only as good as the bytes that went on.
fn assert_outcome(outcome: &Outcome, refused: Option<&str>, executed: Option<&Executed>, sent: &[u8], about: &str) {
    assert_eq!(outcome.reason(), refused, "{about}: {}", outcome.body);
    match (refused, executed, &outcome.executed) {
        (Some(_), _, None) => {}
        (Some(_), _, Some(_)) => panic!("{about}: refused and executed all the same"),
        (None, Some(executed), Some(message)) => {
            assert_eq!(message.bytes(), sent, "{about}: other bytes went on");
            executed.assert_is(message, about);
            assert_all_parsers_agree(message, about);
        }
        (None, ..) => panic!("{about}: neither refused nor executed"),
    }
}

/// What could be read in two ways, and what is over a limit (`tests/vectors/requests.json`).
#[tokio::test]
async fn vec_01_to_10_no_body_is_executed_as_something_else_than_what_was_judged() {
    let vectors: Vec<RequestVector> = vectors("requests.json");
    assert!(vectors.len() > 600, "{}", vectors.len());
    for vector in vectors {
        let about = format!("{} ({})", vector.id, vector.what);
        let RouteOptions { allow_methods, unusual_tool_names } = vector.route;
        let gateway = Gateway::new(EdgeLimits { allow_methods, unusual_tool_names, ..EdgeLimits::default() });
        let body = vector.body.bytes();
        let outcome = gateway.take(post(Full::new(Bytes::from(body.clone())))).await;
        assert_outcome(&outcome, vector.refused.as_deref(), vector.executed.as_ref(), &body, &about);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderVectors {
    requests: BTreeMap<String, GoodRequest>,
    cases: Vec<HeaderVector>,
}

/// A request with which nothing is wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GoodRequest {
    body: String,
    headers: BTreeMap<String, Vec<String>>,
    executed: Executed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderVector {
    id: String,
    what: String,
    request: String,
    http: Option<String>,
    /// Headers that are other than in the good request; none takes one away.
    #[serde(default)]
    set: BTreeMap<String, Vec<String>>,
    refused: Option<String>,
}

impl HeaderVector {
    fn build(&self, good: &GoodRequest) -> http::Request<Full<Bytes>> {
        let mut request = http::Request::new(text(&good.body));
        *request.method_mut() = self.http.as_deref().unwrap_or("POST").parse().unwrap();
        let unchanged = good.headers.iter().filter(|(name, _)| !self.set.contains_key(*name));
        for (name, values) in unchanged.chain(&self.set) {
            for value in values {
                let name: HeaderName = name.parse().unwrap();
                request.headers_mut().append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
        }
        request
    }
}

/// `tr_05`, `tr_08` and `tr_09` of `tests/COVERAGE.md`, with what could be read in two ways in headers.
#[tokio::test]
async fn tr_05_tr_08_tr_09_vec_08_vec_12_vec_13_headers_tell_the_truth_or_the_request_is_refused() {
    let HeaderVectors { requests, cases } = vectors("headers.json");
    assert!(cases.len() > 200, "{}", cases.len());
    let gateway = Gateway::new(EdgeLimits::default());
    for vector in cases {
        let about = format!("{} ({})", vector.id, vector.what);
        let good = &requests[&vector.request];
        let outcome = gateway.take(vector.build(good)).await;
        assert_outcome(&outcome, vector.refused.as_deref(), Some(&good.executed), good.body.as_bytes(), &about);
        if matches!(vector.refused.as_deref(), Some("header_mismatch")) {
            let code = &outcome.body["error"]["code"];
            // To older clients that code would speak of another kind of server.
            let expected = if vector.request.starts_with("modern") { -32020 } else { -32600 };
            assert_eq!((code, outcome.response.status.as_u16()), (&expected.into(), 400), "{about}");
            let id = good.executed.id.as_deref().map(|id| serde_json::from_str::<Value>(id).unwrap());
            assert_eq!(outcome.body.get("id"), id.as_ref(), "{about}: id");
        }
    }
}
