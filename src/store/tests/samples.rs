//! Records to put in.

use std::time::Duration;

use portcullis_policies::kit::pins::{Definition, ToolDigest};

use super::bench::{START, in_minutes};
use crate::store::{
    AccountRecord, ApiKeyRecord, ApprovalDetails, ApprovalRecord, ApprovalState, AuditKeyRecord, AuditRow,
    ClientRecord, CodeRecord, ConnectFlow, ConnectLink, ConnectionEvent, ConnectionKey, ConnectionRecord,
    ConnectionStage, ConnectionState, ConnectionSummary, ConsentKey, Digest, GrantRecord, KeyState, LoginRecord,
    RefreshRecord, SessionRecord, SigningKeyRecord, TurnReaders, UpstreamClientRecord,
};

pub(super) fn digest(of: &str) -> Digest {
    Digest::of(of.as_bytes())
}

pub(super) fn client(id: &str) -> ClientRecord {
    let (metadata, source) = (r#"{"client_name":"Editor"}"#.to_owned(), "192.0.2.7".to_owned());
    ClientRecord { id: id.to_owned(), metadata, source, created_at: START, last_used_at: None }
}

pub(super) fn login(state: &str) -> LoginRecord {
    let secret = format!("verifier of {state}").into_bytes();
    LoginRecord { state: digest(state), browser: digest("browser"), secret, expires_at: in_minutes(15) }
}

pub(super) fn session(cookie: &str, subject: &str) -> SessionRecord {
    SessionRecord {
        id: digest(cookie),
        provider: "https://id.example".to_owned(),
        subject: subject.to_owned(),
        identity: format!("{{\"name\":\"{subject} in {cookie}\"}}").into_bytes(),
        created_at: START,
        expires_at: in_minutes(480),
    }
}

pub(super) fn account(subject: &str) -> AccountRecord {
    AccountRecord {
        provider: "https://id.example".to_owned(),
        subject: subject.to_owned(),
        identity: br#"{"groups":["a"]}"#.to_vec(),
        refresh_token: Some(b"given by the provider".to_vec()),
        id_token: Some(b"signed by the provider".to_vec()),
        refreshed_at: START,
    }
}

pub(super) fn consent(subject: &str) -> ConsentKey {
    ConsentKey {
        provider: "https://id.example".to_owned(),
        subject: subject.to_owned(),
        client_id: "editor".to_owned(),
        redirect_uri: "http://127.0.0.1/back".to_owned(),
        resource: "https://mcp.example/mcp/a".to_owned(),
        scope: "mcp:tools".to_owned(),
        client_digest: digest("Editor"),
    }
}

pub(super) fn grant(id: &str, subject: &str) -> GrantRecord {
    GrantRecord {
        id: id.to_owned(),
        provider: "https://id.example".to_owned(),
        subject: subject.to_owned(),
        client_id: "editor".to_owned(),
        resource: "https://mcp.example/mcp/a".to_owned(),
        scope: "mcp:tools".to_owned(),
        identity: br#"{"email":"ada@example.com"}"#.to_vec(),
        created_at: START,
        refreshed_at: START,
        expires_at: in_minutes(60),
        revoked_at: None,
    }
}

pub(super) fn code(code: &str, grant: &str) -> CodeRecord {
    CodeRecord {
        code: digest(code),
        grant: grant.to_owned(),
        client_id: "editor".to_owned(),
        redirect_uri: "http://127.0.0.1/back".to_owned(),
        challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned(),
        expires_at: in_minutes(1),
    }
}

pub(super) fn refresh(token: &str, grant: &str) -> RefreshRecord {
    let grant = grant.to_owned();
    RefreshRecord { token: digest(token), grant, issued_at: START, expires_at: in_minutes(60), rotated_at: None }
}

pub(super) fn signing_key(kid: &str, state: KeyState) -> SigningKeyRecord {
    SigningKeyRecord {
        kid: kid.to_owned(),
        algorithm: "EdDSA".to_owned(),
        private: format!("private part of {kid}").into_bytes(),
        public_jwk: "{}".to_owned(),
        state,
        created_at: START,
        changed_at: START,
    }
}

pub(super) fn api_key(id: &str) -> ApiKeyRecord {
    ApiKeyRecord {
        id: id.to_owned(),
        digest: digest("the key"),
        name: "nightly build".to_owned(),
        subject_claims: "{}".to_owned(),
        scopes: "mcp:tools".to_owned(),
        routes: Some(r#"["/mcp/a"]"#.to_owned()),
        created_at: START,
        expires_at: Some(in_minutes(60)),
        revoked_at: None,
        last_used_at: None,
    }
}

pub(super) fn connection_key(upstream: &str, subject: &str) -> ConnectionKey {
    ConnectionKey { upstream: upstream.to_owned(), subject: subject.to_owned() }
}

/// Somebody's connection to `linear` with these secrets, which also give it its id.
pub(super) fn connection(subject: &str, secrets: &str) -> ConnectionRecord {
    let summary = ConnectionSummary {
        key: connection_key("linear", subject),
        target: "https://mcp.linear.example/mcp".to_owned(),
        id: format!("id of {}", digest(secrets)),
        version: 1,
        state: ConnectionState::Connected,
        because: "connected in a browser".to_owned(),
        issuer: Some("https://linear.example".to_owned()),
        scope: Some("read write".to_owned()),
        expires_at: Some(in_minutes(60)),
        created_at: START,
        changed_at: START,
    };
    ConnectionRecord { summary, secrets: Some(secrets.as_bytes().to_vec().into()) }
}

pub(super) fn connection_event(subject: &str, minute: u64) -> ConnectionEvent {
    ConnectionEvent {
        at: in_minutes(minute),
        key: connection_key("linear", subject),
        from: ConnectionStage::Authenticating,
        to: ConnectionStage::Connected,
        because: "connected in a browser".to_owned(),
        request_id: Some(format!("request {minute}")),
    }
}

pub(super) fn connect_link(token: &str, subject: &str) -> ConnectLink {
    ConnectLink {
        digest: digest(token),
        upstream: "linear".to_owned(),
        subject: subject.to_owned(),
        route: "/mcp/linear".to_owned(),
        target: "https://mcp.linear.example/mcp".to_owned(),
        elicitation_id: "e-1".to_owned(),
        expires_at: in_minutes(10),
        used_at: None,
    }
}

pub(super) fn connect_flow(state: &str) -> ConnectFlow {
    let secret = format!("upstream verifier of {state}").into_bytes();
    ConnectFlow { state: digest(state), browser: digest("browser"), secret, expires_at: in_minutes(10) }
}

pub(super) fn upstream_client(issuer: &str, client_id: &str) -> UpstreamClientRecord {
    UpstreamClientRecord {
        issuer: issuer.to_owned(),
        redirect_uri: REDIRECT.to_owned(),
        client_id: client_id.to_owned(),
        secrets: format!("client secret of {client_id}").into_bytes().into(),
        created_at: START,
        expires_at: None,
    }
}

pub(super) const REDIRECT: &str = "https://mcp.example/connect/callback/linear";

/// A call of somebody's that waits for ten minutes; `call` tells it from others.
pub(super) fn approval(call: &str, subject: &str) -> ApprovalDetails {
    let record = ApprovalRecord {
        number: 1,
        id: format!("id of {subject} {call}"),
        call: digest(&format!("{subject} {call}")),
        subject: subject.to_owned(),
        route: "/mcp/notes".to_owned(),
        upstream: "https://notes.example/mcp".to_owned(),
        tool: "delete_note".to_owned(),
        policy: digest("policy"),
        definition: digest("definition"),
        rule: "deletes".to_owned(),
        approvers: r#"[{"users":["grace"]}]"#.to_owned(),
        own_calls: false,
        state: ApprovalState::Proposed,
        is_open: true,
        decided_by: None,
        decided_at: None,
        reason: None,
        request_id: Some("request".to_owned()),
        created_at: START,
        expires_at: in_minutes(10),
        told: TurnReaders { audit: true, webhook: false },
    };
    ApprovalDetails { record, call: format!("arguments of {call}").into_bytes() }
}

pub(super) fn definition(tool: &str, description: &str) -> Definition {
    let text = format!(r#"{{"description":"{description}","name":"{tool}"}}"#);
    let digest = ToolDigest::of(&text);
    Definition { tool: tool.to_owned(), text, digest, flags: vec!["one".to_owned(), "two".to_owned()] }
}

pub(super) fn audit_key(kid: &str) -> AuditKeyRecord {
    let private = format!("private half of {kid}").into_bytes();
    AuditKeyRecord { kid: kid.to_owned(), private, created_at: START }
}

pub(super) fn audit_row(chain: &str, number: i64) -> AuditRow {
    let line = format!(r#"{{"chain":"{chain}","number":{number}}}"#);
    AuditRow { chain: chain.to_owned(), number, at: START.plus(Duration::from_millis(number.unsigned_abs())), line }
}
