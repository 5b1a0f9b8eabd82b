-- What is about to be signed: one row per group, deleted in the transaction that records the results in
-- `certificate`. Whatever stands here at a start was never signed, and is abandoned.
CREATE TABLE planned (
    -- The ledger's line of the first of the group.
    entry BIGINT NOT NULL PRIMARY KEY REFERENCES ledger (number),
    -- One certificate per line: entry, serial, token's hash, slot, kind, key's hash, beginning, end, time,
    -- and in base64 what is to be signed.
    lines TEXT NOT NULL
);
