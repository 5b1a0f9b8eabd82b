-- Sessions at the gateway, and the floors below which nothing that was cut comes back.
-- Portable SQL: TEXT and BIGINT only, times in Unix milliseconds, hashes and serials as hex text.
-- Later migrations only add; the previous version must be able to read what this one writes.

CREATE TABLE session (
    session         TEXT   NOT NULL PRIMARY KEY,              -- s-…
    token_hash      TEXT   UNIQUE,                            -- SHA-256 of the token; NULL once ended
    slot            TEXT   NOT NULL,
    generation      BIGINT NOT NULL,                          -- of the slot, at sign-in
    certificate     TEXT   NOT NULL,
    person          TEXT   NOT NULL,
    membership      TEXT   NOT NULL,
    must_change     BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    seen_at         BIGINT NOT NULL,
    ended_at        BIGINT,
    ended_why       TEXT
);
CREATE INDEX session_ended ON session (ended_at);

-- A cut slot is refused up to this generation, whatever an older grant says.
CREATE TABLE floor_slot (
    slot            TEXT   NOT NULL PRIMARY KEY,
    generation      BIGINT NOT NULL,
    at              BIGINT NOT NULL
);

-- A cut certificate never comes back.
CREATE TABLE floor_certificate (
    serial          TEXT   NOT NULL PRIMARY KEY,
    at              BIGINT NOT NULL
);
