-- The registry of the association: facilities, cases, slots, devices, people, and what follows from them.
-- Portable SQL: TEXT and BIGINT only (binary values as base64 text), times in Unix milliseconds.
-- Later migrations only add; the previous version must be able to read what this one writes.

CREATE TABLE facility (
    facility        TEXT   NOT NULL PRIMARY KEY,              -- f-…
    code            TEXT   NOT NULL,                          -- 事業所番号, 10 characters (G-01)
    kind            TEXT   NOT NULL,                          -- A-05
    name            TEXT   NOT NULL,
    postal_address  TEXT   NOT NULL DEFAULT '',
    telephone       TEXT   NOT NULL DEFAULT '',
    representative  TEXT   NOT NULL DEFAULT '',               -- 代表者
    admin_name      TEXT   NOT NULL DEFAULT '',               -- 施設内管理者
    medical_net     BIGINT NOT NULL DEFAULT 0,                -- ふくいメディカルネット (F-08)
    device_quota    BIGINT NOT NULL DEFAULT 20,
    vpn_requested   BIGINT NOT NULL DEFAULT 0,                -- VPN申請数 (P-01), blank = 0
    state           TEXT   NOT NULL,                          -- active | suspended | ended
    created_at      BIGINT NOT NULL,
    CONSTRAINT facility_code_kind UNIQUE (code, kind),
    CONSTRAINT facility_code_length CHECK (length(code) = 10),
    CONSTRAINT facility_quota CHECK (device_quota >= 0 AND vpn_requested >= 0 AND vpn_requested <= 50)
);

-- Which facilities share their slots (併設): both directions are rows.
CREATE TABLE facility_group (
    facility        TEXT   NOT NULL REFERENCES facility (facility),
    also            TEXT   NOT NULL REFERENCES facility (facility),
    PRIMARY KEY (facility, also)
);

-- G-03: an address is an admin address or a user address, never both, anywhere.
-- One row per address after NFKC and case folding; the primary key is the constraint.
CREATE TABLE address (
    folded          TEXT   NOT NULL PRIMARY KEY,
    written         TEXT   NOT NULL,
    use_as          TEXT   NOT NULL CHECK (use_as IN ('admin', 'user', 'office')),
    person          TEXT   NOT NULL
);

CREATE TABLE person (
    person          TEXT   NOT NULL PRIMARY KEY,              -- p-…
    login           TEXT   NOT NULL UNIQUE,                   -- folded
    name            TEXT   NOT NULL,
    profession      TEXT   NOT NULL DEFAULT '',
    password_hash   TEXT,                                     -- Argon2id PHC string; NULL until set
    must_change     BIGINT NOT NULL DEFAULT 1,
    failures        BIGINT NOT NULL DEFAULT 0,
    paused_until    BIGINT NOT NULL DEFAULT 0,
    pledged_on      TEXT,                                     -- 様式4 (H-17), ISO date
    state           TEXT   NOT NULL,                          -- active | suspended | deleted
    created_at      BIGINT NOT NULL
);

CREATE TABLE membership (
    membership      TEXT   NOT NULL PRIMARY KEY,              -- m-…
    person          TEXT   NOT NULL REFERENCES person (person),
    facility        TEXT   NOT NULL REFERENCES facility (facility),
    role            TEXT   NOT NULL,
    state           TEXT   NOT NULL,                          -- active | suspended | ended
    grants_version  BIGINT NOT NULL,
    CONSTRAINT membership_once UNIQUE (person, facility, role)
);
CREATE INDEX membership_grants ON membership (grants_version);

-- An application (様式1 and its successors) and its flow C-1 … C-12.
CREATE TABLE office_case (
    case_id         TEXT   NOT NULL PRIMARY KEY,              -- 2026-00042
    flow            TEXT   NOT NULL,                          -- C-12 for a facility's start
    state           TEXT   NOT NULL,                          -- received | accepted | done | returned
    facility_code   TEXT   NOT NULL,
    facility_kind   TEXT   NOT NULL,
    facility_name   TEXT   NOT NULL,
    fingerprint     TEXT   NOT NULL UNIQUE,                   -- of the normalised row: importing twice changes nothing
    application     TEXT   NOT NULL,                          -- the row as JSON
    facility        TEXT   REFERENCES facility (facility),
    received_at     BIGINT NOT NULL
);

CREATE TABLE case_step (
    case_id         TEXT   NOT NULL REFERENCES office_case (case_id),
    step            TEXT   NOT NULL,                          -- requirement id, C-12.1
    at              BIGINT NOT NULL,
    operator        TEXT   NOT NULL,
    PRIMARY KEY (case_id, step)
);

-- One row per number that was ever allotted. The row is the place; `device` is who sits there now.
CREATE TABLE slot (
    slot            TEXT   NOT NULL PRIMARY KEY,              -- 18-0042
    series          TEXT   NOT NULL,
    number          BIGINT NOT NULL,
    state           TEXT   NOT NULL,                          -- allotted | issued | active | suspended | leaving | revoked | cooling | free
    facility        TEXT   REFERENCES facility (facility),
    meetings        BIGINT NOT NULL DEFAULT 0,                -- VPN申請数 covers this slot
    generation      BIGINT NOT NULL,
    cooling_until   BIGINT NOT NULL DEFAULT 0,
    grants_version  BIGINT NOT NULL,
    CONSTRAINT slot_number UNIQUE (series, number),
    CONSTRAINT slot_range CHECK (number >= 0 AND number <= 9999)
);
CREATE INDEX slot_facility ON slot (facility);
CREATE INDEX slot_grants ON slot (grants_version);

CREATE TABLE slot_history (
    entry           TEXT   NOT NULL PRIMARY KEY,              -- <slot>/<generation>/<state>
    slot            TEXT   NOT NULL REFERENCES slot (slot),
    at              BIGINT NOT NULL,
    state           TEXT   NOT NULL,
    facility        TEXT,
    note            TEXT   NOT NULL DEFAULT ''
);
CREATE INDEX slot_history_slot ON slot_history (slot, at);

-- The seats that must exist (ruling 8): what vpn holds is reconciled to exactly these rows.
CREATE TABLE seat (
    slot            TEXT   NOT NULL REFERENCES slot (slot),
    place           TEXT   NOT NULL CHECK (place IN ('active', 'enrolling')),
    class           TEXT   NOT NULL,
    public_key      TEXT   NOT NULL UNIQUE,
    psk             TEXT   NOT NULL,
    generation      BIGINT NOT NULL,
    PRIMARY KEY (slot, place)
);

CREATE TABLE device (
    device          TEXT   NOT NULL PRIMARY KEY,              -- d-…
    slot            TEXT   NOT NULL REFERENCES slot (slot),
    facility        TEXT   NOT NULL REFERENCES facility (facility),
    label           TEXT   NOT NULL DEFAULT '',
    kind            TEXT   NOT NULL,                          -- facility | facility-admin | family
    state           TEXT   NOT NULL,                          -- enrolling | claimed | active | revoked
    certificate     TEXT,                                     -- serial, hex
    certificate_end BIGINT,
    created_at      BIGINT NOT NULL,
    ended_at        BIGINT
);
CREATE INDEX device_slot ON device (slot);

-- Ruling 5: 証明書取得用No and パスワード, what was tried and what is still possible.
CREATE TABLE enrolment (
    number          TEXT   NOT NULL PRIMARY KEY,              -- 証明書取得用No, digits
    slot            TEXT   NOT NULL REFERENCES slot (slot),
    device          TEXT   NOT NULL REFERENCES device (device),
    password_hash   TEXT   NOT NULL,
    admin_person    TEXT   REFERENCES person (person),        -- whose own password the claim sets (本登録)
    state           TEXT   NOT NULL,                          -- open | claimed | done | void | locked
    failures        BIGINT NOT NULL DEFAULT 0,
    paused_until    BIGINT NOT NULL DEFAULT 0,
    valid_until     BIGINT NOT NULL,                          -- 30 days from issue
    opened_at       BIGINT,                                   -- first correct entry: 24 h from here
    claims          BIGINT NOT NULL DEFAULT 0,                -- at most three
    claimed_at      BIGINT,                                   -- last claim: 10 minutes from here
    bootstrap_from  TEXT,                                     -- endpoint of the bootstrap handshake at the claim
    generation      BIGINT NOT NULL
);
CREATE INDEX enrolment_slot ON enrolment (slot);

-- Revocations with their receipts (ruling 7). Intent first; each point is acknowledged or pending.
CREATE TABLE revocation (
    receipt         TEXT   NOT NULL PRIMARY KEY,              -- r-…
    slot            TEXT   NOT NULL,
    device          TEXT   NOT NULL,
    generation      BIGINT NOT NULL,
    reason          TEXT   NOT NULL,
    by_whom         TEXT   NOT NULL,
    committed_at    BIGINT NOT NULL,
    completed_at    BIGINT,
    attestation     TEXT                                      -- JSON of the signature
);
CREATE UNIQUE INDEX revocation_once ON revocation (slot, device);

CREATE TABLE revocation_point (
    receipt         TEXT   NOT NULL REFERENCES revocation (receipt),
    point           TEXT   NOT NULL,                          -- vpn | firewall | pki | gateway | sns | mail
    acknowledged_at BIGINT,
    attempts        BIGINT NOT NULL DEFAULT 0,
    last_error      TEXT,
    detail          TEXT,
    PRIMARY KEY (receipt, point)
);

-- Mails and bundles leave through here, written in the transaction of the change (ruling 11).
CREATE TABLE outbox (
    message         TEXT   NOT NULL PRIMARY KEY,              -- o-…
    kind            TEXT   NOT NULL,                          -- bundle | sheet | mail M-xx
    recipient       TEXT   NOT NULL,
    slot            TEXT,
    facility        TEXT,
    payload         TEXT   NOT NULL,                          -- JSON; emptied after delivery
    state           TEXT   NOT NULL,                          -- waiting | sent | failed | cancelled
    attempts        BIGINT NOT NULL DEFAULT 0,
    next_at         BIGINT NOT NULL,
    last_answer     TEXT,
    created_at      BIGINT NOT NULL,
    sent_at         BIGINT
);
CREATE INDEX outbox_due ON outbox (state, next_at);

CREATE TABLE audit (
    number          BIGINT NOT NULL PRIMARY KEY,
    at              BIGINT NOT NULL,
    actor           TEXT   NOT NULL,
    action          TEXT   NOT NULL,
    object          TEXT   NOT NULL,
    trace           TEXT,
    body            TEXT   NOT NULL,                          -- the hashed line
    hash            TEXT   NOT NULL UNIQUE
);

-- Unsafe requests repeat safely: same key, same answer (for a day).
CREATE TABLE idempotency (
    scope           TEXT   NOT NULL,
    key             TEXT   NOT NULL,
    fingerprint     TEXT   NOT NULL,
    answer          TEXT   NOT NULL,
    at              BIGINT NOT NULL,
    PRIMARY KEY (scope, key)
);

-- Counters: grants_version, next_case …
CREATE TABLE counter (
    name            TEXT   NOT NULL PRIMARY KEY,
    value           BIGINT NOT NULL
);
