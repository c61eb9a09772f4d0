//! Every endpoint, with the scope that a key needs for it. There are no others.

use http::{Method, StatusCode};

use super::{
    approvals, audit, connections,
    endpoint::{Endpoint, endpoint},
    keys, pins,
};

macro_rules! scopes {
    ($($variant:ident = $name:literal, $meaning:literal;)*) => {
        /// What a key may do here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Scope {
            $(#[doc = $meaning] $variant,)*
        }

        impl Scope {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// As keys have it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it allows.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

scopes! {
    ApprovalsRead = "approvals:read", "See the calls that wait for a decision, with their arguments, and those that waited.";
    ApprovalsDecide = "approvals:decide", "Approve and deny calls, where the rule counts the key among its approvers.";
    AuditRead = "audit:read", "See and verify the audit log.";
    PinsRead = "pins:read", "See what tools are pinned to, and what has changed since.";
    PinsWrite = "pins:write", "Approve definitions of tools, and forget what tools are pinned to.";
    ConnectionsRead = "connections:read", "See who is connected to which upstream.";
    ConnectionsWrite = "connections:write", "End people's connections to upstreams.";
    KeysRead = "keys:read", "See API keys, without their secrets.";
    KeysWrite = "keys:write", "Make keys that may do no more than the one that makes them, and take keys back.";
}

#[rustfmt::skip]
pub(super) fn table() -> Vec<Endpoint> {
    use Scope as S;
    vec![
        endpoint(Method::GET, "/approvals", S::ApprovalsRead, "listApprovals", "The calls that wait for a decision, the oldest first, or all, the newest first.", approvals::list),
        endpoint(Method::GET, "/approvals/{number}", S::ApprovalsRead, "showApproval", "A call with its arguments.", approvals::show),
        endpoint(Method::POST, "/approvals/{number}/approve", S::ApprovalsDecide, "approveCall", "Let a call be made, once.", approvals::approve),
        endpoint(Method::POST, "/approvals/{number}/deny", S::ApprovalsDecide, "denyCall", "Let a call not be made.", approvals::deny),
        endpoint(Method::GET, "/audit", S::AuditRead, "queryAudit", "Rows of the audit log, the newest first. A page may be empty and name a next one.", audit::list),
        endpoint(Method::GET, "/audit/verify", S::AuditRead, "verifyAudit", "Whether rows of the audit log were edited, deleted or reordered.", audit::verify),
        endpoint(Method::GET, "/pins", S::PinsRead, "listPins", "The tools of which something is kept, in short.", pins::list),
        endpoint(Method::GET, "/pins/{id}", S::PinsRead, "showPin", "What a tool is pinned to, and what waits, with the definitions.", pins::show),
        endpoint(Method::GET, "/pins/{id}/diff", S::PinsRead, "diffPin", "In what the definition that waits differs from the pinned one.", pins::diff),
        endpoint(Method::POST, "/pins/{id}/approve", S::PinsWrite, "approvePin", "Pin the definition with this digest.", pins::approve),
        endpoint(Method::DELETE, "/pins/{id}", S::PinsWrite, "forgetPin", "Forget what a tool is pinned to: when it is seen next, it is new.", pins::forget),
        endpoint(Method::GET, "/connections", S::ConnectionsRead, "listConnections", "People's connections to upstreams, without their secrets.", connections::list),
        endpoint(Method::DELETE, "/connections/{id}", S::ConnectionsWrite, "endConnection", "End a connection, and revoke it at the upstream.", connections::end),
        endpoint(Method::GET, "/keys", S::KeysRead, "listKeys", "API keys, the oldest first, also those that are over.", keys::list),
        endpoint(Method::POST, "/keys", S::KeysWrite, "createKey", "Make a key. The answer shows it, once.", keys::create).answering(StatusCode::CREATED),
        endpoint(Method::DELETE, "/keys/{id}", S::KeysWrite, "revokeKey", "Take a key back.", keys::revoke),
    ]
}

/// An endpoint, as far as others may know of it.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The method.
    pub method: Method,
    /// Its path below [`PATH`](super::PATH).
    pub path: &'static str,
    /// What a key needs for it.
    pub scope: Scope,
    /// Its name.
    pub name: &'static str,
}

/// All endpoints.
pub fn operations() -> Vec<Operation> {
    table().iter().map(Endpoint::operation).collect()
}
