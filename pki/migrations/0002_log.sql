-- The transparency log over the ledger's lines: the root of each whole tile of 256, so that a proof
-- needs no walk through the whole ledger. Computed from the lines, and compared with them by `verify`.
CREATE TABLE tile (
    number BIGINT NOT NULL PRIMARY KEY,
    root TEXT NOT NULL
);
