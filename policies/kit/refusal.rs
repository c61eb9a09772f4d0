//! The one way to say no.
//!
//! A [`Refusal`] says what happened, why, and what to do, to a person and to an agent at once: an HTTP status, a
//! JSON-RPC error with the caller's own id, a reason code that never changes, a remedy, and the request id under which
//! the log knows more.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{CONNECTION, CONTENT_TYPE},
};
use serde_json::{Map, Value, json};

use crate::kit::{
    chain::{RequestId, Response},
    reply::Reply,
};

/// JSON-RPC 2.0 §5.1 and the codes that MCP adds.
pub mod code {
    /// The body is not JSON.
    pub const PARSE_ERROR: i32 = -32700;
    /// JSON, but not a request.
    pub const INVALID_REQUEST: i32 = -32600;
    /// The method does not exist or is not allowed.
    pub const METHOD_NOT_FOUND: i32 = -32601;
    /// The parameters are wrong, or name something that is not there.
    pub const INVALID_PARAMS: i32 = -32602;
    /// Something went wrong on this side or behind it.
    pub const INTERNAL_ERROR: i32 = -32603;
    /// The person must open a page first (MCP 2025-11-25).
    pub const URL_ELICITATION_REQUIRED: i32 = -32042;
    /// Headers and body differ (MCP 2026-07-28).
    pub const HEADER_MISMATCH: i32 = -32020;
    /// The revision is not one of those that are served (MCP 2026-07-28).
    pub const UNSUPPORTED_PROTOCOL_VERSION: i32 = -32022;
}

macro_rules! reasons {
    ($($variant:ident = $name:literal, $status:literal, $code:expr, $meaning:literal, $remedy:literal;)*) => {
        /// Why a request was refused: one stable code each, with its status, JSON-RPC code and remedy.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $(#[doc = $meaning] $variant,)*
            /// A reason of a policy that is not one of ours.
            Custom(&'static CustomReason),
        }

        impl Reason {
            /// Every reason of the gateway and its standard policies, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code in `error.data.reason`, in logs and in metrics. Never changes once released.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $name,)* Self::Custom(reason) => reason.code }
            }

            /// The HTTP status.
            pub fn status(self) -> StatusCode {
                let status: u16 = match self { $(Self::$variant => $status,)* Self::Custom(reason) => reason.status };
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }

            /// The JSON-RPC error code.
            pub fn json_rpc_code(self) -> i32 {
                match self { $(Self::$variant => $code,)* Self::Custom(reason) => reason.json_rpc_code }
            }

            /// What it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* Self::Custom(reason) => reason.meaning }
            }

            /// What to do about it.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* Self::Custom(reason) => reason.remedy }
            }
        }
    };
}

reasons! {
    RouteNotFound = "route_not_found", 404, code::INVALID_REQUEST,
        "No route has this path.", "Use one of the routes that the gateway prints when it starts.";
    MethodNotAllowed = "method_not_allowed", 405, code::INVALID_REQUEST,
        "A route takes POST only: Streamable HTTP without a separate event stream.",
        "POST one JSON-RPC message. Clients take a 405 to GET and DELETE as a legal answer.";
    HostNotAllowed = "host_not_allowed", 421, code::INVALID_REQUEST,
        "The Host header names a host that is not one of this gateway's.",
        "Use the public URL, or add the host to `gateway.allowedHosts`.";
    OriginNotAllowed = "origin_not_allowed", 403, code::INVALID_REQUEST,
        "A web page of another origin sent this request.",
        "Add the origin to `allowedOrigins` of a `cors` policy on this route.";
    BadRequest = "bad_request", 400, code::INVALID_REQUEST,
        "The HTTP request is ambiguous or malformed.", "Send one well-formed HTTP request.";
    HeadersTooLarge = "headers_too_large", 431, code::INVALID_REQUEST,
        "The request's headers exceed the limit.", "Send fewer or shorter headers, or raise `limits.headerBytes`.";
    UnsupportedMediaType = "unsupported_media_type", 415, code::INVALID_REQUEST,
        "The body is not declared as JSON.", "Send `Content-Type: application/json`.";
    EncodedBody = "encoded_body", 415, code::INVALID_REQUEST,
        "The body is compressed, so it cannot be judged.", "Send the body without `Content-Encoding`.";
    NotAcceptable = "not_acceptable", 406, code::INVALID_REQUEST,
        "The client does not accept both answers that MCP may give.",
        "Send `Accept: application/json, text/event-stream`.";
    BodyTooLarge = "body_too_large", 413, code::INVALID_REQUEST,
        "The request's body exceeds the limit.", "Send less, or raise `limits.requestBytes` of the route.";
    BodyTooSlow = "body_too_slow", 408, code::INVALID_REQUEST,
        "The request's body arrived too slowly.", "Send the body at once.";
    MalformedJson = "malformed_json", 400, code::PARSE_ERROR,
        "The body is not JSON.", "Send one JSON-RPC message in UTF-8.";
    AmbiguousJson = "ambiguous_json", 400, code::INVALID_REQUEST,
        "Two parsers could read the body differently.", "Send each key once, in its exact spelling.";
    MessageTooComplex = "message_too_complex", 400, code::INVALID_REQUEST,
        "The message is nested too deeply or holds too many values.",
        "Send a simpler message, or raise the route's `limits`.";
    BatchNotSupported = "batch_not_supported", 400, code::INVALID_REQUEST,
        "The body is a JSON-RPC batch.", "Send one message a request. For clients of 2025-03-26, which had batches, set `batches` of the route to `split`.";
    NotAMessage = "not_a_message", 400, code::INVALID_REQUEST,
        "The body is JSON, but not a JSON-RPC message.", "Send a JSON-RPC 2.0 request, notification or response.";
    InvalidParams = "invalid_params", 400, code::INVALID_PARAMS,
        "The parameters are not what the method demands.", "Send the parameters that the method defines.";
    HeaderMismatch = "header_mismatch", 400, code::HEADER_MISMATCH,
        "An `Mcp-*` header differs from the message.", "Let the headers repeat the message exactly.";
    UnsupportedVersion = "unsupported_version", 400, code::UNSUPPORTED_PROTOCOL_VERSION,
        "This route does not know the revision of MCP that the request names.",
        "Use one of the revisions that `data.supported` lists.";
    RevisionNotServed = "revision_not_served", 400, code::INVALID_REQUEST,
        "This route does not serve clients of this revision of MCP.",
        "Use a client of the revisions that the message names: older ones begin with `initialize`, 2026-07-28 does not. \
         Or set `era` of the route to `both`.";
    UnknownMethod = "unknown_method", 404, code::METHOD_NOT_FOUND,
        "No revision of MCP known here has this method.", "Add the method to `allowMethods` of the route.";
    NotBridged = "not_bridged", 404, code::METHOD_NOT_FOUND,
        "The method has no counterpart in the revision of MCP that the upstream speaks.",
        "Do without it on this route, or use an upstream that speaks the client's revision.";
    CallNotWaiting = "call_not_waiting", 200, code::INVALID_PARAMS,
        "No call waits for this answer here: it was answered already, waited too long, or was kept by a process that is gone.",
        "Begin the call again, without `requestState` and `inputResponses`.";
    UnusualName = "unusual_name", 400, code::INVALID_PARAMS,
        "A tool's name has characters outside A-Z a-z 0-9 _ . - / or more than 128 of them.",
        "Rename the tool, or set `limits.unusualToolNames` of the route.";
    IpNotAllowed = "ip_not_allowed", 403, code::INVALID_REQUEST,
        "The caller's address is not on this route's list.", "Ask the operator to add the address.";
    SignInRequired = "sign_in_required", 401, code::INVALID_REQUEST,
        "This route asks for an access token, and the request has none.",
        "Sign in: an MCP client finds out where from `WWW-Authenticate`. Then send `Authorization: Bearer`.";
    InvalidToken = "invalid_token", 401, code::INVALID_REQUEST,
        "The access token is not good for this route.", "Get a new token for this route's own URL.";
    InsufficientScope = "insufficient_scope", 403, code::INVALID_REQUEST,
        "The access token lacks a scope that this call needs.",
        "Ask for a token with all the scopes that `WWW-Authenticate` names.";
    AmbiguousCredentials = "ambiguous_credentials", 400, code::INVALID_REQUEST,
        "The request shows more than one credential, or a malformed one.",
        "Send exactly one `Authorization: Bearer` header, and no token anywhere else.";
    SignInUnavailable = "sign_in_unavailable", 503, code::INTERNAL_ERROR,
        "The access token cannot be judged at present, so it is not accepted.",
        "Try again after `Retry-After`. If it lasts, the log says what is missing.";
    RateLimited = "rate_limited", 429, code::INVALID_REQUEST,
        "Too many calls.", "Wait as long as `Retry-After` says, then go on.";
    NotExposed = "not_exposed", 200, code::INVALID_PARAMS,
        "This route does not expose what was asked for.", "Use one of the names in the list.";
    DeniedByRule = "denied_by_rule", 200, code::INVALID_REQUEST,
        "A rule of this route denies the call, or none allows it.",
        "Make another call, or ask the operator: `data.rule` names the rule.";
    ApprovalRequired = "approval_required", 200, code::URL_ELICITATION_REQUIRED,
        "The call waits until somebody approves it, and its client can show people the page about it.",
        "Open the link, or hand it to whoever may approve. Then repeat the same call to get its result.";
    ApprovalDenied = "approval_denied", 200, code::INVALID_REQUEST,
        "Somebody was asked whether this call may be made, and said no.",
        "Do not repeat the call. The message says who decided, and why.";
    ApprovalExpired = "approval_expired", 200, code::INVALID_REQUEST,
        "Nobody approved the call in time, or it was not made in time.",
        "Repeat the call to ask once more.";
    ApprovalChanged = "approval_changed", 200, code::INVALID_REQUEST,
        "What the approval was asked for is not what would be done now, so it does not count, and nothing was done.",
        "Repeat the call to ask once more. `data.changed` says what has changed.";
    ApprovalUsed = "approval_used", 200, code::INVALID_REQUEST,
        "Another repetition of the same call was made with the approval.",
        "Take the answer of the other one. Check the effect before asking once more.";
    ApprovalWithdrawn = "approval_withdrawn", 200, code::INVALID_REQUEST,
        "Whoever made the call took it back before it was made.",
        "Repeat the call to ask once more.";
    ApprovalUnavailable = "approval_unavailable", 503, code::INTERNAL_ERROR,
        "The call needs an approval, and none can be asked for at present, so nothing was done.",
        "Try again later. If it lasts, the log says what is missing.";
    SecretInRequest = "secret_in_request", 200, code::INVALID_REQUEST,
        "The request holds what looks like a secret, which this route does not let out.",
        "Leave out what stands at `data.pointer`. If it is no secret, ask the operator to allow it in `secret-guard`.";
    SecretInAnswer = "secret_in_answer", 200, code::INTERNAL_ERROR,
        "The upstream's answer holds what looks like a secret, which this route does not show. The call was made.",
        "Ask for something else. If it is no secret, ask the operator to allow it in `secret-guard`, or to have it masked.";
    InvalidArguments = "invalid_arguments", 200, code::INVALID_PARAMS,
        "The arguments are not what the tool's `inputSchema` asks for, so nothing was sent.",
        "Mend the arguments at the places that the message names, and call again.";
    InvalidResult = "invalid_result", 200, code::INTERNAL_ERROR,
        "The call was made, and its result is not what the tool's `outputSchema` promises, so it is not shown.",
        "Check the effect before trying again, and report it to whoever runs the upstream.";
    SchemaUnusable = "schema_unusable", 200, code::INTERNAL_ERROR,
        "The tool's schema cannot be had or cannot be used, so the call cannot be validated and was not made.",
        "Ask the operator: the upstream must mend its schema, or `exceptTools` of `argument-validation` must name the tool.";
    ToolChanged = "tool_changed", 200, code::INVALID_REQUEST,
        "The tool is not what it was when it was pinned, so it is not called.",
        "Use another tool, or ask the operator: `portcullis pins diff` shows what has changed.";
    ToolUnapproved = "tool_unapproved", 200, code::INVALID_REQUEST,
        "The tool's definition is not among those that are pinned, so it is not called.",
        "Use a tool of the list, or ask the operator: `portcullis pins diff` shows what waits to be approved.";
    PinsUnavailable = "pins_unavailable", 503, code::INTERNAL_ERROR,
        "It cannot be known at present which definitions of tools are pinned, so nothing was sent.",
        "Try again in a moment. If it lasts, the log says what is wrong with the store.";
    UnknownSession = "unknown_session", 404, code::INVALID_REQUEST,
        "This route has no such session.", "Start a new session with `initialize`.";
    UnaskedResponse = "unasked_response", 400, code::INVALID_REQUEST,
        "This is a response to something that the upstream has not asked in this session.",
        "Answer requests once each, in the session in which they came, under the id that they came with.";
    SessionRequired = "session_required", 400, code::INVALID_REQUEST,
        "The request belongs to no session, and names no revision that has none.",
        "Send `initialize` first, and then the `Mcp-Session-Id` of its answer with each request. \
         Or name 2026-07-28 in `params._meta`, as `io.modelcontextprotocol/protocolVersion`, and in `MCP-Protocol-Version`.";
    ClientLacks = "client_lacks_capability", 200, code::INVALID_REQUEST,
        "The upstream needs something of the client that it did not declare.",
        "Use a client that declares the capability, or switch it on in the client.";
    Unanswerable = "unanswerable", 200, code::INTERNAL_ERROR,
        "The upstream asks something in the middle of the call, and keeps no session in which it could be told the answer.",
        "Call what asks nothing, or let the upstream keep sessions.";
    NoInput = "no_input", 200, code::INTERNAL_ERROR,
        "Nobody answered in time what the upstream asked in the middle of the call.",
        "Make the call again, and answer. `clocks.input` of the route says how long a person may take.";
    TimedOut = "timed_out", 504, code::INTERNAL_ERROR,
        "The call took longer than this route allows. Whether it had an effect is unknown.",
        "Check the effect before trying again, or raise `timeout`.";
    UpstreamUnreachable = "upstream_unreachable", 502, code::INTERNAL_ERROR,
        "The upstream could not be reached, so nothing was sent to it.", "Try again later.";
    UpstreamTls = "upstream_tls", 502, code::INTERNAL_ERROR,
        "The upstream's TLS certificate was not accepted, so nothing was sent to it.",
        "Give the authority's certificate as `upstream.tls.roots`.";
    UpstreamConnectTimeout = "upstream_connect_timeout", 504, code::INTERNAL_ERROR,
        "The upstream did not accept a connection in time, so nothing was sent to it.", "Try again later.";
    UpstreamTimeout = "upstream_timeout", 504, code::INTERNAL_ERROR,
        "The upstream did not answer in time. Whether the call had an effect is unknown.",
        "Check the effect before trying again.";
    UpstreamClosed = "upstream_closed", 502, code::INTERNAL_ERROR,
        "The upstream closed the connection before it answered. Whether the call had an effect is unknown.",
        "Check the effect before trying again.";
    UpstreamTruncated = "upstream_truncated", 502, code::INTERNAL_ERROR,
        "The upstream's answer broke off. Whether the call had an effect is unknown.",
        "Check the effect before trying again.";
    UpstreamTooLarge = "upstream_too_large", 502, code::INTERNAL_ERROR,
        "The upstream's answer exceeds the limit.", "Ask for less, or raise the route's `limits`.";
    UpstreamInvalid = "upstream_invalid", 502, code::INTERNAL_ERROR,
        "The upstream's answer is not one that MCP allows.", "Report it to whoever runs the upstream.";
    UpstreamUnauthorized = "upstream_unauthorized", 502, code::INTERNAL_ERROR,
        "The upstream asks for a credential that this route does not hold.",
        "Give the route the upstream's credential: `mcp-token-exchange` holds each person's own, or one for all.";
    ConnectRequired = "connect_required", 200, code::URL_ELICITATION_REQUIRED,
        "This person is not connected to the upstream, or must connect once more.",
        "Open the link, connect there, and repeat the call.";
    OperatorMustConnect = "operator_must_connect", 503, code::INTERNAL_ERROR,
        "All callers of this route share one connection to the upstream, and nobody has made it.",
        "Ask the operator to run `portcullis connections connect`.";
    UpstreamSetup = "upstream_setup_failed", 502, code::INTERNAL_ERROR,
        "The upstream's sign-in cannot be set up as it is configured.",
        "Show `data.setup` to the operator: it names what is missing, and the log has all steps.";
    CredentialUnavailable = "credential_unavailable", 503, code::INTERNAL_ERROR,
        "The credential for the upstream cannot be had at present, so nothing was sent.",
        "Try again after `Retry-After`. If it lasts, the log says what is missing.";
    VaultClosed = "vault_closed", 503, code::INTERNAL_ERROR,
        "The gateway cannot open the credentials that it keeps, so nothing was sent.",
        "The operator must give the gateway its key (`gateway.encryptionKey`) and its store; the log says what is missing.";
    AuditUnavailable = "audit_unavailable", 503, code::INTERNAL_ERROR,
        "This route makes no call without a row in the audit log, and the row cannot be written, so nothing was sent.",
        "Try again after `Retry-After`. If it lasts, the log says what keeps the store from its work.";
    UnknownId = "unknown_id", 404, code::INVALID_REQUEST,
        "Nothing has this id, or nothing that this key may see or change.",
        "List what there is, and take an id from the list.";
    Conflict = "conflict", 409, code::INVALID_REQUEST,
        "It is no longer what the request takes it for, so nothing was changed.",
        "Look at it again, and decide anew.";
    BeyondKey = "beyond_key", 403, code::INVALID_REQUEST,
        "A key makes keys that may do no more than itself, and this one would.",
        "Ask for no more than the key has, or have the operator run `portcullis keys create`.";
    UpstreamStatus = "upstream_status", 502, code::INTERNAL_ERROR,
        "The upstream answered with an HTTP error and no message.", "See the HTTP status.";
    ShuttingDown = "shutting_down", 503, code::INTERNAL_ERROR,
        "The gateway is shutting down.", "Try again in a moment.";
    Overloaded = "overloaded", 503, code::INTERNAL_ERROR,
        "The gateway has as many connections as it may hold.", "Try again in a moment.";
    Internal = "internal", 500, code::INTERNAL_ERROR,
        "The gateway failed. The log says why, under the request id.", "Report it to whoever runs the gateway.";
}

/// A reason that a policy from outside brings along.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct CustomReason {
    /// Stable code, `snake_case`.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// JSON-RPC error code.
    pub json_rpc_code: i32,
    /// What it means, in one sentence.
    pub meaning: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// A request that is answered with no. One pointer: results that carry it are as small as their good side.
#[derive(Clone, Debug)]
pub struct Refusal(Box<Details>);

#[derive(Clone, Debug)]
struct Details {
    reason: Reason,
    message: Cow<'static, str>,
    remedy: Cow<'static, str>,
    status: StatusCode,
    code: i32,
    cause: Option<Cause>,
    headers: Vec<(HeaderName, HeaderValue)>,
    data: Map<String, Value>,
}

/// What exactly is wrong, where a program knows more than the reason says. Stands in the answer's extensions too, for logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Stable code, `snake_case`.
    pub code: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// Which request a refusal answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Addressee<'a> {
    /// The JSON-RPC id as text, where it is known.
    pub id: Option<&'a str>,
    /// The gateway's own id of the HTTP request, which knows the page that helps.
    pub request_id: Option<&'a RequestId>,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::new(reason, reason.meaning())
    }
}

impl Refusal {
    /// Refuses for `reason`, saying what happened this time. The message is shown to the caller: no internals.
    pub fn new(reason: Reason, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Details {
            reason,
            message: message.into(),
            remedy: reason.remedy().into(),
            status: reason.status(),
            code: reason.json_rpc_code(),
            cause: None,
            headers: Vec::new(),
            data: Map::new(),
        }))
    }

    /// Says what to do in this very case.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<Cow<'static, str>>) -> Self {
        self.0.remedy = remedy.into();
        self
    }

    /// Names what exactly is wrong, and what to do about that: mostly something for operators, in the place of what the
    /// reason could only guess. Where the refusal is for a time (503), callers are still told first to try again.
    #[must_use]
    pub fn because(mut self, cause: Cause) -> Self {
        self.0.cause = Some(cause);
        if self.0.reason.status() != StatusCode::SERVICE_UNAVAILABLE {
            return self.with_remedy(cause.remedy);
        }
        let both = format!("{} {}", self.0.reason.remedy(), cause.remedy);
        self.with_remedy(both)
    }

    /// Adds a header, for instance `Retry-After` or a challenge.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Adds a member to `error.data` for programs.
    #[must_use]
    pub fn with_data(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.data.insert(name.to_owned(), value.into());
        self
    }

    /// Answers with another HTTP status than the reason's own.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// Answers with another JSON-RPC code than the reason's own, for clients to whom that one would mean something else.
    #[must_use]
    pub fn with_code(mut self, code: i32) -> Self {
        self.0.code = code;
        self
    }

    /// In words that a client of 2026-07-28 (`modern`), or one of before, does not take for something else: a code of the
    /// other era makes it believe that it speaks with another kind of server, and a 404 that its session has ended.
    #[must_use]
    pub fn in_era(self, modern: bool) -> Self {
        match (self.0.code, modern) {
            (code::URL_ELICITATION_REQUIRED, true) => self.with_code(code::INTERNAL_ERROR),
            (code::URL_ELICITATION_REQUIRED, false) => self,
            // What 2026-07-28 keeps for itself.
            (-32099..=-32020, false) => self.with_code(code::INVALID_REQUEST),
            (code::METHOD_NOT_FOUND, false) => self.with_status(StatusCode::OK),
            _ => self,
        }
    }

    /// Closes the connection: for refusals made before the body was read, which would otherwise leave the next request
    /// on the connection behind unread bytes.
    #[must_use]
    pub fn closing(self) -> Self {
        self.with_header(CONNECTION, HeaderValue::from_static("close"))
    }

    /// The reason.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// What exactly is wrong, where that is known.
    pub fn cause(&self) -> Option<Cause> {
        self.0.cause
    }

    /// The HTTP status that it is answered with.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do about it.
    pub fn remedy(&self) -> &str {
        &self.0.remedy
    }

    /// The HTTP answer.
    pub fn answer(self, to: Addressee<'_>) -> Response {
        let body = Reply::from(self.body(to));
        self.headed("application/json", body)
    }

    /// The same as problem details (RFC 9457), for programs that speak plain HTTP.
    pub fn problem(self, to: Addressee<'_>) -> http::Response<Bytes> {
        let mut data = self.data(to);
        let kind = data.remove("help").unwrap_or_else(|| "about:blank".into());
        let title = self.0.status.canonical_reason().unwrap_or_default();
        let status = self.0.status.as_u16();
        let mut problem = json!({ "type": kind, "title": title, "status": status, "detail": self.0.message });
        if let Some(members) = problem.as_object_mut() {
            members.extend(data);
        }
        self.headed("application/problem+json", problem.to_string().into())
    }

    fn headed<B>(self, media_type: &'static str, body: B) -> http::Response<B> {
        let mut response = http::Response::new(body);
        *response.status_mut() = self.0.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        for (name, value) in self.0.headers {
            response.headers_mut().append(name, value);
        }
        response.extensions_mut().insert(self.0.reason);
        if let Some(cause) = self.0.cause {
            response.extensions_mut().insert(cause);
        }
        response
    }

    /// What it is explained under on the page that helps. Nothing of a policy from outside stands there.
    fn topic(&self) -> Option<&'static str> {
        match (self.0.cause, self.0.reason) {
            (Some(cause), _) => Some(cause.code),
            (None, Reason::Custom(_)) => None,
            (None, reason) => Some(reason.code()),
        }
    }

    /// The JSON-RPC error. Without a known id there is none in it: MCP's schema forbids `null`.
    pub fn body(&self, to: Addressee<'_>) -> Bytes {
        let error = json!({ "code": self.0.code, "message": self.0.message, "data": self.data(to) });
        let id = to.id.map(|id| format!(r#","id":{id}"#)).unwrap_or_default();
        format!(r#"{{"jsonrpc":"2.0"{id},"error":{error}}}"#).into()
    }

    /// What programs read of it.
    fn data(&self, to: Addressee<'_>) -> Map<String, Value> {
        let mut data = Map::new();
        data.insert("reason".into(), self.0.reason.code().into());
        data.insert("remedy".into(), self.0.remedy.as_ref().into());
        if let Some(cause) = self.0.cause {
            data.insert("cause".into(), cause.code.into());
        }
        if let Some(request_id) = to.request_id {
            data.insert("requestId".into(), request_id.as_str().into());
            let help = request_id.help().zip(self.topic()).map(|(page, topic)| format!("{page}#{topic}"));
            data.extend(help.map(|help| ("help".to_owned(), help.into())));
        }
        data.extend(self.0.data.clone());
        data
    }
}
