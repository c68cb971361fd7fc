-- The passkeys of operators, also those that were taken away: no credential is ever added twice.
CREATE TABLE passkey (
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    operator TEXT NOT NULL,
    credential BLOB NOT NULL UNIQUE,
    facts TEXT NOT NULL,
    sealed BLOB,
    mac BLOB NOT NULL
);

CREATE INDEX passkey_by_operator ON passkey (operator);

-- What sessions were asked to have signed: one row for each thing in each session, replaced when it is asked again.
CREATE TABLE passkey_challenge (
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    facts TEXT NOT NULL,
    sealed BLOB,
    mac BLOB NOT NULL
);
