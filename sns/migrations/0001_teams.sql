-- Teams around patients. Every column named *_sealed is base64 of AES-256-GCM under that patient's key
-- (ruling 10): names of facilities and members too, because a family's facility carries the family's name.
-- Portable: TEXT and BIGINT only.

CREATE TABLE team (
    patient     TEXT   NOT NULL PRIMARY KEY,
    name_sealed TEXT   NOT NULL,
    kana_sealed TEXT   NOT NULL,
    -- 連携元 (A-07): the facility that took the consent.
    origin      TEXT   NOT NULL,
    -- open | erased
    state       TEXT   NOT NULL,
    opened_ms   BIGINT NOT NULL,
    erased_ms   BIGINT
);

-- 紐づけ with its history: a facility that was unlinked and linked again has two rows.
CREATE TABLE team_facility (
    patient     TEXT   NOT NULL REFERENCES team (patient),
    facility    TEXT   NOT NULL,
    name_sealed TEXT   NOT NULL,
    linked_ms   BIGINT NOT NULL,
    ended_ms    BIGINT,
    PRIMARY KEY (patient, facility, linked_ms)
);
CREATE UNIQUE INDEX team_facility_now ON team_facility (patient, facility) WHERE ended_ms IS NULL;

CREATE TABLE member (
    patient        TEXT   NOT NULL REFERENCES team (patient),
    membership     TEXT   NOT NULL,
    person         TEXT   NOT NULL,
    facility       TEXT   NOT NULL,
    role           TEXT   NOT NULL,
    -- Name, profession and facility as shown (P-33).
    display_sealed TEXT   NOT NULL,
    joined_ms      BIGINT NOT NULL,
    left_ms        BIGINT,
    PRIMARY KEY (patient, membership, joined_ms)
);
CREATE UNIQUE INDEX member_now ON member (patient, membership) WHERE left_ms IS NULL;
CREATE INDEX member_of ON member (membership);

CREATE TABLE post (
    post           TEXT   NOT NULL PRIMARY KEY,
    patient        TEXT   NOT NULL REFERENCES team (patient),
    -- The number of the team's event that announced it; never reused.
    number         BIGINT NOT NULL,
    person         TEXT   NOT NULL,
    membership     TEXT   NOT NULL,
    facility       TEXT   NOT NULL,
    -- professionals | family (P-19)
    lane           TEXT   NOT NULL,
    urgent         BIGINT NOT NULL,
    at_ms          BIGINT NOT NULL,
    author_sealed  TEXT   NOT NULL,
    text_sealed    TEXT   NOT NULL,
    UNIQUE (patient, number)
);

-- 了解: once per person and facility (P-29).
CREATE TABLE ack (
    post           TEXT   NOT NULL REFERENCES post (post),
    membership     TEXT   NOT NULL,
    patient        TEXT   NOT NULL REFERENCES team (patient),
    person         TEXT   NOT NULL,
    facility       TEXT   NOT NULL,
    display_sealed TEXT   NOT NULL,
    at_ms          BIGINT NOT NULL,
    PRIMARY KEY (post, membership)
);
CREATE INDEX ack_of_team ON ack (patient);

-- The feed of a team, numbered without gaps from 1; what happened, never what was written.
CREATE TABLE event (
    patient    TEXT   NOT NULL REFERENCES team (patient),
    number     BIGINT NOT NULL,
    -- post | ack
    kind       TEXT   NOT NULL,
    post       TEXT   NOT NULL,
    -- Who acknowledged; empty for a post.
    membership TEXT   NOT NULL,
    at_ms      BIGINT NOT NULL,
    PRIMARY KEY (patient, number)
);

-- The answer to a request that may come twice. `mark` is keyed by the patient's key:
-- a plain hash of a short note could be guessed.
CREATE TABLE idempotency (
    membership TEXT   NOT NULL,
    place      TEXT   NOT NULL,
    once       TEXT   NOT NULL,
    mark       TEXT   NOT NULL,
    post       TEXT   NOT NULL,
    at_ms      BIGINT NOT NULL,
    PRIMARY KEY (membership, place, once)
);
CREATE INDEX idempotency_age ON idempotency (at_ms);

-- Hash-chained (ruling 11); body carries ids and rules, no content.
CREATE TABLE audit (
    number BIGINT NOT NULL PRIMARY KEY,
    body   TEXT   NOT NULL,
    hash   TEXT   NOT NULL,
    -- Finds a request's entries; the truth is in the body.
    trace  TEXT   NOT NULL
);
CREATE INDEX audit_trace ON audit (trace);
