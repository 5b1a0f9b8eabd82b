-- A form that came back as a spreadsheet: which case it belongs to, and what it says beyond the case's own columns.
-- Nothing that names a patient stands here (ruling 10). Additive only.
CREATE TABLE paper (
    fingerprint     TEXT   NOT NULL PRIMARY KEY,              -- of form, facility, patient's id and notes: the same form twice is one
    case_id         TEXT   NOT NULL REFERENCES flow_case (case_id),
    form            TEXT   NOT NULL,                          -- 様式3
    facility_code   TEXT   NOT NULL,
    noted           TEXT   NOT NULL,                          -- JSON, heading to text
    received_at     BIGINT NOT NULL
);
CREATE INDEX paper_case ON paper (case_id);
CREATE INDEX paper_code ON paper (facility_code);
