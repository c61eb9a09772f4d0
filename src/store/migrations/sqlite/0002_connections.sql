-- Connections of people to upstreams. A data key of its own seals the secrets of each row; columns called sealed_data_key hold
-- that key, and only the master key opens it. Secrets and data key are gone together once a connection has ended.

ALTER TABLE accounts ADD COLUMN sealed_id_token BLOB;

-- subject is empty where all share one connection. claimed_until is 0 while nobody refreshes; fence counts who did; unfinished
-- is 1 if somebody began and never said how it ended. A row with gone_at only says to other nodes that it has gone.
CREATE TABLE connections (
    tenant TEXT NOT NULL,
    upstream TEXT NOT NULL,
    subject TEXT NOT NULL,
    target TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('connected', 'reconsent_required')),
    because TEXT NOT NULL,
    issuer TEXT,
    scope TEXT,
    sealed_data_key BLOB,
    secrets BLOB,
    expires_at INTEGER,
    fence INTEGER NOT NULL,
    claimed_until INTEGER NOT NULL,
    unfinished INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    gone_at INTEGER,
    PRIMARY KEY (tenant, upstream, subject)
) STRICT;
CREATE INDEX connections_by_subject ON connections (tenant, subject);
CREATE INDEX connections_by_change ON connections (tenant, changed_at);
CREATE INDEX connections_by_end ON connections (tenant, gone_at) WHERE gone_at IS NOT NULL;

CREATE TABLE connection_events (
    tenant TEXT NOT NULL,
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    upstream TEXT NOT NULL,
    subject TEXT NOT NULL,
    at INTEGER NOT NULL,
    from_stage TEXT NOT NULL,
    to_stage TEXT NOT NULL,
    because TEXT NOT NULL,
    request_id TEXT
) STRICT;
CREATE INDEX connection_events_by_connection ON connection_events (tenant, upstream, subject, at);
CREATE INDEX connection_events_by_time ON connection_events (tenant, at);

CREATE TABLE connect_links (
    tenant TEXT NOT NULL,
    link_digest BLOB NOT NULL,
    upstream TEXT NOT NULL,
    subject TEXT NOT NULL,
    route TEXT NOT NULL,
    target TEXT NOT NULL,
    elicitation_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER,
    PRIMARY KEY (tenant, link_digest)
) STRICT;
CREATE INDEX connect_links_by_end ON connect_links (tenant, expires_at);

CREATE TABLE connect_flows (
    tenant TEXT NOT NULL,
    state_digest BLOB NOT NULL,
    browser_digest BLOB NOT NULL,
    sealed_secret BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, state_digest)
) STRICT;
CREATE INDEX connect_flows_by_end ON connect_flows (tenant, expires_at);

CREATE TABLE upstream_clients (
    tenant TEXT NOT NULL,
    key_digest BLOB NOT NULL,
    issuer TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    client_id TEXT NOT NULL,
    sealed_data_key BLOB NOT NULL,
    secrets BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (tenant, key_digest)
) STRICT;

-- Bytes 2 to 5 of what is sealed name the master key that sealed it: so that what an earlier one has sealed is found at once.
CREATE INDEX logins_by_key ON logins (tenant, substr(sealed_secret, 2, 4));
CREATE INDEX sessions_by_key ON sessions (tenant, substr(sealed_identity, 2, 4));
CREATE INDEX accounts_by_key ON accounts (tenant, substr(sealed_identity, 2, 4));
CREATE INDEX accounts_by_refresh_token_key ON accounts (tenant, substr(sealed_refresh_token, 2, 4));
CREATE INDEX accounts_by_id_token_key ON accounts (tenant, substr(sealed_id_token, 2, 4));
CREATE INDEX grants_by_key ON grants (tenant, substr(sealed_identity, 2, 4));
CREATE INDEX signing_keys_by_key ON signing_keys (tenant, substr(sealed_private, 2, 4));
CREATE INDEX connections_by_key ON connections (tenant, substr(sealed_data_key, 2, 4));
CREATE INDEX connect_flows_by_key ON connect_flows (tenant, substr(sealed_secret, 2, 4));
CREATE INDEX upstream_clients_by_key ON upstream_clients (tenant, substr(sealed_data_key, 2, 4));
