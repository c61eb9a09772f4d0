-- Turns of calls that wait for an approval, for those who must hear of them: reader is 'audit' (the audit log gets a row) or 'webhook'
-- (somebody gets a message). Each is written in the unit of work in which it happens, and goes once its reader has it. state is what
-- the call came to, and by whom, if a person decided. due is when a message is to be sent, after so many tries.
CREATE TABLE approval_turns (
    tenant TEXT NOT NULL,
    reader TEXT NOT NULL,
    number BIGINT NOT NULL,
    state TEXT NOT NULL,
    id TEXT NOT NULL,
    at BIGINT NOT NULL,
    by_name TEXT,
    by_subject TEXT,
    reason TEXT,
    subject TEXT NOT NULL,
    route TEXT NOT NULL,
    upstream TEXT NOT NULL,
    tool TEXT NOT NULL,
    rule TEXT NOT NULL,
    request_id TEXT,
    expires_at BIGINT NOT NULL,
    due BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    PRIMARY KEY (tenant, reader, number, state)
);
CREATE INDEX approval_turns_by_due ON approval_turns (tenant, reader, due);

-- Who is to hear of a call's turns.
ALTER TABLE approvals ADD COLUMN to_audit BIGINT NOT NULL DEFAULT 0;
ALTER TABLE approvals ADD COLUMN to_webhook BIGINT NOT NULL DEFAULT 0;
CREATE INDEX approvals_open_by_end ON approvals (tenant, expires_at) WHERE open = 1;
