//! What people see and search for, and the codes that explain it.

/// What somebody sees.
#[derive(Debug)]
pub struct Symptom {
    /// As people say it.
    pub words: &'static str,
    /// What may be behind it.
    pub codes: &'static [&'static str],
}

const fn seen(words: &'static str, codes: &'static [&'static str]) -> Symptom {
    Symptom { words, codes }
}

/// The beginning of the page.
pub const SYMPTOMS: &[Symptom] = &[
    seen(
        "401, but no browser opens",
        &["challenge_missing", "challenge_without_metadata", "no_protected_resource_metadata", "sign_in_required"],
    ),
    seen(
        "401, although the client sends a token",
        &["invalid_token", "token_refused", "token_expired", "token_wrong_audience", "token_wrong_issuer"],
    ),
    seen("403 insufficient_scope", &["insufficient_scope", "scope_missing", "token_scope_missing"]),
    seen(
        "403, and the sign-in never begins",
        &["forbidden", "challenge_page", "access_gate", "user_agent_refused", "host_refused", "ip_not_allowed"],
    ),
    seen("\"Protected resource … does not match expected …\"", &["resource_mismatch", "resource_spelled_differently"]),
    seen("The issuer in the metadata is wrong", &["issuer_mismatch", "host_not_allowed"]),
    seen(
        "\"Incompatible auth server: does not support dynamic client registration\"",
        &[
            "registration_not_possible",
            "registration_by_hand",
            "no_registration_endpoint",
            "dynamic_registration_failed",
        ],
    ),
    seen("\"Invalid redirect_uri\"", &["redirect_uri_mismatch"]),
    seen(
        "The tools list is empty, or a tool is missing",
        &[
            "no_tools",
            "tools_elsewhere",
            "token_hides_tools",
            "no_tools_capability",
            "filter_matches_nothing",
            "not_exposed",
            "tool_changed",
            "tool_unapproved",
        ],
    ),
    seen("Tool not found", &["not_exposed", "unusual_name"]),
    seen(
        "The client asks to connect, again and again",
        &["connect_required", "operator_must_connect", "upstream_unauthorized"],
    ),
    seen("404 for the MCP URL", &["route_not_found", "not_found", "unknown_session"]),
    seen("GET is answered with 405", &["method_not_allowed", "get_unexpected", "post_not_allowed"]),
    seen("A web page instead of an answer", &["answers_html", "challenge_page", "access_gate", "redirects", "not_mcp"]),
    seen(
        "A certificate is not accepted",
        &[
            "certificate_untrusted",
            "certificate_self_signed",
            "certificate_chain_incomplete",
            "certificate_expired",
            "certificate_wrong_name",
            "upstream_tls",
        ],
    ),
    seen(
        "No connection to the server",
        &[
            "no_address",
            "connection_refused",
            "connection_timed_out",
            "only_by_proxy",
            "client_port",
            "client_address_not_public",
            "upstream_unreachable",
        ],
    ),
    seen(
        "Calls are slow, or never end",
        &["slow_answer", "upstream_timeout", "upstream_connect_timeout", "timed_out", "address_silent", "no_answer"],
    ),
    seen("The connection drops in the middle of a call", &["upstream_truncated", "upstream_closed", "body_too_slow"]),
    seen("A browser says CORS", &["cors_refused", "cors_header_hidden", "cors_metadata_refused", "origin_not_allowed"]),
    seen(
        "Everything worked until the gateway or its store was moved",
        &["vault_closed", "master_key_missing", "master_key_wrong", "host_refused", "redirect_uri_mismatch"],
    ),
    seen("429", &["rate_limited"]),
    seen(
        "502 or 503 of the gateway",
        &[
            "bad_gateway",
            "gateway_timeout",
            "upstream_status",
            "upstream_setup_failed",
            "sign_in_unavailable",
            "pins_unavailable",
        ],
    ),
    seen(
        "A call waits until somebody approves it, or nobody did",
        &["approval_required", "approval_denied", "approval_expired", "approval_changed", "approval_unavailable"],
    ),
];
