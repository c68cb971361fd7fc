-- The ledger. Each table: the columns that are searched, `facts` (JSON, never payload), `sealed` (encrypted payload)
-- and `mac` over all of them, as in every store. Times are microseconds since the epoch, UTC. Text is ordered by its
-- bytes. `seq` is the order in which rows were made; nothing is believed because of it.

CREATE TABLE ledger (
    id text COLLATE "C" PRIMARY KEY,
    created_at bigint NOT NULL,
    latches bytea NOT NULL,
    sealed bytea NOT NULL,
    mac bytea NOT NULL
);

CREATE TABLE action (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    agent text COLLATE "C" NOT NULL,
    tool text COLLATE "C" NOT NULL,
    environment text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    run_id text COLLATE "C",
    call_id text COLLATE "C",
    idempotency_key text COLLATE "C",
    content bytea,
    answered_at bigint,
    due_at bigint,
    facts text NOT NULL,
    sealed bytea NOT NULL,
    mac bytea NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY
);
CREATE UNIQUE INDEX action_by_idempotency_key ON action (agent, idempotency_key) WHERE idempotency_key IS NOT NULL;
-- NULL is never equal to NULL in an index, but a call without a run is one call.
CREATE UNIQUE INDEX action_by_call ON action (agent, call_id, (coalesce('r' || run_id, '')))
    WHERE call_id IS NOT NULL;
-- `content` stands only in what an ask without a call id may still mean.
CREATE INDEX action_by_content ON action (agent, run_id, content, seq) WHERE content IS NOT NULL;
CREATE INDEX action_by_seq ON action (seq);
CREATE INDEX action_live ON action (state, seq, agent, environment, tool)
    WHERE state IN ('pending', 'ready', 'executing');
CREATE INDEX action_ready ON action (agent) WHERE state = 'ready';
CREATE INDEX action_due ON action (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX action_answered ON action (agent, answered_at, id) WHERE answered_at IS NOT NULL;
CREATE INDEX action_unknown ON action (id) WHERE state = 'unknown';

CREATE TABLE approval (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    action text COLLATE "C" NOT NULL UNIQUE,
    code text COLLATE "C" NOT NULL,
    agent text COLLATE "C" NOT NULL,
    run_id text COLLATE "C",
    state text COLLATE "C" NOT NULL,
    asked_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    routes text COLLATE "C" NOT NULL,
    facts text NOT NULL,
    sealed bytea NOT NULL,
    mac bytea NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY
);
CREATE UNIQUE INDEX approval_open_code ON approval (code) WHERE state IN ('pending', 'partial');
CREATE INDEX approval_by_code ON approval (code, id);
CREATE INDEX approval_by_state ON approval (state, id);
CREATE INDEX approval_by_agent ON approval (agent, asked_at);
CREATE INDEX approval_by_seq ON approval (seq);
CREATE INDEX approval_open ON approval (agent, run_id) WHERE state IN ('pending', 'partial');
CREATE INDEX approval_open_routes ON approval (routes) WHERE state IN ('pending', 'partial');
CREATE INDEX approval_due ON approval (expires_at) WHERE state IN ('pending', 'partial');

CREATE TABLE "grant" (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    action text COLLATE "C" NOT NULL UNIQUE,
    state text COLLATE "C" NOT NULL,
    facts text NOT NULL,
    sealed bytea,
    mac bytea NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX grant_by_seq ON "grant" (seq);

CREATE TABLE breaker (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    agent text COLLATE "C",
    tool text COLLATE "C",
    environment text COLLATE "C",
    state text COLLATE "C" NOT NULL,
    changed_at bigint NOT NULL,
    facts text NOT NULL,
    sealed bytea NOT NULL,
    mac bytea NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY
);
CREATE UNIQUE INDEX breaker_over_scope ON breaker (
    (coalesce('a' || agent, '')), (coalesce('t' || tool, '')), (coalesce('e' || environment, ''))
);

CREATE TABLE agent_status (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    state text COLLATE "C" NOT NULL,
    facts text NOT NULL,
    sealed bytea NOT NULL,
    mac bytea NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY
);

CREATE TABLE credential (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    kind text COLLATE "C" NOT NULL,
    principal text COLLATE "C" NOT NULL,
    issued_at bigint NOT NULL,
    facts text NOT NULL,
    sealed bytea,
    mac bytea NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX credential_of ON credential (principal, issued_at);
CREATE INDEX credential_by_seq ON credential (seq);

-- What a human's no leaves behind. A row that is missing lets somebody be asked again; it never lets anything pass.
CREATE TABLE denial (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    agent text COLLATE "C" NOT NULL,
    tool text COLLATE "C" NOT NULL,
    in_force_until bigint,
    facts text NOT NULL,
    sealed bytea NOT NULL,
    mac bytea NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX denial_in_force ON denial (agent, tool, in_force_until) WHERE in_force_until IS NOT NULL;
CREATE INDEX denial_by_seq ON denial (seq);

CREATE TABLE delivery (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    approval text COLLATE "C" NOT NULL,
    destination text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    due_at bigint NOT NULL,
    shown text COLLATE "C" NOT NULL,
    facts text NOT NULL,
    sealed bytea,
    mac bytea NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    UNIQUE (approval, destination)
);
CREATE INDEX delivery_due ON delivery (due_at) WHERE state IN ('queued', 'sent', 'stale');
CREATE INDEX delivery_current ON delivery (approval) WHERE state = 'current';
CREATE INDEX delivery_by_seq ON delivery (seq);

CREATE TABLE budget (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    facts text NOT NULL,
    sealed bytea NOT NULL,
    mac bytea NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY
);

CREATE TABLE definition (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    facts text NOT NULL,
    sealed bytea,
    mac bytea NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY
);

CREATE TABLE mark (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    facts text NOT NULL,
    sealed bytea,
    mac bytea NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY
);

CREATE TABLE presence (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    agent text COLLATE "C" NOT NULL,
    due_at bigint,
    facts text NOT NULL,
    sealed bytea,
    mac bytea NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX presence_due ON presence (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX presence_by_agent ON presence (agent, seq) WHERE due_at IS NOT NULL;
CREATE INDEX presence_by_seq ON presence (seq);

CREATE TABLE account_link (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    facts text NOT NULL,
    sealed bytea,
    mac bytea NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY
);

-- What is searched in a record is computed from its leaf, so that the two can never disagree.
CREATE TABLE record (
    idx bigint PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    time bigint NOT NULL,
    leaf text NOT NULL,
    sealed bytea,
    mac bytea NOT NULL,
    agent text COLLATE "C" GENERATED ALWAYS AS (leaf::jsonb ->> 'agent') STORED,
    operator text COLLATE "C" GENERATED ALWAYS AS (leaf::jsonb ->> 'operator') STORED,
    tool text COLLATE "C" GENERATED ALWAYS AS (leaf::jsonb ->> 'tool') STORED,
    kind text COLLATE "C" GENERATED ALWAYS AS (leaf::jsonb ->> 'kind') STORED,
    decision text COLLATE "C" GENERATED ALWAYS AS (leaf::jsonb ->> 'decision') STORED,
    action text COLLATE "C" GENERATED ALWAYS AS (leaf::jsonb ->> 'action') STORED,
    approval text COLLATE "C" GENERATED ALWAYS AS (leaf::jsonb ->> 'approval') STORED
);
CREATE INDEX record_by_action ON record (action, idx) WHERE action IS NOT NULL;
CREATE INDEX record_by_kind ON record (kind, idx);

-- The Merkle tree: hashes of complete subtrees in C2SP tiles, the last tile of a level still growing.
CREATE TABLE tile (
    level bigint NOT NULL,
    idx bigint NOT NULL,
    hashes bytea NOT NULL,
    PRIMARY KEY (level, idx)
);

CREATE TABLE checkpoint (
    size bigint PRIMARY KEY,
    time bigint NOT NULL,
    note text NOT NULL
);

-- For the owner of the tables too: by accident at least, nothing on record is changed or taken away.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a % is never changed or deleted', TG_TABLE_NAME;
END $$;
CREATE TRIGGER record_is_never_changed BEFORE UPDATE OF idx, id, time, leaf ON record
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER record_is_never_deleted BEFORE DELETE ON record FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER record_is_never_emptied BEFORE TRUNCATE ON record FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER checkpoint_is_never_changed BEFORE UPDATE ON checkpoint
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER checkpoint_is_never_deleted BEFORE DELETE ON checkpoint
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER checkpoint_is_never_emptied BEFORE TRUNCATE ON checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Where the log ends, for whoever writes behind it: held from here until the transaction is over. Each statement in a
-- volatile function sees what was committed before it began, so the end is read after the wait for it.
CREATE FUNCTION end_of_log(lock_key bigint) RETURNS TABLE (top bigint, at bigint, xid text)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(lock_key);
    RETURN QUERY SELECT coalesce(max(record.idx), -1), coalesce(max(record.time), 0), pg_current_xact_id()::text
        FROM record WHERE record.idx = (SELECT max(last.idx) FROM record AS last);
END $$;

-- All that a broker may ever change of a record: what it commits to is forgotten. It runs with its owner's rights, so
-- that the broker's role needs none to update.
CREATE FUNCTION erase_record(record_id text, new_mac bytea) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = assent, pg_temp AS $$
    UPDATE record SET sealed = NULL, mac = new_mac WHERE id = record_id;
    SELECT 1::bigint;
$$;
