-- What a human's no leaves behind. A row that is missing lets somebody be asked again; it never lets anything pass.
CREATE TABLE denial (
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    agent TEXT NOT NULL,
    tool TEXT NOT NULL,
    in_force_until INTEGER,
    facts TEXT NOT NULL,
    sealed BLOB NOT NULL,
    mac BLOB NOT NULL
);
CREATE INDEX denial_in_force ON denial (agent, tool, in_force_until) WHERE in_force_until IS NOT NULL;

-- What nobody knows the end of is looked for by people; there should be little of it.
CREATE INDEX action_unknown ON action (id) WHERE state = 'unknown';
