-- Not for older brokers. They would decide by whatever policy they have.

-- The files of policy versions that brokers of this ledger load, by the version's digest.
CREATE TABLE policy_bundle (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    facts text NOT NULL,
    sealed bytea,
    mac bytea NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY
);

-- What was published, by whom, and how it was reviewed; the newest may wait to be confirmed.
CREATE TABLE policy_publication (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    facts text NOT NULL,
    sealed bytea,
    mac bytea NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY
);

-- The one row that names the version by which every broker decides. It is believed only together with the breakers.
CREATE TABLE active_policy (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    facts text NOT NULL,
    sealed bytea,
    mac bytea NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY
);
