-- D-01: which facility has confirmed a case's mail by the button inside the tunnel, and who pressed it. Additive only.
CREATE TABLE flow_confirmation (
    case_id         TEXT   NOT NULL REFERENCES flow_case (case_id),
    step            TEXT   NOT NULL,
    facility        TEXT   NOT NULL REFERENCES facility (facility),
    person          TEXT   NOT NULL,
    at              BIGINT NOT NULL,
    PRIMARY KEY (case_id, step, facility)
);
