-- 年次更新 (G-08, H-14, H-19): a round per fiscal year; what each facility's admin has ticked so far, person by person and
-- device by device; whom the secretariat has called. Nothing happens before the admin sends it. Additive only.
CREATE TABLE yearly_round (
    fiscal_year     BIGINT NOT NULL PRIMARY KEY,
    opens_on        TEXT   NOT NULL,                          -- ISO date
    due_on          TEXT   NOT NULL,
    opened_by       TEXT   NOT NULL,
    opened_at       BIGINT NOT NULL
);

CREATE TABLE yearly_answer (
    fiscal_year     BIGINT NOT NULL REFERENCES yearly_round (fiscal_year),
    facility        TEXT   NOT NULL REFERENCES facility (facility),
    trained_on      TEXT,                                     -- the day of this year's training
    ledger          BIGINT NOT NULL DEFAULT 0,                -- 台帳 was looked through
    saved_by        TEXT   NOT NULL,
    saved_at        BIGINT NOT NULL,
    done_at         BIGINT,
    PRIMARY KEY (fiscal_year, facility)
);

CREATE TABLE yearly_person (
    fiscal_year     BIGINT NOT NULL REFERENCES yearly_round (fiscal_year),
    membership      TEXT   NOT NULL,                          -- as it was called: who comes back gets another
    facility        TEXT   NOT NULL REFERENCES facility (facility),
    stay            TEXT   CHECK (stay IN ('stays', 'moved', 'left')),
    trained         BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (fiscal_year, membership)
);
CREATE INDEX yearly_person_facility ON yearly_person (fiscal_year, facility);

CREATE TABLE yearly_device (
    fiscal_year     BIGINT NOT NULL REFERENCES yearly_round (fiscal_year),
    device          TEXT   NOT NULL REFERENCES device (device),
    facility        TEXT   NOT NULL REFERENCES facility (facility),
    returned        BIGINT NOT NULL,                          -- 0: kept
    PRIMARY KEY (fiscal_year, device)
);
CREATE INDEX yearly_device_facility ON yearly_device (fiscal_year, facility);

-- A silent facility that the secretariat has called.
CREATE TABLE yearly_call (
    fiscal_year     BIGINT NOT NULL REFERENCES yearly_round (fiscal_year),
    facility        TEXT   NOT NULL REFERENCES facility (facility),
    at              BIGINT NOT NULL,
    operator        TEXT   NOT NULL,
    note            TEXT   NOT NULL,
    PRIMARY KEY (fiscal_year, facility, at)
);
