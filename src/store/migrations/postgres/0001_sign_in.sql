-- Moments are milliseconds since 1970. Every row belongs to a tenant. What is called a digest is a SHA-256; columns called
-- sealed_… hold what only the master key opens.

CREATE TABLE master_key (
    tenant TEXT NOT NULL PRIMARY KEY,
    sealed_check BYTEA NOT NULL
);

CREATE TABLE clients (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    metadata TEXT NOT NULL,
    source TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX clients_by_source ON clients (tenant, source, created_at);

CREATE TABLE logins (
    tenant TEXT NOT NULL,
    state_digest BYTEA NOT NULL,
    browser_digest BYTEA NOT NULL,
    sealed_secret BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, state_digest)
);
CREATE INDEX logins_by_end ON logins (tenant, expires_at);

CREATE TABLE sessions (
    tenant TEXT NOT NULL,
    id_digest BYTEA NOT NULL,
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    sealed_identity BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id_digest)
);
CREATE INDEX sessions_by_subject ON sessions (tenant, subject);
CREATE INDEX sessions_by_end ON sessions (tenant, expires_at);

CREATE TABLE accounts (
    tenant TEXT NOT NULL,
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    sealed_identity BYTEA NOT NULL,
    sealed_refresh_token BYTEA,
    refreshed_at BIGINT NOT NULL,
    claimed_until BIGINT NOT NULL,
    PRIMARY KEY (tenant, provider, subject)
);

CREATE TABLE consents (
    tenant TEXT NOT NULL,
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    resource TEXT NOT NULL,
    scope TEXT NOT NULL,
    client_digest BYTEA NOT NULL,
    granted_at BIGINT NOT NULL,
    key_digest BYTEA NOT NULL,
    PRIMARY KEY (tenant, key_digest)
);
CREATE INDEX consents_by_subject ON consents (tenant, subject);

CREATE TABLE grants (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    client_id TEXT NOT NULL,
    resource TEXT NOT NULL,
    scope TEXT NOT NULL,
    sealed_identity BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    refreshed_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    revoked_because TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX grants_by_subject ON grants (tenant, subject);
CREATE INDEX grants_by_end ON grants (tenant, expires_at);
CREATE INDEX grants_by_revocation ON grants (tenant, revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE codes (
    tenant TEXT NOT NULL,
    code_digest BYTEA NOT NULL,
    grant_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    PRIMARY KEY (tenant, code_digest),
    FOREIGN KEY (tenant, grant_id) REFERENCES grants (tenant, id) ON DELETE CASCADE
);
CREATE INDEX codes_by_grant ON codes (tenant, grant_id);
CREATE INDEX codes_by_end ON codes (tenant, expires_at);

CREATE TABLE refresh_tokens (
    tenant TEXT NOT NULL,
    token_digest BYTEA NOT NULL,
    grant_id TEXT NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    rotated_at BIGINT,
    PRIMARY KEY (tenant, token_digest),
    FOREIGN KEY (tenant, grant_id) REFERENCES grants (tenant, id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_by_grant ON refresh_tokens (tenant, grant_id);
CREATE INDEX refresh_tokens_by_end ON refresh_tokens (tenant, expires_at);

CREATE TABLE signing_keys (
    tenant TEXT NOT NULL,
    kid TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    sealed_private BYTEA NOT NULL,
    public_jwk TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('next', 'active', 'retired')),
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, kid)
);
-- Two nodes that both make a key end with the same one.
CREATE UNIQUE INDEX signing_keys_one_active ON signing_keys (tenant) WHERE state = 'active';
CREATE UNIQUE INDEX signing_keys_one_next ON signing_keys (tenant) WHERE state = 'next';

CREATE TABLE api_keys (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    key_digest BYTEA NOT NULL,
    name TEXT NOT NULL,
    subject_claims TEXT NOT NULL,
    scopes TEXT NOT NULL,
    routes TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX api_keys_by_change ON api_keys (tenant, changed_at);

CREATE TABLE assertions (
    tenant TEXT NOT NULL,
    jti_digest BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, jti_digest)
);
CREATE INDEX assertions_by_end ON assertions (tenant, expires_at);
