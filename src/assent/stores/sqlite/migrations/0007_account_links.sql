-- Which operators linked the Slack account that is declared for them, and the codes with which they may.
CREATE TABLE account_link (
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    facts TEXT NOT NULL,
    sealed BLOB,
    mac BLOB NOT NULL
);
