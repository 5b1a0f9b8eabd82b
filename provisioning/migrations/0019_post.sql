-- 発送: how a facility's connection reaches it (D-00), the print runs of the office's post, and what came back (返戻).
-- A letter of a facility on paper waits in the outbox with the state 'post', which no earlier version sends. Additive only.
ALTER TABLE facility ADD COLUMN delivery TEXT NOT NULL DEFAULT 'mail';     -- mail | two-envelopes | by-hand
ALTER TABLE office_case ADD COLUMN delivery TEXT NOT NULL DEFAULT 'mail';

CREATE TABLE post_run (
    run             TEXT   NOT NULL PRIMARY KEY,              -- h-2026-00001
    lane            TEXT   NOT NULL CHECK (lane IN ('connection', 'sheet', 'letter', 'invoice')),
    state           TEXT   NOT NULL CHECK (state IN ('open', 'sent', 'undone')),
    taken_at        BIGINT NOT NULL,
    taken_by        TEXT   NOT NULL,
    prints          BIGINT NOT NULL DEFAULT 0,
    printed_at      BIGINT,
    sent_on         TEXT,                                     -- ISO date
    noted_at        BIGINT,
    noted_by        TEXT
);
CREATE INDEX post_run_state ON post_run (state);

CREATE TABLE post_item (
    item            TEXT   NOT NULL PRIMARY KEY,              -- h-2026-00001-1
    run             TEXT   NOT NULL REFERENCES post_run (run),
    place           BIGINT NOT NULL,                          -- its place in the run
    lane            TEXT   NOT NULL,
    subject         TEXT   NOT NULL,                          -- a letter of the outbox, or a number of an invoice
    held            TEXT   UNIQUE,                            -- the subject while the run is open: never in two of them
    whole           BIGINT NOT NULL,                          -- 0: the paper is at hand, only the address is printed
    facility        TEXT   NOT NULL REFERENCES facility (facility),
    slot            TEXT,
    to_name         TEXT   NOT NULL,                          -- as it was printed
    to_address      TEXT   NOT NULL,
    state           TEXT   NOT NULL CHECK (state IN ('open', 'sent', 'undone', 'returned')),
    returned_on     TEXT,
    reason          TEXT,
    opened          BIGINT NOT NULL DEFAULT 0,                -- the envelope was open when it came back
    note            TEXT   NOT NULL DEFAULT '',
    remedy          TEXT   NOT NULL DEFAULT '',               -- again | reissued | called
    remedied_at     BIGINT,
    remedied_by     TEXT
);
CREATE INDEX post_item_run ON post_item (run);
CREATE INDEX post_item_subject ON post_item (subject);
CREATE INDEX post_item_facility ON post_item (facility);
CREATE INDEX post_item_slot ON post_item (slot);
