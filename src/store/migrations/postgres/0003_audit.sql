-- The audit log. Each process writes a chain of its own, so that several need not wait for each other. line is one row as JSON, with
-- the hash of the row before it in the chain; number and at repeat what stands in it.
CREATE TABLE audit_rows (
    tenant TEXT NOT NULL,
    chain TEXT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (tenant, chain, number)
);
CREATE INDEX audit_rows_by_time ON audit_rows (tenant, at);

-- How far each chain is. hash is that of its last row, in hexadecimal.
CREATE TABLE audit_chains (
    tenant TEXT NOT NULL,
    chain TEXT NOT NULL,
    number BIGINT NOT NULL,
    hash TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (tenant, chain)
);

-- The keys that sign checkpoints. None is ever deleted: what it signed must stay provable.
CREATE TABLE audit_keys (
    tenant TEXT NOT NULL,
    kid TEXT NOT NULL,
    sealed_private BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, kid)
);
CREATE INDEX audit_keys_by_key ON audit_keys (tenant, substr(sealed_private, 2, 4));
