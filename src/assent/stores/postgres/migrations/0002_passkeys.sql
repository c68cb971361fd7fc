-- The passkeys of operators, also those that were taken away: no credential is ever added twice.
CREATE TABLE passkey (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    operator text COLLATE "C" NOT NULL,
    credential bytea NOT NULL UNIQUE,
    facts text NOT NULL,
    sealed bytea,
    mac bytea NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX passkey_by_operator ON passkey (operator, id);

-- What sessions were asked to have signed: one row for each thing in each session, replaced when it is asked again.
CREATE TABLE passkey_challenge (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    facts text NOT NULL,
    sealed bytea,
    mac bytea NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY
);
