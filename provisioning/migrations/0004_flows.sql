-- Cases of the flows C-1 … C-11, P-16 and P-22: the state machine's whole state, and every event that led to it.
-- No patient's name stands here (ruling 10). Additive only.
CREATE TABLE flow_case (
    case_id         TEXT   NOT NULL PRIMARY KEY,              -- 2026-00042, of one series with office_case
    flow            TEXT   NOT NULL,
    phase           TEXT   NOT NULL,                          -- received | incomplete | accepted | done | withdrawn
    facility        TEXT   REFERENCES facility (facility),
    patient         TEXT   REFERENCES patient (patient),
    membership      TEXT   REFERENCES membership (membership), -- who leaves (C-9)
    changes         TEXT   NOT NULL DEFAULT '{}',             -- what 様式3 changes, JSON
    state           TEXT   NOT NULL,                          -- JSON
    received_at     BIGINT NOT NULL
);
CREATE INDEX flow_case_phase ON flow_case (phase);

CREATE TABLE flow_event (
    case_id         TEXT   NOT NULL REFERENCES flow_case (case_id),
    number          BIGINT NOT NULL,
    at              BIGINT NOT NULL,
    operator        TEXT   NOT NULL,
    event           TEXT   NOT NULL,                          -- JSON
    PRIMARY KEY (case_id, number)
);

-- D-01: which letters a case has sent.
CREATE TABLE flow_letter (
    case_id         TEXT   NOT NULL REFERENCES flow_case (case_id),
    step            TEXT   NOT NULL,
    message         TEXT   NOT NULL REFERENCES outbox (message),
    PRIMARY KEY (case_id, message)
);
