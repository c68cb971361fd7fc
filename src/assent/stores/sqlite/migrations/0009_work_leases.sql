-- Which of several brokers does what is done by one at a time. A file has one broker: nothing is written here.
CREATE TABLE work_lease (
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    facts TEXT NOT NULL,
    sealed BLOB,
    mac BLOB NOT NULL
);
