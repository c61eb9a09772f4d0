//! One row: what was asked, who asked, and what came of it.

use std::{borrow::Cow, net::IpAddr, sync::Arc, time::Duration};

use crate::kit::{
    audit::Captured,
    chain::{Arrival, Request, RequestId},
    clock::Timestamp,
    decision::Decided,
    host::Caller,
    message::{Message, TargetKind},
    refusal::{Reason, Refusal},
};

/// Characters that are kept of a name which a client made up.
const NAME: usize = 256;

/// What happened, or is about to.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// The request.
    pub subject: Subject,
    /// Who asked, verified.
    pub caller: Option<Caller>,
    /// The arguments, as far as they are kept.
    pub arguments: Option<Captured>,
    /// The number of the approval that the call waits for, or is made with.
    pub approval: Option<i64>,
    /// What came of it; none while it is only going to happen.
    pub end: Option<End>,
}

/// A request, as rows name it.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// Its id, which the client got too.
    pub request_id: Option<RequestId>,
    /// The path of its route; none if it reached none.
    pub route: Option<Arc<str>>,
    /// The path that it asked for, where that is no route's.
    pub path: Option<Box<str>>,
    /// What is behind the route.
    pub upstream: Option<Arc<str>>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The method; none of what could not be read, and of responses.
    pub method: Option<Cow<'static, str>>,
    /// The tool, prompt, resource or task.
    pub target: Option<(TargetKind, Box<str>)>,
    /// Bytes of the message.
    pub bytes: usize,
}

/// What came of a request.
#[derive(Clone, Debug)]
pub struct End {
    /// Was it let through?
    pub decision: Decision,
    /// What rules said of it.
    pub decided: Vec<Decided>,
    /// What went wrong; none if nothing did.
    pub fault: Option<Fault>,
    /// The answer's HTTP status; none if the client had gone before.
    pub status: Option<u16>,
    /// From its arrival to the end of its answer.
    pub took: Duration,
    /// The part of it that the upstream took, up to the head of its answer.
    pub upstream: Option<Duration>,
    /// How often the upstream got it.
    pub sent: u8,
    /// Bytes of the answer.
    pub bytes: u64,
    /// Events of the answer, if it was a stream.
    pub events: Option<u64>,
    /// The result, as far as it is kept.
    pub result: Option<Captured>,
}

/// What was decided about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It was let through, whatever came of it.
    Allowed,
    /// It was refused.
    Denied,
    /// It waits until a person approves it, and was not made.
    Held,
    /// The client went away before anything was decided.
    Undecided,
}

impl Decision {
    /// As rows say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Held => "held",
            Self::Undecided => "undecided",
        }
    }
}

/// What went wrong, and on whose side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// On whose side.
    pub origin: Origin,
    /// What kind of error it is: `refusal`, `json_rpc_error`, `tool_error`, `http_error`, `client_gone`, `no_answer`.
    pub class: &'static str,
    /// The reason code, where the gateway gave the answer.
    pub reason: Option<&'static str>,
    /// What exactly is wrong, where that is known.
    pub cause: Option<&'static str>,
    /// The policy that refused, where the reason tells.
    pub policy: Option<&'static str>,
}

/// Where an error comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// What the client sent, or did not.
    Client,
    /// The gateway itself.
    Gateway,
    /// A policy of the route.
    Policy,
    /// The upstream, or the way there.
    Upstream,
}

impl Origin {
    /// As rows say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Policy => "policy",
            Self::Upstream => "upstream",
        }
    }
}

impl Subject {
    /// What `request` is about.
    pub fn of(request: &Request) -> Self {
        let arrival = request.extensions().get::<Arrival>();
        let message = request.body().message();
        Self {
            request_id: arrival.map(|arrival| arrival.request_id),
            route: arrival.map(|arrival| Arc::clone(&arrival.route)),
            path: None,
            upstream: arrival.map(|arrival| Arc::clone(&arrival.upstream)),
            address: arrival.map(|arrival| arrival.client),
            method: message.and_then(Message::method).map(|method| match method.known_name() {
                Some(known) => Cow::Borrowed(known),
                None => Cow::Owned(short(method.name()).to_owned()),
            }),
            target: message.and_then(Message::target).map(|(kind, name)| (kind, short(name).into())),
            bytes: message.map_or(0, |message| message.bytes().len()),
        }
    }
}

impl Entry {
    /// A request that was refused before it reached a route.
    pub fn unrouted(at: Timestamp, request_id: RequestId, path: &str, address: IpAddr, refused: &Refusal) -> Self {
        let subject = Subject {
            request_id: Some(request_id),
            path: Some(short(path).into()),
            address: Some(address),
            ..Subject::default()
        };
        let end = End::refused(refused.reason(), refused.status().as_u16());
        Self { at, subject, caller: None, arguments: None, approval: None, end: Some(end) }
    }
}

impl End {
    /// It was refused at once.
    fn refused(reason: Reason, status: u16) -> Self {
        Self {
            decision: Decision::Denied,
            decided: Vec::new(),
            fault: Some(Fault::refusal(reason, None)),
            status: Some(status),
            took: Duration::ZERO,
            upstream: None,
            sent: 0,
            bytes: 0,
            events: None,
            result: None,
        }
    }
}

impl Fault {
    /// An error for which the gateway has a code.
    pub fn refusal(reason: Reason, cause: Option<&'static str>) -> Self {
        let (origin, policy) = blame(reason);
        Self { origin, class: "refusal", reason: Some(reason.code()), cause, policy }
    }

    /// An error of this class, on this side.
    pub fn other(origin: Origin, class: &'static str) -> Self {
        Self { origin, class, reason: None, cause: None, policy: None }
    }
}

fn short(name: &str) -> &str {
    name.char_indices().nth(NAME).map_or(name, |(end, _)| &name[..end])
}

/// Whose side a reason is about, and which policy gives it, where only one does. Each is named: a new one has to be thought of.
fn blame(reason: Reason) -> (Origin, Option<&'static str>) {
    use Reason as R;
    let policy = |name| (Origin::Policy, Some(name));
    match reason {
        R::RateLimited => policy("rate-limit"),
        R::NotExposed => policy("mcp-capability-filter"),
        R::DeniedByRule
        | R::ApprovalRequired
        | R::ApprovalDenied
        | R::ApprovalExpired
        | R::ApprovalChanged
        | R::ApprovalUsed
        | R::ApprovalWithdrawn
        | R::ApprovalUnavailable => policy("mcp-rules"),
        R::ToolChanged | R::ToolUnapproved | R::PinsUnavailable => policy("tool-pinning"),
        R::SecretInRequest | R::SecretInAnswer => policy("secret-guard"),
        R::InvalidArguments | R::InvalidResult | R::SchemaUnusable => policy("argument-validation"),
        R::IpNotAllowed => policy("ip-restriction"),
        R::ConnectRequired | R::OperatorMustConnect => policy("mcp-token-exchange"),
        R::AuditUnavailable => policy("audit-log"),
        R::SignInRequired | R::InvalidToken | R::InsufficientScope | R::AmbiguousCredentials | R::Custom(_) => {
            (Origin::Policy, None)
        }
        R::TimedOut
        | R::UpstreamUnreachable
        | R::UpstreamTls
        | R::UpstreamConnectTimeout
        | R::UpstreamTimeout
        | R::UpstreamClosed
        | R::UpstreamTruncated
        | R::UpstreamTooLarge
        | R::UpstreamInvalid
        | R::UpstreamUnauthorized
        | R::UpstreamStatus
        | R::Unanswerable => (Origin::Upstream, None),
        R::SignInUnavailable
        | R::UpstreamSetup
        | R::CredentialUnavailable
        | R::VaultClosed
        | R::ShuttingDown
        | R::Overloaded
        | R::Internal => (Origin::Gateway, None),
        R::RouteNotFound
        | R::MethodNotAllowed
        | R::HostNotAllowed
        | R::OriginNotAllowed
        | R::BadRequest
        | R::HeadersTooLarge
        | R::UnsupportedMediaType
        | R::EncodedBody
        | R::NotAcceptable
        | R::BodyTooLarge
        | R::BodyTooSlow
        | R::MalformedJson
        | R::AmbiguousJson
        | R::MessageTooComplex
        | R::BatchNotSupported
        | R::NotAMessage
        | R::InvalidParams
        | R::HeaderMismatch
        | R::UnsupportedVersion
        | R::RevisionNotServed
        | R::UnknownMethod
        | R::NotBridged
        | R::CallNotWaiting
        | R::UnusualName
        | R::UnknownSession
        | R::UnaskedResponse
        | R::SessionRequired
        | R::ClientLacks
        | R::NoInput
        | R::UnknownId
        | R::Conflict
        | R::BeyondKey => (Origin::Client, None),
    }
}
