-- The ledger. Each table: the columns that are searched, `facts` (JSON, never payload), `sealed` (encrypted payload)
-- and `mac` over all of them. Times are microseconds since the epoch, UTC. Nothing is ever deleted.

-- One row: proof that the keys at hand are those that this ledger was made with, and a MAC over which breakers and
-- agent statuses exist in which revision, because for those a missing row would mean yes.
CREATE TABLE ledger (
    id TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    latches BLOB NOT NULL,
    sealed BLOB NOT NULL,
    mac BLOB NOT NULL
);

CREATE TABLE action (
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    agent TEXT NOT NULL,
    tool TEXT NOT NULL,
    environment TEXT NOT NULL,
    state TEXT NOT NULL,
    run_id TEXT,
    call_id TEXT,
    idempotency_key TEXT,
    content BLOB,
    answered_at INTEGER,
    due_at INTEGER,
    facts TEXT NOT NULL,
    sealed BLOB NOT NULL,
    mac BLOB NOT NULL
);
CREATE UNIQUE INDEX action_by_idempotency_key ON action (agent, idempotency_key) WHERE idempotency_key IS NOT NULL;
-- NULL is never equal to NULL in an index, but a call without a run is one call.
CREATE UNIQUE INDEX action_by_call ON action (agent, call_id, ifnull('r' || run_id, '')) WHERE call_id IS NOT NULL;
-- `content` stands only in what an ask without a call id may still mean.
CREATE INDEX action_by_content ON action (agent, run_id, content) WHERE content IS NOT NULL;
CREATE INDEX action_live ON action (state) WHERE state IN ('pending', 'ready', 'executing');
CREATE INDEX action_ready ON action (agent) WHERE state = 'ready';
CREATE INDEX action_due ON action (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX action_answered ON action (agent, answered_at, id) WHERE answered_at IS NOT NULL;

CREATE TABLE approval (
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    action TEXT NOT NULL UNIQUE,
    code TEXT NOT NULL,
    agent TEXT NOT NULL,
    run_id TEXT,
    state TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    routes TEXT NOT NULL,
    facts TEXT NOT NULL,
    sealed BLOB NOT NULL,
    mac BLOB NOT NULL
);
CREATE UNIQUE INDEX approval_open_code ON approval (code) WHERE state IN ('pending', 'partial');
CREATE INDEX approval_by_code ON approval (code, id);
CREATE INDEX approval_by_state ON approval (state, id);
CREATE INDEX approval_by_agent ON approval (agent, asked_at);
CREATE INDEX approval_open ON approval (agent, run_id) WHERE state IN ('pending', 'partial');
CREATE INDEX approval_open_routes ON approval (routes) WHERE state IN ('pending', 'partial');
CREATE INDEX approval_due ON approval (expires_at) WHERE state IN ('pending', 'partial');

CREATE TABLE grant (
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    action TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    facts TEXT NOT NULL,
    sealed BLOB,
    mac BLOB NOT NULL
);

CREATE TABLE breaker (
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    agent TEXT,
    tool TEXT,
    environment TEXT,
    state TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    facts TEXT NOT NULL,
    sealed BLOB NOT NULL,
    mac BLOB NOT NULL
);
CREATE UNIQUE INDEX breaker_over_scope ON breaker (
    ifnull('a' || agent, ''), ifnull('t' || tool, ''), ifnull('e' || environment, '')
);

CREATE TABLE agent_status (
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    state TEXT NOT NULL,
    facts TEXT NOT NULL,
    sealed BLOB NOT NULL,
    mac BLOB NOT NULL
);

CREATE TABLE credential (
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    kind TEXT NOT NULL,
    principal TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    facts TEXT NOT NULL,
    sealed BLOB,
    mac BLOB NOT NULL
);
CREATE INDEX credential_of ON credential (principal, issued_at);

-- What is searched in a record is computed from its leaf, so that the two can never disagree.
CREATE TABLE record (
    idx INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    time INTEGER NOT NULL,
    leaf TEXT NOT NULL,
    sealed BLOB,
    mac BLOB NOT NULL,
    agent TEXT GENERATED ALWAYS AS (json_extract(leaf, '$.agent')) VIRTUAL,
    operator TEXT GENERATED ALWAYS AS (json_extract(leaf, '$.operator')) VIRTUAL,
    tool TEXT GENERATED ALWAYS AS (json_extract(leaf, '$.tool')) VIRTUAL,
    kind TEXT GENERATED ALWAYS AS (json_extract(leaf, '$.kind')) VIRTUAL,
    decision TEXT GENERATED ALWAYS AS (json_extract(leaf, '$.decision')) VIRTUAL,
    action TEXT GENERATED ALWAYS AS (json_extract(leaf, '$.action')) VIRTUAL,
    approval TEXT GENERATED ALWAYS AS (json_extract(leaf, '$.approval')) VIRTUAL
);
CREATE INDEX record_by_action ON record (action) WHERE action IS NOT NULL;
CREATE INDEX record_by_kind ON record (kind);
CREATE TRIGGER record_is_never_changed BEFORE UPDATE OF idx, id, time, leaf ON record
BEGIN SELECT RAISE(ABORT, 'a record is never changed'); END;
CREATE TRIGGER record_is_never_deleted BEFORE DELETE ON record
BEGIN SELECT RAISE(ABORT, 'a record is never deleted'); END;

-- The Merkle tree: hashes of complete subtrees in C2SP tiles, the last tile of a level still growing.
CREATE TABLE tile (
    level INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    PRIMARY KEY (level, idx)
) WITHOUT ROWID;

CREATE TABLE checkpoint (
    size INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    note TEXT NOT NULL
);
CREATE TRIGGER checkpoint_is_never_changed BEFORE UPDATE ON checkpoint
BEGIN SELECT RAISE(ABORT, 'a checkpoint is never changed'); END;
CREATE TRIGGER checkpoint_is_never_deleted BEFORE DELETE ON checkpoint
BEGIN SELECT RAISE(ABORT, 'a checkpoint is never deleted'); END;
