-- Connections of people to upstreams. A data key of its own seals the secrets of each row; columns called sealed_data_key hold
-- that key, and only the master key opens it. Secrets and data key are gone together once a connection has ended.

ALTER TABLE accounts ADD COLUMN sealed_id_token BYTEA;

-- subject is empty where all share one connection. claimed_until is 0 while nobody refreshes; fence counts who did; unfinished
-- is 1 if somebody began and never said how it ended. A row with gone_at only says to other nodes that it has gone.
CREATE TABLE connections (
    tenant TEXT NOT NULL,
    upstream TEXT NOT NULL,
    subject TEXT NOT NULL,
    target TEXT NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('connected', 'reconsent_required')),
    because TEXT NOT NULL,
    issuer TEXT,
    scope TEXT,
    sealed_data_key BYTEA,
    secrets BYTEA,
    expires_at BIGINT,
    fence BIGINT NOT NULL,
    claimed_until BIGINT NOT NULL,
    unfinished BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    gone_at BIGINT,
    PRIMARY KEY (tenant, upstream, subject)
);
CREATE INDEX connections_by_subject ON connections (tenant, subject);
CREATE INDEX connections_by_change ON connections (tenant, changed_at);
CREATE INDEX connections_by_end ON connections (tenant, gone_at) WHERE gone_at IS NOT NULL;

CREATE TABLE connection_events (
    tenant TEXT NOT NULL,
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    upstream TEXT NOT NULL,
    subject TEXT NOT NULL,
    at BIGINT NOT NULL,
    from_stage TEXT NOT NULL,
    to_stage TEXT NOT NULL,
    because TEXT NOT NULL,
    request_id TEXT
);
CREATE INDEX connection_events_by_connection ON connection_events (tenant, upstream, subject, at);
CREATE INDEX connection_events_by_time ON connection_events (tenant, at);

CREATE TABLE connect_links (
    tenant TEXT NOT NULL,
    link_digest BYTEA NOT NULL,
    upstream TEXT NOT NULL,
    subject TEXT NOT NULL,
    route TEXT NOT NULL,
    target TEXT NOT NULL,
    elicitation_id TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    PRIMARY KEY (tenant, link_digest)
);
CREATE INDEX connect_links_by_end ON connect_links (tenant, expires_at);

CREATE TABLE connect_flows (
    tenant TEXT NOT NULL,
    state_digest BYTEA NOT NULL,
    browser_digest BYTEA NOT NULL,
    sealed_secret BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, state_digest)
);
CREATE INDEX connect_flows_by_end ON connect_flows (tenant, expires_at);

CREATE TABLE upstream_clients (
    tenant TEXT NOT NULL,
    key_digest BYTEA NOT NULL,
    issuer TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    client_id TEXT NOT NULL,
    sealed_data_key BYTEA NOT NULL,
    secrets BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (tenant, key_digest)
);

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
