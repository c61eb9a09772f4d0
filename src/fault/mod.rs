//! What can be wrong with a server or with this deployment: one table, for whoever looks for a fault (`portcullis doctor`) and
//! for the running gateway that meets it. The page of troubleshooting is made from it.

mod answered;
pub mod guards;
pub mod page;
mod seen;
mod symptoms;

use portcullis_policies::kit::{
    jwt::KEYS_UNAVAILABLE,
    refusal::{Cause, Reason, Refusal},
};

pub use self::{
    answered::Seen,
    symptoms::{SYMPTOMS, Symptom},
};

/// How bad a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Some clients will have trouble.
    Warning,
    /// Clients cannot work with it.
    Failed,
}

impl Severity {
    /// As people and programs read it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// On which part of the way a fault lies. The exit code tells it, so that scripts can tell an outage from a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Its name, and the way there.
    Network,
    /// Its certificate.
    Tls,
    /// Something answers, and it is no MCP server.
    Http,
    /// How clients find out where to sign in, and what the token is worth.
    Authorization,
    /// What the MCP server itself answers.
    Mcp,
    /// What a deployment of this gateway needs besides.
    Deployment,
}

impl Class {
    /// As programs read it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Authorization => "authorization",
            Self::Mcp => "mcp",
            Self::Deployment => "deployment",
        }
    }

    /// 1 and 2 are what every command ends with that could not begin.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Network => 3,
            Self::Tls => 4,
            Self::Http => 5,
            Self::Authorization => 6,
            Self::Mcp => 7,
            Self::Deployment => 8,
        }
    }
}

/// Declares the faults: code, how bad it is, where on the way, what it means, the smallest fix, and the commands that show
/// whether it is mended. In commands, `{url}` is what was typed, `{origin}`, `{host}` and `{port}` are parts of that,
/// `{at}` is the address that the finding is about, and `{config}` is the configuration's file.
macro_rules! faults {
    ($($variant:ident = $code:expr, $severity:ident, $class:ident, $cause:literal, $fix:expr, $verify:expr;)*) => {
        /// What can be wrong: one stable code each. A code never changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault {
            $(#[doc = $cause] $variant,)*
        }

        impl Fault {
            /// Every fault, from the name to the tools.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// What scripts and searches know it by.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// How bad it is.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// Where on the way it lies.
            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)* }
            }

            /// What it means.
            pub const fn cause(self) -> &'static str {
                match self { $(Self::$variant => $cause,)* }
            }

            /// The smallest fix.
            pub const fn fix(self) -> &'static str {
                match self { $(Self::$variant => $fix,)* }
            }

            /// Commands that show whether it is mended, with `{…}` in them.
            pub const fn verify(self) -> &'static [&'static str] {
                match self { $(Self::$variant => $verify,)* }
            }
        }
    };
}

/// Asks for a token's challenge, as a client's first request does.
const ASK: &str = "curl -sS -i -X POST '{url}' -H 'Content-Type: application/json' \
                   -H 'Accept: application/json, text/event-stream' \
                   --data '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}'";
/// The same, for how long it takes.
const TIME: &str = "curl -sS -o /dev/null -w '%{time_connect} %{time_starttransfer}\\n' -X POST '{url}' \
                    -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
                    --data '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}'";
const PREFLIGHT: &str = "curl -sS -i -X OPTIONS '{url}' -H 'Origin: http://localhost:6274' \
                         -H 'Access-Control-Request-Method: POST' \
                         -H 'Access-Control-Request-Headers: authorization,content-type,mcp-protocol-version'";
const READ: &str = "curl -sS -i '{at}'";
const HANDSHAKE: &str = "openssl s_client -connect '{host}:{port}' -servername '{host}' </dev/null";
const RESOLVE: &str = "getent ahosts '{host}'";
const CONNECT: &str = "curl -sS -v --max-time 5 -o /dev/null '{origin}/'";
const CHECK: &str = "portcullis check --config '{config}'";
const EXPLAIN: &str = "portcullis explain --config '{config}'";
const VAULT: &str = "portcullis vault status --config '{config}'";
/// Reads the token from standard input, as arguments are seen by others.
const TOKEN: &str = "portcullis doctor token - <token.txt";
const WITH_TOKEN: &str = "PORTCULLIS_DOCTOR_TOKEN=\"$TOKEN\" portcullis doctor '{url}'";
/// Those that examine once more: in a report, the one with the options of the run stands in their place.
pub const AGAIN: [&str; 2] = [TOKEN, WITH_TOKEN];

faults! {
    NoAddress = "no_address", Failed, Network,
        "The host's name has no address, so nothing can be sent.",
        "Look for a spelling mistake in the host; if it is right, the name is missing in the DNS that this machine asks.",
        &[RESOLVE];
    ConnectionRefused = "connection_refused", Failed, Network,
        "The machine is there, but nothing listens on this port.",
        "Start the server, or correct the port. A server in a container must listen on 0.0.0.0, and its port must be \
         published.",
        &[CONNECT];
    ConnectionTimedOut = "connection_timed_out", Failed, Network,
        "Nothing comes back from the port: a firewall drops what is sent there, or the machine is off.",
        "Allow this machine through the firewall in front of the server, or ask from a network that may reach it.",
        &[CONNECT];
    ConnectionFailed = "connection_failed", Failed, Network,
        "There is no way to the address from this machine.",
        "Look at this machine's network and its routes to the address.",
        &[RESOLVE, CONNECT];
    AddressSilent = "address_silent", Warning, Network,
        "The name has several addresses and one of them does not answer. Clients that try it first wait until they give up.",
        "Take the address out of DNS (often the AAAA record), or let the server listen on it.",
        &[RESOLVE];
    ClientPort = "client_port", Failed, Network,
        "The client asks port 443 only, and leaves out the port of the URL.",
        "Serve the URL on port 443, by a reverse proxy or a load balancer that passes on to the server's port.",
        &[];
    ClientAddress = "client_address_not_public", Failed, Network,
        "The client asks from its maker's machines, which reach public addresses only.",
        "Use a client that asks from people's own machines, such as Claude Code or mcp-remote. Or serve the URL at a public \
         address, and let the maker's published addresses through the firewall.",
        &[RESOLVE];
    NonstandardPort = "nonstandard_port", Warning, Network,
        "The URL has another port than 443. Claude asks custom connectors from Anthropic's cloud, also for Claude Desktop, and \
         reaches no other port.",
        "Put a load balancer or a reverse proxy on port 443 in front of it; other clients do not need that.",
        &[CONNECT];
    ProxyInTheWay = "proxy_in_the_way", Warning, Network,
        "This machine's environment names a proxy, and by it the answer is another one. Clients that go through it (those in \
         Python, curl, many in Node.js) see that answer.",
        "Add the host to NO_PROXY, or let the proxy pass it on.",
        &["env | grep -i _proxy", CONNECT];
    OnlyByProxy = "only_by_proxy", Warning, Network,
        "From this machine there is a way to the server only by the proxy that the environment names, and not every client goes \
         that way.",
        "Set the proxy in the client too (Node.js: NODE_USE_ENV_PROXY=1), or let this machine through to the server.",
        &["env | grep -i _proxy", CONNECT];
    NotEncrypted = "not_encrypted", Warning, Tls,
        "The URL is http, so tokens and answers can be read on the way, and most clients refuse to sign in.",
        "Serve the URL over https, by the server's own TLS or by a reverse proxy in front of it.",
        &[];
    NotTls = "not_tls", Failed, Tls,
        "The URL is https, but what listens on the port does not speak TLS.",
        "Use the port on which TLS is served, or http if the server is on this machine.",
        &[HANDSHAKE];
    OnlyTls = "speaks_tls", Failed, Tls,
        "The URL is http, and what listens on the port speaks TLS.",
        "Write https in the URL.",
        &[HANDSHAKE];
    CertificateUntrusted = "certificate_untrusted", Failed, Tls,
        "The certificate is signed by nobody whom this machine trusts: it is self-signed, of a private authority, or the \
         server leaves out the certificates in between.",
        "Let the server send its whole chain. For a private authority, give its certificate to each client (this \
         command: SSL_CERT_FILE=authority.pem; a route of the gateway: `upstream.tls.roots`).",
        &[HANDSHAKE];
    CertificateWrongName = "certificate_wrong_name", Failed, Tls,
        "The certificate is for other names than the host in the URL.",
        "Use a name that is in the certificate, or have one issued that names this host.",
        &[HANDSHAKE];
    CertificateExpired = "certificate_expired", Failed, Tls,
        "A certificate of the chain has expired.",
        "Look at this machine's clock first. If it is right, renew the certificate and let the server load the new one; one that was \
         renewed already is not loaded yet.",
        &["date -u", HANDSHAKE];
    CertificateNotYetValid = "certificate_not_yet_valid", Failed, Tls,
        "A certificate of the chain is not valid yet.",
        "Look at this machine's clock first, then at the day from which the certificate is good.",
        &["date -u", HANDSHAKE];
    CertificateUnusable = "certificate_unusable", Failed, Tls,
        "The certificate is not one for a server, or is otherwise no good.",
        "Have one issued for a server with this host among its alternative names.",
        &[HANDSHAKE];
    HandshakeFailed = "tls_handshake_failed", Failed, Tls,
        "The TLS handshake failed before there was a certificate to judge.",
        "Let the server speak TLS 1.2 or 1.3, and HTTP/1.1. If it demands certificates of its clients, put a gateway in between that has one.",
        &[HANDSHAKE];
    ClientNeedsHttps = "client_needs_https", Failed, Tls,
        "The client asks https only.",
        "Serve the URL over https, by a reverse proxy with a certificate of a public authority.",
        &[HANDSHAKE];
    CertificateSelfSigned = "certificate_self_signed", Failed, Tls,
        "The certificate is signed by itself, so no client has a reason to trust it.",
        "Have one issued by an authority that clients trust (a reverse proxy such as Caddy does it by itself). For a test, give \
         the certificate to each client (for this command: SSL_CERT_FILE=certificate.pem).",
        &[HANDSHAKE];
    CertificateChainIncomplete = "certificate_chain_incomplete", Failed, Tls,
        "The server sends its own certificate and leaves out those between it and the authority. Browsers fetch what is \
         missing, MCP clients do not.",
        "Let the server load the file with the whole chain (often fullchain.pem in place of cert.pem).",
        &[HANDSHAKE];
    CertificateExpiresSoon = "certificate_expires_soon", Warning, Tls,
        "A certificate of the chain expires within two weeks, so nothing has renewed it.",
        "Renew it now, and look at why the program that should have done so did not.",
        &[HANDSHAKE];
    NotHttp = "not_http", Failed, Http,
        "What answers does not speak HTTP/1.1 here.",
        "Look at scheme and port: a server that speaks TLS has to be asked with https.",
        &[CONNECT];
    NoAnswer = "no_answer", Failed, Http,
        "The connection was taken, and no whole answer came.",
        "Look into the server's log for this request. If it is not there, a proxy in between holds it.",
        &[ASK];
    Redirects = "redirects", Failed, Http,
        "The URL redirects. MCP clients do not send a POST, and never a token, after a redirect.",
        "Use the URL that it redirects to. Often only a slash at the end or https is missing.",
        &[ASK];
    AnswersHtml = "answers_html", Failed, Http,
        "A web page answers, and no MCP server: the path is that of a site, or a proxy or sign-in page stands in front.",
        "Use the server's MCP path (often /mcp); let the proxy pass this path on to the server without a page of its own.",
        &[ASK];
    NotFound = "not_found", Failed, Http,
        "There is nothing at this path.",
        "Use the path on which the server serves MCP: often /mcp, and some have /mcp/v1 or /sse.",
        &[ASK];
    PostNotAllowed = "post_not_allowed", Failed, Http,
        "The path does not take POST. It may be the GET endpoint of the older HTTP+SSE transport (2024-11-05).",
        "Use the server's Streamable HTTP endpoint, often /mcp. One that has none needs a bridge.",
        &[ASK];
    Forbidden = "forbidden", Failed, Http,
        "The request is refused with 403, after which clients do not begin to sign in: by a firewall, a list of addresses, or \
         a server that does not know itself by this Host.",
        "Let the server know the host in the URL, or the firewall let this machine through. For a missing token the answer \
         has to be 401.",
        &[ASK];
    ServerError = "server_error", Failed, Http,
        "The server, or a proxy in front of it, fails (5xx).",
        "Look into the server's log. If the request is not there, the proxy does not reach the server.",
        &[ASK];
    NotMcp = "not_mcp", Failed, Http,
        "The answer is no message of MCP.",
        "Use the URL of an MCP endpoint; this one belongs to something else.",
        &[ASK];
    TooManyRequests = "too_many_requests", Warning, Http,
        "The server, or a proxy in front of it, takes no more requests for now (429).",
        "Wait as long as `Retry-After` says, and ask once more. If few requests were sent, look at the limits of the server and \
         of what is in front of it: many callers may share one address.",
        &[ASK];
    ProxySignIn = "proxy_asks_for_sign_in", Failed, Http,
        "A proxy answers in the server's place, and wants a sign-in of its own (407).",
        "Ask past this proxy, or give clients its name and password (often in HTTPS_PROXY, as http://name:password@proxy:port).",
        &["env | grep -i _proxy", ASK];
    JsonRefused = "json_not_taken", Failed, Http,
        "The path takes no POST with JSON (415), so it is no MCP endpoint, or something in front of it looks at the type.",
        "Use the URL of the MCP endpoint. If this is it, let it, and what is in front of it, take `Content-Type: \
         application/json`.",
        &[ASK];
    PagesRefused = "cors_refused", Warning, Http,
        "Web pages of `http://localhost:6274` may not use the server, so the Inspector cannot connect to it directly from a browser.",
        "Let the Inspector connect by its proxy, which needs nothing of the server. Or let the server take this origin, with the \
         headers Authorization, Content-Type and Mcp-* (Portcullis: `allowedOrigins` of a `cors` policy).",
        &[PREFLIGHT];
    HeaderHidden = "cors_header_hidden", Warning, Http,
        "Web pages may use the server, and a header that they need is hidden from them: where to sign in, or the session.",
        "Name WWW-Authenticate and Mcp-Session-Id in `Access-Control-Expose-Headers`.",
        &[PREFLIGHT];
    ChallengePage = "challenge_page", Failed, Http,
        "A bot protection in front answers in the server's place, with a page for browsers. The request never reaches the \
         server, and is not in its log.",
        "Exempt the MCP path and /.well-known/ from the bot protection: no MCP client runs scripts or solves puzzles.",
        &[ASK];
    AccessGate = "access_gate", Failed, Http,
        "A sign-in page for people stands in front of the server. MCP clients cannot sign in there.",
        "Let the MCP path and /.well-known/ pass without it: the MCP server signs its clients in by itself.",
        &[ASK];
    UserAgentRefused = "user_agent_refused", Warning, Http,
        "The answer depends on the User-Agent: some clients are let through and others are turned away.",
        "Exempt the MCP path from rules about user agents, bots and AI crawlers (in Cloudflare: `Block AI bots`, Bot Fight Mode).",
        &["curl -sS -i -X POST '{url}' -A Claude-User", "curl -sS -i -X POST '{url}' -A node"];
    HostRefused = "host_refused", Failed, Http,
        "The server does not know itself by the host that reaches it: the one in the URL, or what a proxy in front makes of it.",
        "Let the proxy pass the host on (nginx: `proxy_set_header Host $host;`), or add the host to those that the server \
         allows (Portcullis: gateway.publicUrl, gateway.allowedHosts).",
        &[ASK];
    BadGateway = "bad_gateway", Failed, Http,
        "A proxy in front answers that it does not reach the server, or that the server is out of order.",
        "Start the server, and compare the address to which the proxy sends with the one on which the server listens. In a \
         container, localhost is the container.",
        &[ASK];
    GatewayTimeout = "gateway_timeout", Failed, Http,
        "A proxy in front waited for the server and gave up.",
        "Look into the server's log for what it does meanwhile. If it needs the time, raise the proxy's (nginx: \
         proxy_read_timeout).",
        &[ASK];
    OnlyHttpSse = "only_http_sse", Failed, Http,
        "The URL is that of the older HTTP+SSE transport (2024-11-05). Clients that speak only Streamable HTTP fail with it.",
        "Use the server's Streamable HTTP endpoint, often /mcp. One that has none needs a newer version, or a bridge.",
        &["curl -sS -i -N --max-time 5 '{url}' -H 'Accept: text/event-stream'"];
    ChallengeMissing = "challenge_missing", Warning, Authorization,
        "The 401 has no WWW-Authenticate header. Clients of MCP 2025-06-18 then do not find out where to sign in.",
        "Send `WWW-Authenticate: Bearer resource_metadata=\"…\"` with every 401. Some proxies take it out: let them pass it.",
        &[ASK];
    ChallengeNotBearer = "challenge_not_bearer", Warning, Authorization,
        "WWW-Authenticate holds no challenge for bearer tokens that can be read to its end.",
        "Send `Bearer resource_metadata=\"…\"`, each attribute once and in quotes.",
        &[ASK];
    ChallengeWithoutMetadata = "challenge_without_metadata", Warning, Authorization,
        "WWW-Authenticate does not say where the protected-resource metadata are. Clients of MCP 2025-06-18 look nowhere else.",
        "Add `resource_metadata=\"…\"` with the address of the metadata (RFC 9728, section 5.1).",
        &[ASK];
    ChallengeBadAddress = "challenge_bad_address", Failed, Authorization,
        "The `resource_metadata` of the challenge is no address that clients may ask.",
        "Write a whole https URL there. A server behind a proxy has to be told its public URL.",
        &[ASK];
    ChallengeLetters = "challenge_letters", Warning, Authorization,
        "WWW-Authenticate has letters that not every client reads: others than printable ASCII, or quotes and backslashes \
         inside of a value (RFC 6750, section 3).",
        "Write each value in ASCII, without quotes and backslashes in it.",
        &[ASK];
    NoResourceMetadata = "no_protected_resource_metadata", Failed, Authorization,
        "There are no protected-resource metadata (RFC 9728) where clients look, so they do not find out where to sign in.",
        "Publish the document without a sign-in at `/.well-known/oauth-protected-resource` with the server's path after it, and \
         let the proxy pass /.well-known/ on.",
        &[READ];
    ResourceMetadataUnreadable = "protected_resource_metadata_unreadable", Failed, Authorization,
        "Where the protected-resource metadata should be, something else answers with 200: often a site's page for every path.",
        "Pass /.well-known/oauth-protected-resource on to the MCP server before the site's own rules.",
        &[READ];
    ResourceMismatch = "resource_mismatch", Failed, Authorization,
        "The `resource` in the metadata is not the URL that was typed. Clients refuse, as the token would be for somebody else.",
        "Set the server's public URL to the one that people type, or give people the URL in `resource`.",
        &[READ];
    ResourceSpelled = "resource_spelled_differently", Warning, Authorization,
        "The `resource` in the metadata is the URL that was typed in another spelling. Clients that compare letter by letter \
         refuse.",
        "Write `resource` exactly as people type the URL: host in lower case, no default port, no slash at the end.",
        &[READ];
    ResourceIsParent = "resource_is_parent", Warning, Authorization,
        "The `resource` in the metadata is a path above the URL that was typed. Some clients accept that and others do not.",
        "Publish metadata of their own for this URL.",
        &[READ];
    ResourceQuery = "resource_query_differs", Warning, Authorization,
        "The `resource` in the metadata is the URL that was typed with another query, or without one. Clients that compare \
         letter by letter refuse.",
        "Let the metadata name the URL with its query, or give people the URL as `resource` has it. A key belongs in a header.",
        &[READ];
    HeaderNotTaken = "bearer_header_not_listed", Warning, Authorization,
        "The protected-resource metadata list how a token may come, and the Authorization header is not among it. MCP clients \
         know no other way.",
        "List `header` in `bearer_methods_supported`, or leave that list out.",
        &[READ];
    NoAuthorizationServer = "no_authorization_server", Failed, Authorization,
        "The protected-resource metadata name no authorization server.",
        "List the issuer in `authorization_servers`.",
        &[READ];
    InsecureEndpoint = "insecure_endpoint", Failed, Authorization,
        "An address of the authorization server is no https URL (http is for servers on this machine only).",
        "Publish https addresses. An authorization server behind a proxy has to be told its public URL.",
        &[READ];
    AddressNotAsked = "address_not_asked", Warning, Authorization,
        "Somebody else chose this address, and it is not a public one over https: it was not asked, so nothing is known of it.",
        "Ask it by hand, if the address is what you expect.",
        &[READ];
    AuthorizationServerUnreachable = "authorization_server_unreachable", Failed, Authorization,
        "The authorization server gives no answer.",
        "Look at its name, its certificate, and whether this machine may reach it.",
        &[READ];
    NoAuthorizationServerMetadata = "no_authorization_server_metadata", Failed, Authorization,
        "The authorization server publishes no metadata (RFC 8414, OpenID Connect Discovery) where clients look.",
        "Publish them at `/.well-known/oauth-authorization-server` with the issuer's path after it, or correct the issuer in \
         `authorization_servers`.",
        &[READ];
    IssuerMismatch = "issuer_mismatch", Failed, Authorization,
        "The `issuer` in the metadata is not the one that the resource names. Clients compare letter by letter and refuse.",
        "Write the same issuer in both documents; often one has a slash at its end that the other has not.",
        &[READ];
    EndpointsMissing = "endpoints_missing", Failed, Authorization,
        "The authorization server's metadata lack an endpoint without which nobody can sign in.",
        "Publish `authorization_endpoint` and `token_endpoint`.",
        &[READ];
    NoPkce = "no_pkce_support", Failed, Authorization,
        "The authorization server's metadata do not list S256 in `code_challenge_methods_supported`. Clients refuse to go on.",
        "Publish `\"code_challenge_methods_supported\": [\"S256\"]`, if the server checks PKCE; else have it do so first.",
        &[READ];
    TokenRefused = "token_refused", Failed, Authorization,
        "The token is not accepted: it is for another resource, expired, revoked, or of another issuer.",
        "Get a new token for exactly this URL, and look at its `aud`, `iss` and `exp`.",
        &[WITH_TOKEN];
    ScopeMissing = "scope_missing", Failed, Authorization,
        "The token is good, and lacks a scope or a permission.",
        "Get a token with the scopes that the answer names.",
        &[WITH_TOKEN];
    MetadataGuarded = "metadata_guarded", Failed, Authorization,
        "Metadata are behind a sign-in or a firewall (401 or 403), and clients read them to find out how to sign in.",
        "Take /.well-known/ out of what asks for a token, in the server's middleware or in the proxy in front.",
        &[READ];
    MetadataRedirect = "metadata_redirect", Failed, Authorization,
        "Where metadata should be is a redirect, which clients that take care do not follow.",
        "Serve the document at the address itself; often https or a slash at the end makes the difference.",
        &[READ];
    MetadataContentType = "metadata_content_type", Warning, Authorization,
        "Metadata are there, but not as application/json. Some clients read nothing else (RFC 9728, section 3.2; RFC 8414, \
         section 3.2).",
        "Send `Content-Type: application/json` with the document.",
        &[READ];
    OnlyOldDiscovery = "only_oldest_discovery", Warning, Authorization,
        "There are no protected-resource metadata (RFC 9728), only what MCP 2025-03-26 knew: the authorization server's, on the \
         server's own origin. Clients that keep to MCP 2025-06-18 and later do not look there.",
        "Publish the protected-resource metadata at `/.well-known/oauth-protected-resource` with the server's path after it, \
         with the authorization server's issuer in `authorization_servers`, and name them in the 401.",
        &[READ];
    MetadataNotForPages = "cors_metadata_refused", Warning, Authorization,
        "Web pages may not read the metadata, so the Inspector cannot find out in a browser how to sign in.",
        "Send `Access-Control-Allow-Origin: *` with the document: it is the same for everybody.",
        &["curl -sS -i '{at}' -H 'Origin: http://localhost:6274'"];
    RegistrationNotPossible = "registration_not_possible", Failed, Authorization,
        "The authorization server offers no way by which this client is known to come to a client id by itself.",
        "Register a client for it at the authorization server, and give it the client id.",
        &[READ];
    RegistrationByHand = "registration_by_hand", Warning, Authorization,
        "The authorization server knows only clients that somebody registered for it. Clients without a client id give up \
         (\"does not support dynamic client registration\").",
        "Register a client at the authorization server and give its id to people. Or let it take registrations \
         (`registration_endpoint`) or client-id documents (`client_id_metadata_document_supported`).",
        &[READ];
    NoPublicClients = "no_public_clients", Warning, Authorization,
        "The authorization server wants a secret of every client. Clients on people's machines have none, and many register \
         without one.",
        "List `none` in `token_endpoint_auth_methods_supported`, if it takes such clients; with PKCE it can.",
        &[READ];
    NoCodeFlow = "no_code_flow", Failed, Authorization,
        "By its metadata, the authorization server does not do the authorization code flow, by which people sign in.",
        "List `authorization_code` in `grant_types_supported` and `code` in `response_types_supported`, if it does.",
        &[READ];
    ResponseTypesMissing = "response_types_missing", Warning, Authorization,
        "The authorization server's metadata lack `response_types_supported`, without which some clients take them for broken.",
        "Publish `\"response_types_supported\": [\"code\"]`, which RFC 8414 requires.",
        &[READ];
    FlagAsText = "metadata_flag_is_text", Warning, Authorization,
        "The authorization server's metadata have a text where true or false has to stand, which clients read in different ways.",
        "Write true or false there, without quotes.",
        &[READ];
    NoRefresh = "no_refresh_tokens", Warning, Authorization,
        "By its metadata, the authorization server gives no refresh tokens: people sign in again whenever a token expires.",
        "Let it give refresh tokens, and list `refresh_token` in `grant_types_supported`.",
        &[READ];
    ResourceNotListed = "resource_not_listed", Warning, Authorization,
        "The authorization server lists the resources that it gives tokens for, and this URL is not among them.",
        "Add the URL to the authorization server's resources (`protected_resources` in its metadata).",
        &[READ];
    TokenExpired = "token_expired", Failed, Authorization,
        "The token is past its `exp`.",
        "Let the client refresh it or sign in once more. If it is new, this machine's clock or the issuer's is wrong.",
        &["date -u", TOKEN];
    TokenWithoutEnd = "token_without_end", Warning, Authorization,
        "The token has no `exp` that is a moment, so it never ends. Portcullis takes none of that kind.",
        "Let the issuer write `exp` into its access tokens, as a number of seconds since 1970.",
        &[TOKEN];
    TokenNotYetValid = "token_not_yet_valid", Failed, Authorization,
        "The token is good only from a later moment on (`nbf`), or was issued in the future (`iat`).",
        "Set the clocks: this machine's and the issuer's differ by more than is forgiven.",
        &["date -u", TOKEN];
    TokenWrongAudience = "token_wrong_audience", Failed, Authorization,
        "The token's `aud` is not what the route expects, so it was made for somebody else.",
        "Get a token for exactly the route's URL (`resource` of RFC 8707), or write the name that the issuer uses as `audience`.",
        &[TOKEN];
    TokenWrongIssuer = "token_wrong_issuer", Failed, Authorization,
        "The token's `iss` is none of the issuers whose tokens the route takes, letter by letter.",
        "Get a token of an issuer that the route names. Only where the two are the same issuer, such as with a slash at the end \
         and without, write it in the route as the token's `iss` has it.",
        &[TOKEN];
    TokenScopeMissing = "token_scope_missing", Failed, Authorization,
        "The token lacks a scope that every call of the route needs.",
        "Ask for all the scopes that the route names, and let the person or the issuer's policy grant them.",
        &[TOKEN];
    TokenClaimMissing = "token_claim_missing", Failed, Authorization,
        "The token lacks a claim without which it is not accepted.",
        "Let the issuer put the claim into its access tokens.",
        &[TOKEN];
    TokenAlgorithm = "token_algorithm", Failed, Authorization,
        "The token's algorithm is not one that the route takes.",
        "Let the issuer sign with an asymmetric algorithm, such as RS256 or ES256, that the route's `algorithms` allow.",
        &[TOKEN];
    TokenBound = "token_bound", Failed, Authorization,
        "The token is bound to a key or a certificate of its client (`cnf`), which a gateway in between cannot prove.",
        "Let the issuer give out plain bearer tokens for this audience.",
        &[TOKEN];
    TokenIsNoJwt = "token_is_no_jwt", Failed, Authorization,
        "The token is no JWT, so only its issuer can say what it is worth.",
        "Let the issuer give out JWTs for the route's audience. Auth0, for one, does so only if an audience is asked for.",
        &[TOKEN];
    TokenType = "token_type", Failed, Authorization,
        "The token's `typ` is not one that the route takes, so nothing says that it is an access token.",
        "Let the client send its access token. If that is what it sent, let the issuer write `at+jwt` as `typ` into the header \
         (RFC 9068), as the gateway does in its own.",
        &[TOKEN];
    TokenIsAnIdToken = "token_is_an_id_token", Failed, Authorization,
        "It is an ID token: it tells a client who somebody is, and opens nothing.",
        "Let the client send its access token.",
        &[TOKEN];
    TokenSignature = "token_signature", Failed, Authorization,
        "The token's signature does not fit the issuer's keys, or names a key that the issuer does not have.",
        "Get a new token. If that is no better, the issuer's `jwks_uri` belongs to another environment.",
        &[TOKEN];
    // Policies tell it too, in the same words.
    TokenKeysUnavailable = KEYS_UNAVAILABLE.code, Failed, Authorization,
        "The issuer's keys cannot be had, so no token of it can be judged.",
        KEYS_UNAVAILABLE.remedy,
        &["curl -sS -i '{at}/.well-known/openid-configuration'"];
    IssuerNotTrusted = "issuer_not_trusted", Failed, Authorization,
        "The authorization server of the configuration is none of those that the server trusts, or no longer the same.",
        "Write one of the issuers that the server's protected-resource metadata list as `authorizationServer`.",
        &[READ];
    NoAuthorizationEndpoint = "no_authorization_endpoint", Failed, Authorization,
        "The authorization server has no page on which people could say yes.",
        "Publish `authorization_endpoint`, or use `client-credentials` as `authMode`, which asks nobody.",
        &[READ];
    NoRegistrationEndpoint = "no_registration_endpoint", Failed, Authorization,
        "The authorization server lets no client register itself, so somebody has to register the gateway there.",
        "Register it by hand, and give the id as `clientRegistration` with \"mode\": \"manual\".",
        &[READ];
    RegistrationFailed = "dynamic_registration_failed", Failed, Authorization,
        "The authorization server offers dynamic registration, and refused to register the gateway.",
        "Look at its words in the log. Register the gateway by hand, and give the id as `clientRegistration`, if they do not help.",
        &[READ];
    RedirectUriMismatch = "redirect_uri_mismatch", Failed, Authorization,
        "The authorization server does not take the redirect URI: it is registered with another one, often of an older public URL.",
        "Register exactly the gateway's redirect URI, which is its public URL with `/connect/callback/` and the policy's `id` \
         after it, or forget the old registration and register anew.",
        &[READ];
    NoRevision = "no_revision", Failed, Mcp,
        "It answers, and neither to `initialize` (revisions up to 2025-11-25) nor to `server/discover` (2026-07-28) with a result.",
        "Look at the error: it says what the server misses. One that speaks only revision 2024-11-05 needs a bridge.",
        &[WITH_TOKEN];
    ToolsRefused = "tools_refused", Failed, Mcp,
        "The server answers `tools/list` with an error.",
        "Look at the error and into the server's log.",
        &[WITH_TOKEN];
    NoTools = "no_tools", Warning, Mcp,
        "The server lists no tools: the path is that of another version of it, the token sees none, or a filter takes all away.",
        "Compare with the path in the server's own documentation (/mcp or /mcp/v1), and with a token of somebody who sees tools.",
        &[WITH_TOKEN];
    GetAnswer = "get_unexpected", Warning, Mcp,
        "GET is answered neither with an event stream nor with 405. Some clients report an error after they connected.",
        "Answer GET with 405 and `Allow: POST`, if the server has no stream for it.",
        &["curl -sS -i --max-time 5 '{url}' -H 'Accept: text/event-stream'"];
    ToolsElsewhere = "tools_elsewhere", Warning, Mcp,
        "The server lists no tools here, and at another of its paths it does.",
        "Give clients the URL that has the tools.",
        &[WITH_TOKEN];
    TokenHidesTools = "token_hides_tools", Warning, Mcp,
        "With the token the server lists no tools, and without it some: the token's scopes or its person see none.",
        "Get a token with the scopes of the tools, or of somebody who may use them.",
        &[WITH_TOKEN];
    NoToolsCapability = "no_tools_capability", Warning, Mcp,
        "The server says that it has no tools: `tools` is not among its capabilities, so clients do not ask for any.",
        "If it should have tools, register them before it answers `initialize`; look at its log for those that failed to load.",
        &[WITH_TOKEN];
    SlowAnswer = "slow_answer", Warning, Mcp,
        "The first byte of the answer took more than five seconds.",
        "Compare the parts: where the first byte takes long and the server's own part is short, a proxy holds the answer.",
        &[TIME];
    ConfigurationErrors = "configuration_errors", Failed, Deployment,
        "The configuration has errors, so the gateway does not start with it, and a running one keeps the last good one.",
        "Mend each at its line.",
        &[CHECK];
    ConfigurationWarnings = "configuration_warnings", Warning, Deployment,
        "The configuration can run, and says something that is probably not meant.",
        "Look at each line and follow its hint.",
        &[CHECK];
    KeyMissing = "master_key_missing", Failed, Deployment,
        "The key under which the store's secrets are sealed is not there, so nobody can sign in and no credential can be used.",
        "Put the key back from where it is kept: `portcullis.key` beside the configuration, or what `gateway.encryptionKey` or \
         `gateway.encryptionKeyCommand` should give. A new key does not open the old store.",
        &[VAULT];
    KeyUnusable = "master_key_unusable", Failed, Deployment,
        "What should be the store's key is none.",
        "Put the right text there: 32 random bytes in base64. For a store that is new, `openssl rand -base64 32` makes one.",
        &[VAULT];
    KeyExposed = "master_key_exposed", Failed, Deployment,
        "Not only its owner can read the file with the store's key, so the gateway does not use it.",
        "Take the others' permissions away with `chmod 600`. If others may have read it, change the key.",
        &[VAULT];
    KeyWrong = "master_key_wrong", Failed, Deployment,
        "The store was sealed with another key than the one that is given, so the gateway does not start.",
        "Give the key that the store was made with; to change it, write the new one, a space, and that one after it.",
        &[VAULT];
    KeyIncomplete = "master_key_incomplete", Failed, Deployment,
        "Some of the store's values are sealed with a key that is not given any more, and cannot be opened.",
        "Write that earlier key behind the present one in `gateway.encryptionKey`, with a space between, until nothing needs it.",
        &[VAULT];
    KeyChanging = "master_key_change_unfinished", Warning, Deployment,
        "Some of the store's values are still sealed with an earlier key, so changing it has not protected them yet.",
        "Keep the earlier key in the configuration, and seal them anew with `portcullis vault rotate`; a running gateway does so \
         by itself.",
        &[VAULT];
    StoreUnreachable = "store_unreachable", Failed, Deployment,
        "The store cannot be opened, so nobody can sign in and no credential can be used.",
        "Start the database, or correct `gateway.store`; for a file, make the folder that it is in.",
        &[VAULT];
    StoreDamaged = "store_damaged", Failed, Deployment,
        "The store's file is there, and is no store.",
        "If `gateway.store` names the wrong file, correct it; else restore a backup.",
        &[VAULT];
    StoreReadOnly = "store_read_only", Failed, Deployment,
        "The store can be read and not written to, so nobody new can sign in.",
        "Let the user that the gateway runs as write to the store's file and to its folder. Of several PostgreSQL servers, name \
         the one that takes writes in `gateway.store`.",
        &[VAULT];
    StoreLocked = "store_locked", Failed, Deployment,
        "Another program holds the store, so that nobody else can write to it.",
        "End the program that has the file open, such as a backup or a shell of SQLite.",
        &[VAULT];
    StoreNewer = "store_newer", Warning, Deployment,
        "A newer version of this program has changed the store's tables.",
        "Use the newer version here too; while nodes are updated one by one, this is how it should be.",
        &["portcullis --version"];
    DiskLow = "disk_space_low", Warning, Deployment,
        "The disk of the store is nearly full. When it is full, nobody can sign in.",
        "Make room on the disk, or move the store.",
        &["df -h"];
    ClockSkewed = "clock_skewed", Warning, Deployment,
        "This machine's clock and another one differ, and by the clock a token is good or has expired.",
        "Let this machine set its clock by the network (NTP). If several others agree with it, the other machine's is wrong.",
        &["date -u", "curl -sSI '{at}'"];
    PublicUrlMissing = "public_url_missing", Warning, Deployment,
        "Others can reach the address that is listened on, and nothing says by which URL clients do: what they are told is that \
         address.",
        "Set `gateway.publicUrl` to what people type.",
        &[];
    PublicPort = "public_port_unusual", Warning, Deployment,
        "The public URL has a port of its own. Clients that connect from their vendor's servers reach port 443 only.",
        "Serve the public URL on port 443, if such clients are to use it.",
        &[];
    ProxyNotTrusted = "proxy_not_trusted", Warning, Deployment,
        "A proxy ends TLS in front of the gateway, and none is trusted: all people seem to come from the proxy's address, where \
         addresses count (limits of sign-in, `rate-limit` by ip, `ip-restriction`, the log).",
        "Name the proxy's address in `gateway.trustedProxies`, and let it set X-Forwarded-For.",
        &[];
    PublicUrlUnreachable = "public_url_unreachable", Failed, Deployment,
        "The gateway runs, and its public URL does not lead to it.",
        "Look at what stands between: the name, the proxy, and the port that the proxy forwards to.",
        &[RESOLVE, CONNECT];
    PublicUrlOfOthers = "public_url_of_others", Failed, Deployment,
        "Something answers at the public URL, and it is not this gateway.",
        "Let the proxy pass the routes' paths, /.well-known/, /oauth/ and /connect/ on to the gateway, or correct \
         `gateway.publicUrl`.",
        &["curl -sS -i '{at}'"];
    HostChanged = "proxy_changes_host", Failed, Deployment,
        "The Host that arrives at the gateway is not the one that was asked: the proxy in front of it writes another one, which \
         the gateway refuses (421).",
        "Let the proxy pass Host on (nginx: `proxy_set_header Host $host;`), or name the host that arrives in \
         `gateway.allowedHosts`.",
        &["curl -sS -i '{at}'"];
    OwnCertificateUnusable = "own_certificate_unusable", Failed, Deployment,
        "The certificate or the key of `gateway.tls` cannot be used, so the gateway does not start, or keeps the last good one.",
        "Give PEM files that the gateway can read, and the key that the certificate was made for.",
        &[];
    ProviderUnreachable = "identity_provider_unreachable", Failed, Deployment,
        "The identity provider does not answer the gateway, so nobody can sign in.",
        "Let the gateway reach it. One inside your network has to be in `gateway.fetch.allowedNetworks`, and the certificate of a \
         private authority in `gateway.fetch.roots`.",
        &[READ];
    ProviderUnreadable = "identity_provider_unreadable", Failed, Deployment,
        "What the identity provider says about itself cannot be used.",
        "Look at the issuer in the policy's options, and at its discovery document: the issuer's URL with \
         `/.well-known/openid-configuration` after it.",
        &[READ];
    ProviderIssuer = "identity_provider_issuer_mismatch", Failed, Deployment,
        "The identity provider calls itself by another issuer than the configuration does, so its tokens are not believed.",
        "Write the issuer letter by letter as its discovery document has it; often it is a slash at the end.",
        &[READ];
    ProviderKeys = "identity_provider_keys_unusable", Failed, Deployment,
        "The keys of the identity provider cannot be used, so none of its tokens can be verified.",
        "Look at the document that `jwks_uri` of its discovery document names: it needs a public key for signatures (RSA, P-256, \
         P-384 or Ed25519).",
        &[READ];
    UpstreamAsksForToken = "upstream_asks_for_token", Failed, Deployment,
        "The upstream asks for a token, and no policy of the route shows it one.",
        "Add `mcp-token-exchange` to the route, or `set-headers` with a key of the upstream.",
        &[EXPLAIN];
    UpstreamRefuses = "upstream_refuses_credential", Failed, Deployment,
        "The upstream does not accept the credential that the route shows it.",
        "Look at what the route's policies set: a key may have expired, or be meant for another server.",
        &[EXPLAIN];
    UpstreamFails = "upstream_gives_no_list", Failed, Deployment,
        "The upstream answers, and does not say what it offers.",
        "Look at the error and into the upstream's log.",
        &[EXPLAIN];
    NobodyConnected = "nobody_connected", Failed, Deployment,
        "All callers share one connection to the upstream, and it is not there: each call is refused.",
        "Connect it with `portcullis connections connect`.",
        &["portcullis connections list --config '{config}'"];
    FilterMatchesNothing = "filter_matches_nothing", Warning, Deployment,
        "A filter names something that the upstream does not have, so clients do not see it.",
        "Correct the name, or take the entry out.",
        &[EXPLAIN];
    PolicyFails = "policy_cannot_work", Failed, Deployment,
        "A policy cannot do its work here: what it needs is not there.",
        "Do what the policy says.",
        &[];
    PolicyWarns = "policy_advises", Warning, Deployment,
        "A policy works otherwise here than is probably meant.",
        "Do what the policy says.",
        &[];
}

impl Fault {
    /// What stands behind a refusal, in the words of the table.
    pub const fn as_cause(self) -> Cause {
        Cause { code: self.code(), remedy: self.fix() }
    }

    /// A refusal for `reason`, behind which is this.
    pub fn refusal(self, reason: Reason) -> Refusal {
        Refusal::from(reason).because(self.as_cause())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_check_of_a_configuration_finds_is_mended_by_its_word() {
        let checked = Fault::ALL.iter().filter(|fault| fault.verify().contains(&CHECK));
        assert_eq!(checked.copied().collect::<Vec<_>>(), [Fault::ConfigurationErrors, Fault::ConfigurationWarnings]);
    }

    #[test]
    fn every_code_is_there_once_and_each_has_a_cause_and_a_fix_in_whole_sentences() {
        for (at, fault) in Fault::ALL.iter().enumerate() {
            let code = fault.code();
            assert!(Fault::ALL[..at].iter().all(|other| other.code() != code), "{code} is there twice");
            assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
            assert!(fault.cause().ends_with('.') && fault.fix().ends_with('.'), "{code}");
            assert!(!fault.cause().contains("  ") && !fault.fix().contains("  "), "{code}");
            // They are read at the doctor, in errors and on the page: what is around them differs.
            let points = ["address below", "of it above", "that is shown"];
            assert!(points.iter().all(|word| !fault.cause().contains(word) && !fault.fix().contains(word)), "{code}");
        }
    }
}
