-- The authority's own database: local SQLite only (ruling 9), secure_delete, synchronous FULL.
-- Additive changes only: the previous version must be able to read it.

-- One line per act, chained by hash. Entry 0 is the ceremony.
CREATE TABLE ledger (
    number BIGINT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL,
    hash TEXT NOT NULL
);

CREATE TRIGGER ledger_is_never_changed BEFORE UPDATE ON ledger
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

CREATE TRIGGER ledger_is_never_shortened BEFORE DELETE ON ledger
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only');
END;

-- Every device certificate, from the moment it is about to be signed.
CREATE TABLE certificate (
    serial TEXT NOT NULL PRIMARY KEY,
    -- SHA-256 of the caller's token, which may be a secret.
    token_hash TEXT NOT NULL,
    slot TEXT NOT NULL,
    kind TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('planned', 'living', 'revoked', 'abandoned')),
    planned_at BIGINT NOT NULL,
    planned_entry BIGINT NOT NULL REFERENCES ledger (number),
    -- Base64: what is to be signed, and what was signed.
    tbs TEXT NOT NULL,
    der TEXT,
    signed_entry BIGINT REFERENCES ledger (number)
);

-- A token makes one certificate; one that was never signed does not count.
CREATE UNIQUE INDEX certificate_token ON certificate (token_hash) WHERE state <> 'abandoned';
CREATE INDEX certificate_slot ON certificate (slot, state);
CREATE INDEX certificate_key ON certificate (key_hash, state);
CREATE INDEX certificate_state ON certificate (state, not_after);

CREATE TABLE revocation (
    serial TEXT NOT NULL PRIMARY KEY REFERENCES certificate (serial),
    at BIGINT NOT NULL,
    reason TEXT NOT NULL,
    -- The CRL shard that the certificate names.
    shard BIGINT NOT NULL,
    entry BIGINT NOT NULL REFERENCES ledger (number)
);

CREATE INDEX revocation_shard ON revocation (shard);

-- The current list of each shard.
CREATE TABLE list (
    shard BIGINT NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL,
    next_update BIGINT NOT NULL,
    der TEXT NOT NULL,
    entry BIGINT NOT NULL REFERENCES ledger (number)
);
