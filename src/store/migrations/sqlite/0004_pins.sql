-- Definitions of upstreams' tools. revision counts what has changed of an upstream, so that other nodes read it again; began_at
-- is when its first list was pinned.
CREATE TABLE pinned_upstreams (
    tenant TEXT NOT NULL,
    upstream TEXT NOT NULL,
    revision INTEGER NOT NULL,
    began_at INTEGER,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, upstream)
) STRICT;
CREATE INDEX pinned_upstreams_by_change ON pinned_upstreams (tenant, changed_at);

-- definition is the one that is good, approved_by who said so; nobody, where it was there first. waiting is another one that was
-- seen since. The same tool has one row, so at most two definitions of it are kept.
CREATE TABLE tool_pins (
    tenant TEXT NOT NULL,
    upstream TEXT NOT NULL,
    tool TEXT NOT NULL,
    definition TEXT,
    digest BLOB,
    approved_by TEXT,
    pinned_at INTEGER,
    waiting TEXT,
    waiting_digest BLOB,
    standing TEXT CHECK (standing IN ('blocked', 'logged', 'held')),
    flags TEXT,
    seen_at INTEGER,
    PRIMARY KEY (tenant, upstream, tool)
) STRICT;
