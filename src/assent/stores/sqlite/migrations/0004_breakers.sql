-- What breakers that notice need: what is reserved of budgets, what tools were defined as, how far people were told.
CREATE TABLE budget (
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    facts TEXT NOT NULL,
    sealed BLOB NOT NULL,
    mac BLOB NOT NULL
);

CREATE TABLE definition (
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    facts TEXT NOT NULL,
    sealed BLOB,
    mac BLOB NOT NULL
);

CREATE TABLE mark (
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    facts TEXT NOT NULL,
    sealed BLOB,
    mac BLOB NOT NULL
);
