-- Moments are milliseconds since 1970. Every row belongs to a tenant. What is called a digest is a SHA-256; columns called
-- sealed_… hold what only the master key opens.

CREATE TABLE master_key (
    tenant TEXT NOT NULL PRIMARY KEY,
    sealed_check BLOB NOT NULL
) STRICT;

CREATE TABLE clients (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    metadata TEXT NOT NULL,
    source TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX clients_by_source ON clients (tenant, source, created_at);

CREATE TABLE logins (
    tenant TEXT NOT NULL,
    state_digest BLOB NOT NULL,
    browser_digest BLOB NOT NULL,
    sealed_secret BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, state_digest)
) STRICT;
CREATE INDEX logins_by_end ON logins (tenant, expires_at);

CREATE TABLE sessions (
    tenant TEXT NOT NULL,
    id_digest BLOB NOT NULL,
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    sealed_identity BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, id_digest)
) STRICT;
CREATE INDEX sessions_by_subject ON sessions (tenant, subject);
CREATE INDEX sessions_by_end ON sessions (tenant, expires_at);

CREATE TABLE accounts (
    tenant TEXT NOT NULL,
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    sealed_identity BLOB NOT NULL,
    sealed_refresh_token BLOB,
    refreshed_at INTEGER NOT NULL,
    claimed_until INTEGER NOT NULL,
    PRIMARY KEY (tenant, provider, subject)
) STRICT;

CREATE TABLE consents (
    tenant TEXT NOT NULL,
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    resource TEXT NOT NULL,
    scope TEXT NOT NULL,
    client_digest BLOB NOT NULL,
    granted_at INTEGER NOT NULL,
    key_digest BLOB NOT NULL,
    PRIMARY KEY (tenant, key_digest)
) STRICT;
CREATE INDEX consents_by_subject ON consents (tenant, subject);

CREATE TABLE grants (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    client_id TEXT NOT NULL,
    resource TEXT NOT NULL,
    scope TEXT NOT NULL,
    sealed_identity BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    refreshed_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    revoked_because TEXT,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX grants_by_subject ON grants (tenant, subject);
CREATE INDEX grants_by_end ON grants (tenant, expires_at);
CREATE INDEX grants_by_revocation ON grants (tenant, revoked_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE codes (
    tenant TEXT NOT NULL,
    code_digest BLOB NOT NULL,
    grant_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER,
    PRIMARY KEY (tenant, code_digest),
    FOREIGN KEY (tenant, grant_id) REFERENCES grants (tenant, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX codes_by_grant ON codes (tenant, grant_id);
CREATE INDEX codes_by_end ON codes (tenant, expires_at);

CREATE TABLE refresh_tokens (
    tenant TEXT NOT NULL,
    token_digest BLOB NOT NULL,
    grant_id TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    rotated_at INTEGER,
    PRIMARY KEY (tenant, token_digest),
    FOREIGN KEY (tenant, grant_id) REFERENCES grants (tenant, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX refresh_tokens_by_grant ON refresh_tokens (tenant, grant_id);
CREATE INDEX refresh_tokens_by_end ON refresh_tokens (tenant, expires_at);

CREATE TABLE signing_keys (
    tenant TEXT NOT NULL,
    kid TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    sealed_private BLOB NOT NULL,
    public_jwk TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('next', 'active', 'retired')),
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, kid)
) STRICT;
-- Two nodes that both make a key end with the same one.
CREATE UNIQUE INDEX signing_keys_one_active ON signing_keys (tenant) WHERE state = 'active';
CREATE UNIQUE INDEX signing_keys_one_next ON signing_keys (tenant) WHERE state = 'next';

CREATE TABLE api_keys (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    key_digest BLOB NOT NULL,
    name TEXT NOT NULL,
    subject_claims TEXT NOT NULL,
    scopes TEXT NOT NULL,
    routes TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX api_keys_by_change ON api_keys (tenant, changed_at);

CREATE TABLE assertions (
    tenant TEXT NOT NULL,
    jti_digest BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, jti_digest)
) STRICT;
CREATE INDEX assertions_by_end ON assertions (tenant, expires_at);
