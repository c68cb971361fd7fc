-- Which of several brokers does what is done by one at a time. A missing row is work that nobody does yet.
CREATE TABLE work_lease (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    facts text NOT NULL,
    sealed bytea,
    mac bytea NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY
);
