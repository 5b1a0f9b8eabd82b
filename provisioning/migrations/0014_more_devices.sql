-- 追加の証明書の申請 (G-07): what a facility asks for above its quota, and what the secretariat decided. One waits per
-- facility; the decided ones stay. Additive only.
CREATE TABLE device_request (
    request         TEXT   NOT NULL PRIMARY KEY,              -- m-…
    facility        TEXT   NOT NULL REFERENCES facility (facility),
    wanted          BIGINT NOT NULL CHECK (wanted BETWEEN 1 AND 20),
    reason          TEXT   NOT NULL,
    asked_by        TEXT   NOT NULL REFERENCES person (person),
    asked_at        BIGINT NOT NULL,
    state           TEXT   NOT NULL CHECK (state IN ('waiting', 'approved', 'declined')),
    decided_by      TEXT,
    decided_at      BIGINT
);
CREATE UNIQUE INDEX device_request_waiting ON device_request (facility) WHERE state = 'waiting';
