-- H-17 … H-19: who has pledged to which facility and when, who was trained in what and when. Additive only.

-- 様式4 is between a facility and its employee: one date for each. Before the first row, the person's own date counts.
CREATE TABLE pledge (
    person          TEXT   NOT NULL REFERENCES person (person),
    facility        TEXT   NOT NULL REFERENCES facility (facility),
    on_day          TEXT   NOT NULL,                          -- ISO date
    noted_by        TEXT   NOT NULL,
    noted_at        BIGINT NOT NULL,
    PRIMARY KEY (person, facility)
);

CREATE TABLE training (
    person          TEXT   NOT NULL REFERENCES person (person),
    kind            TEXT   NOT NULL CHECK (kind IN ('briefing', 'security', 'system')),
    held_on         TEXT   NOT NULL,                          -- ISO date
    facility        TEXT   NOT NULL REFERENCES facility (facility),
    noted_by        TEXT   NOT NULL,
    noted_at        BIGINT NOT NULL,
    PRIMARY KEY (person, kind, held_on)
);
