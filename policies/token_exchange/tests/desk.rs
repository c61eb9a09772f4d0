//! A double of the program's connections: what a real one would take minutes and an upstream to show.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::{
    kit::{
        bench::{Bench, Call, Outcome},
        chain::{Response, RouteLayer, stack},
        credential::{
            ConnectRequired, ConnectState, Connections, CredentialRefused, NoCredential, Obtained, Obtaining,
            UpstreamChallenge, UpstreamCredential, UpstreamTarget, Wanted,
        },
        host::{Caller, Host},
        policy::PolicyKind,
        refusal::{Addressee, Reason, Refusal},
    },
    token_exchange::TokenExchange,
    upstream_auth_retry::UpstreamAuthRetry,
};

pub(super) const LINK: &str = "https://gateway.example.com/connect/t0k3n";

/// What happened at the desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Obtain(String),
    Renew(i64),
    GiveUp(i64),
    Suspect(i64),
}

/// Who is connected. People are: each with a token of their own.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// People who are not connected.
    strangers: Mutex<Vec<String>>,
    pub(super) asked: Mutex<Vec<Asked>>,
    /// Becomes connected at this question.
    connects_at: AtomicUsize,
    /// Is there nothing newer?
    pub(super) cannot_renew: std::sync::atomic::AtomicBool,
    slow: bool,
}

impl Desk {
    pub(super) fn where_alice_is_connected() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// As one whose store must be asked each time.
    pub(super) fn slow() -> Arc<Self> {
        Arc::new(Self { slow: true, ..Self::default() })
    }

    pub(super) fn where_nobody_is_connected() -> Arc<Self> {
        let desk = Self::default();
        desk.strangers.lock().unwrap().push("alice".to_owned());
        Arc::new(desk)
    }

    pub(super) fn connect(&self) {
        self.strangers.lock().unwrap().clear();
    }

    pub(super) fn disconnect(&self) {
        self.strangers.lock().unwrap().push("alice".to_owned());
    }

    /// Alice is through with the page when she is asked for the `count`th time from now.
    pub(super) fn connect_at(&self, count: usize) {
        self.connects_at.store(self.asked.lock().unwrap().len() + count, Ordering::SeqCst);
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn note(&self, asked: Asked) {
        let mut all = self.asked.lock().unwrap();
        all.push(asked);
        if all.len() == self.connects_at.load(Ordering::SeqCst) {
            self.connect();
        }
    }

    fn credential(wanted: &Wanted<'_>, version: i64) -> UpstreamCredential {
        let subject = wanted.caller.map_or("everybody", |caller| &caller.subject);
        let value = HeaderValue::try_from(format!("Bearer token-of-{subject}-{version}")).unwrap();
        UpstreamCredential::new(
            format!("connection-of-{subject}"),
            version,
            vec![(HeaderName::from_static("authorization"), value)],
        )
    }

    fn look(&self, wanted: &Wanted<'_>) -> Obtained {
        let subject = wanted.caller.map_or("everybody", |caller| &caller.subject);
        self.note(Asked::Obtain(subject.to_owned()));
        if self.strangers.lock().unwrap().iter().any(|stranger| stranger == subject) {
            return Err(NoCredential::Connect(required(ConnectState::Authenticating)));
        }
        Ok(Self::credential(wanted, 1))
    }
}

pub(super) fn required(state: ConnectState) -> ConnectRequired {
    ConnectRequired {
        state,
        url: LINK.to_owned(),
        elicitation_id: "elicitation-7".to_owned(),
        message: "Linear wants to know that it is you.".to_owned(),
    }
}

impl Connections for Desk {
    fn obtain<'a>(&'a self, wanted: Wanted<'a>, _: Option<&'a str>) -> Obtaining<'a> {
        if self.slow {
            return Obtaining::Pending(Box::pin(async move {
                tokio::task::yield_now().await;
                self.look(&wanted)
            }));
        }
        Obtaining::Ready(self.look(&wanted))
    }

    fn renew<'a>(&'a self, wanted: Wanted<'a>, refused: &'a CredentialRefused, _: Option<&'a str>) -> Obtaining<'a> {
        self.note(Asked::Renew(refused.credential.version()));
        if self.cannot_renew.load(Ordering::SeqCst) {
            return Obtaining::Ready(Err(Reason::CredentialUnavailable.into()));
        }
        if !self.strangers.lock().unwrap().is_empty() {
            return Obtaining::Ready(Err(NoCredential::Connect(required(ConnectState::ReconsentRequired))));
        }
        Obtaining::Ready(Ok(Self::credential(&wanted, refused.credential.version() + 1)))
    }

    fn give_up<'a>(
        &'a self,
        _: Wanted<'a>,
        refused: &'a CredentialRefused,
    ) -> Pin<Box<dyn Future<Output = NoCredential> + Send + 'a>> {
        self.note(Asked::GiveUp(refused.credential.version()));
        Box::pin(async { NoCredential::Connect(required(ConnectState::ReconsentRequired)) })
    }

    fn suspect(&self, refused: &CredentialRefused) {
        self.note(Asked::Suspect(refused.credential.version()));
    }
}

/// The policy with this desk behind it.
pub(super) fn layer(desk: &Arc<Desk>) -> RouteLayer {
    let connections: Arc<dyn Connections> = Arc::clone(desk) as _;
    let host = Host { connections: Some(connections), ..Host::default() };
    PolicyKind::of::<TokenExchange>().layer(&json!({ "id": "linear", "displayName": "Linear" }), &host).unwrap()
}

pub(super) fn bench(desk: &Arc<Desk>) -> Bench {
    Bench::with(layer(desk))
}

/// With `upstream-auth-retry` before it.
pub(super) fn retrying(desk: &Arc<Desk>) -> Bench {
    let retry = PolicyKind::of::<UpstreamAuthRetry>().layer(&json!({}), &Host::default()).unwrap();
    Bench::with(stack(vec![retry, layer(desk)]))
}

/// A call of Alice's, as the gateway hands it on.
pub(super) fn of_alice(call: Call<'_>) -> Call<'_> {
    of("alice", call)
}

pub(super) fn of<'a>(subject: &str, call: Call<'a>) -> Call<'a> {
    call.fact(Caller::new(subject)).fact(UpstreamTarget("https://mcp.linear.app/mcp".into()))
}

/// The upstream's answer to a credential that it does not take, as the end of the chain passes it on.
pub(super) fn challenge(status: u16, header: &str) -> Response {
    let mut headers = http::HeaderMap::new();
    headers.insert(http::header::WWW_AUTHENTICATE, header.parse().unwrap());
    let challenge = UpstreamChallenge::of(StatusCode::from_u16(status).unwrap(), &headers).unwrap();
    let mut response = Refusal::from(Reason::UpstreamUnauthorized).answer(Addressee::default());
    response.extensions_mut().insert(challenge);
    response
}

/// The `authorization` that the upstream saw at each of its turns.
pub(super) fn tokens(outcome: &Outcome) -> Vec<String> {
    let shown = outcome.reached.iter().map(|reached| {
        let credential = reached.facts.get::<UpstreamCredential>()?;
        credential.headers()[0].1.to_str().ok().map(str::to_owned)
    });
    shown.map(Option::unwrap_or_default).collect()
}

/// The parameters of a 2026-07-28 request of a client with these capabilities.
pub(super) fn modern(capabilities: &Value, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": capabilities,
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
    });
    params
}
