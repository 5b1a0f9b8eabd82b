-- What a case's step asks of the SNS about a patient's team, in the transaction of the step, and asked until it is
-- answered. No name stands here. Additive only.
CREATE TABLE team_order (
    number          BIGINT NOT NULL PRIMARY KEY,
    case_id         TEXT   NOT NULL REFERENCES flow_case (case_id),
    step            TEXT   NOT NULL,
    act             TEXT   NOT NULL CHECK (act IN ('link', 'unlink', 'stop', 'close', 'erase')),
    patient         TEXT,                                     -- NULL: every team of the facility
    facility        TEXT   REFERENCES facility (facility),
    told            TEXT   NOT NULL,                          -- who was linked before, for the letters that follow
    at              BIGINT NOT NULL,
    next_at         BIGINT NOT NULL,
    attempts        BIGINT NOT NULL DEFAULT 0,
    done_at         BIGINT,
    last_error      TEXT
);
CREATE INDEX team_order_case ON team_order (case_id);
CREATE INDEX team_order_due ON team_order (next_at) WHERE done_at IS NULL;
