-- The files of policy versions that brokers of this ledger load, by the version's digest.
CREATE TABLE policy_bundle (
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    facts TEXT NOT NULL,
    sealed BLOB,
    mac BLOB NOT NULL
);

-- What was published, by whom, and how it was reviewed; the newest may wait to be confirmed.
CREATE TABLE policy_publication (
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    facts TEXT NOT NULL,
    sealed BLOB,
    mac BLOB NOT NULL
);

-- The one row that names the version by which every broker decides. It is believed only together with the breakers.
CREATE TABLE active_policy (
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    facts TEXT NOT NULL,
    sealed BLOB,
    mac BLOB NOT NULL
);
