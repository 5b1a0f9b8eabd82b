-- Scans of papers that came by post, FAX or in person (E-12a, E-13). One row for each page: what it is, never what stands on it.
-- The page itself is sealed under a key of its own, which is wrapped by its patient's key, by the office's or by the tray's.
-- Additive only.
CREATE TABLE scan (
    scan            TEXT   NOT NULL PRIMARY KEY,
    batch           TEXT   NOT NULL,                          -- one upload
    sheet           BIGINT NOT NULL,                          -- its place in the pile, from 1
    came_by         TEXT   NOT NULL CHECK (came_by IN ('post', 'fax', 'hand')),
    state           TEXT   NOT NULL CHECK (state IN ('tray', 'filed', 'discarded', 'ended')),
    case_id         TEXT,
    form            TEXT   NOT NULL,                          -- 様式6; empty where nobody knows
    page            BIGINT NOT NULL,                          -- of its paper, from 1
    reason          TEXT   NOT NULL,                          -- why it waits or went: a code, or a word of the list
    about           TEXT   NOT NULL,                          -- the case or form that the reason speaks of
    media           TEXT   NOT NULL,
    bytes           BIGINT NOT NULL,
    hash            TEXT   NOT NULL,                          -- of the page as it is kept: the same one twice is one
    key_kind        TEXT   NOT NULL CHECK (key_kind IN ('patient', 'office', 'tray', 'none')),
    key_name        TEXT   NOT NULL,                          -- which patient, which key of the tray
    wrapped         TEXT   NOT NULL,
    taken_at        BIGINT NOT NULL,
    taken_by        TEXT   NOT NULL,
    moved_at        BIGINT,
    moved_by        TEXT
);
CREATE INDEX scan_case ON scan (case_id);
CREATE INDEX scan_state ON scan (state, taken_at);
CREATE INDEX scan_hash ON scan (hash);

-- Apart, so that no list reads it.
CREATE TABLE scan_content (
    scan            TEXT   NOT NULL PRIMARY KEY REFERENCES scan (scan),
    sealed          TEXT   NOT NULL
);
