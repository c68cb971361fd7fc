-- What is told of an approval where, and whether what stands there is what holds now.
CREATE TABLE delivery (
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    approval TEXT NOT NULL,
    destination TEXT NOT NULL,
    state TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    shown TEXT NOT NULL,
    facts TEXT NOT NULL,
    sealed BLOB,
    mac BLOB NOT NULL,
    UNIQUE (approval, destination)
);
CREATE INDEX delivery_due ON delivery (due_at) WHERE state IN ('queued', 'sent', 'stale');
CREATE INDEX delivery_current ON delivery (approval) WHERE state = 'current';
