-- Registers that were kept before this appliance: what came over in which batch, so that one facility of it can be taken
-- back as long as nothing has begun, and the years that were paid elsewhere. Additive only.
CREATE TABLE takeover (
    batch           TEXT   NOT NULL,                          -- t-2026-00001
    facility        TEXT   NOT NULL,                          -- its row may be gone after it was taken back
    name            TEXT   NOT NULL,
    fingerprint     TEXT   NOT NULL,                          -- of everything that came over with it
    state           TEXT   NOT NULL CHECK (state IN ('taken', 'started', 'undone')),
    operator        TEXT   NOT NULL,
    at              BIGINT NOT NULL,
    PRIMARY KEY (batch, facility)
);
CREATE INDEX takeover_facility ON takeover (facility);

-- Who belongs to the facility by the batch. Whoever was registered by it goes with it; who was known before stays.
CREATE TABLE takeover_person (
    batch           TEXT   NOT NULL,
    facility        TEXT   NOT NULL,
    person          TEXT   NOT NULL,
    registered      BIGINT NOT NULL,
    PRIMARY KEY (batch, facility, person)
);
CREATE INDEX takeover_person_who ON takeover_person (person);
CREATE INDEX takeover_person_facility ON takeover_person (facility);

CREATE TABLE paid_elsewhere (
    facility        TEXT   NOT NULL REFERENCES facility (facility),
    fiscal_year     BIGINT NOT NULL,
    noted_at        BIGINT NOT NULL,
    PRIMARY KEY (facility, fiscal_year)
);
