-- Calls that wait until a person approves them. open is 1 while a call like it is told what is in this row, and there is one such
-- row for each call (call_digest: who calls, on which route, which tool, with what). What an approval counts for besides stands
-- in upstream, policy_digest and definition_digest. sealed_call is what people are shown who decide.
CREATE TABLE approvals (
    tenant TEXT NOT NULL,
    number BIGINT NOT NULL,
    id TEXT NOT NULL,
    call_digest BYTEA NOT NULL,
    subject TEXT NOT NULL,
    route TEXT NOT NULL,
    upstream TEXT NOT NULL,
    tool TEXT NOT NULL,
    policy_digest BYTEA NOT NULL,
    definition_digest BYTEA NOT NULL,
    rule TEXT NOT NULL,
    approvers TEXT NOT NULL,
    own_calls BIGINT NOT NULL,
    sealed_call BYTEA NOT NULL,
    state TEXT NOT NULL,
    open BIGINT NOT NULL,
    decided_by TEXT,
    decided_at BIGINT,
    reason TEXT,
    request_id TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, number)
);
CREATE UNIQUE INDEX approvals_one_open ON approvals (tenant, call_digest) WHERE open = 1;
CREATE UNIQUE INDEX approvals_by_id ON approvals (tenant, id);
CREATE INDEX approvals_open ON approvals (tenant, number) WHERE open = 1;
CREATE INDEX approvals_open_by_subject ON approvals (tenant, subject) WHERE open = 1;
CREATE INDEX approvals_by_change ON approvals (tenant, changed_at);
CREATE INDEX approvals_by_end ON approvals (tenant, expires_at);
CREATE INDEX approvals_by_key ON approvals (tenant, substr(sealed_call, 2, 4));

-- The last number that was given; none is given twice.
CREATE TABLE approval_numbers (
    tenant TEXT NOT NULL PRIMARY KEY,
    last_number BIGINT NOT NULL
);
