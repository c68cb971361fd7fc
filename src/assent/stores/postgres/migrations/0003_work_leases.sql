-- Which of several brokers does what is done by one at a time. A missing row is work that nobody does yet.
CREATE TABLE work_lease (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    facts text NOT NULL,
    sealed bytea,
    mac bytea NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY
);

-- The first version of a broker that can use these tables: while a newer one is rolled out, older ones go on.
ALTER TABLE shape ADD COLUMN usable_from bigint NOT NULL DEFAULT 1;
