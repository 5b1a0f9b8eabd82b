-- Incidents (H-13) with their steps; no patient is named here. Additive only.
CREATE TABLE incident (
    incident        TEXT   NOT NULL PRIMARY KEY,              -- J-2026-00001
    facility        TEXT   REFERENCES facility (facility),    -- where; NULL: at the association itself
    kind            TEXT   NOT NULL CHECK (kind IN ('lost', 'leak', 'unauthorised', 'failure')),
    unlawful        BIGINT NOT NULL,                          -- an unlawful purpose is likely: 60 days
    reportable      BIGINT NOT NULL,                          -- the law asks for a report
    known_on        TEXT   NOT NULL,                          -- ISO date: the clocks begin
    people          BIGINT,                                   -- how many are concerned; NULL: not known yet
    summary         TEXT   NOT NULL,
    opened_by       TEXT   NOT NULL,
    opened_at       BIGINT NOT NULL
);
CREATE INDEX incident_facility ON incident (facility);

CREATE TABLE incident_step (
    incident        TEXT   NOT NULL REFERENCES incident (incident),
    number          BIGINT NOT NULL,
    at              BIGINT NOT NULL,
    operator        TEXT   NOT NULL,
    step            TEXT   NOT NULL,
    note            TEXT   NOT NULL,
    PRIMARY KEY (incident, number)
);
