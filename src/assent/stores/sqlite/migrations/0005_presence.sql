-- When agents that said they wait were last seen, and when to look again.
CREATE TABLE presence (
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    agent TEXT NOT NULL,
    due_at INTEGER,
    facts TEXT NOT NULL,
    sealed BLOB,
    mac BLOB NOT NULL
);

CREATE INDEX presence_due ON presence (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX presence_by_agent ON presence (agent) WHERE due_at IS NOT NULL;
