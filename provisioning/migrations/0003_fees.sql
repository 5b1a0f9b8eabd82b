-- Fees (F): everything that costs is dated data, so that last year's invoice can be explained next year.
-- Months are 'YYYY-MM', days ISO dates, money whole yen. Additive only.

-- F-02 … F-04: yen a month without tax, from a month on, for a group of facility kinds and the networks it is in.
CREATE TABLE fee_price (
    from_month      TEXT   NOT NULL,
    fee_group       TEXT   NOT NULL,                          -- institution | service | free
    medical_net     BIGINT NOT NULL,
    sns             BIGINT NOT NULL,
    yen             BIGINT NOT NULL CHECK (yen >= 0),
    rule            TEXT   NOT NULL,                          -- the line of the requirements that explains it
    PRIMARY KEY (from_month, fee_group, medical_net, sns)
);
INSERT INTO fee_price (from_month, fee_group, medical_net, sns, yen, rule) VALUES
    ('2024-04', 'institution', 1, 1, 3000, 'F-03'),
    ('2024-04', 'institution', 1, 0, 3000, 'F-04'),
    ('2024-04', 'institution', 0, 1, 1000, 'F-02'),
    ('2024-04', 'service',     1, 1, 1000, 'F-03'),
    ('2024-04', 'service',     1, 0, 1000, 'F-04'),
    ('2024-04', 'service',     0, 1,  500, 'F-02'),
    ('2024-04', 'free',        0, 1,    0, 'F-02');

CREATE TABLE fee_tax (
    from_month      TEXT   NOT NULL PRIMARY KEY,
    percent         BIGINT NOT NULL CHECK (percent >= 0 AND percent <= 100)
);
INSERT INTO fee_tax (from_month, percent) VALUES ('2019-10', 10);

-- F-07: who has applied by a day pays nothing for the SNS in these months.
CREATE TABLE fee_campaign (
    campaign        TEXT   NOT NULL PRIMARY KEY,
    received_by     TEXT   NOT NULL,
    free_from       TEXT   NOT NULL,
    free_until      TEXT   NOT NULL
);
INSERT INTO fee_campaign (campaign, received_by, free_from, free_until)
    VALUES ('一次募集', '2024-03-31', '2024-04', '2024-09');

-- F-10's switches, and who issues the invoices. What is not here has the default of the program.
CREATE TABLE fee_setting (
    name            TEXT   NOT NULL PRIMARY KEY,
    value           TEXT   NOT NULL
);

-- F-10: membership of the medical network from a day on. Before the first row, what 様式1 said counts.
CREATE TABLE fee_membership (
    facility        TEXT   NOT NULL REFERENCES facility (facility),
    from_day        TEXT   NOT NULL,
    medical_net     BIGINT NOT NULL,
    PRIMARY KEY (facility, from_day)
);

-- When a facility left (C-4, C-7).
CREATE TABLE facility_end (
    facility        TEXT   NOT NULL PRIMARY KEY REFERENCES facility (facility),
    on_day          TEXT   NOT NULL
);

-- One invoice per facility and fiscal year (F-06); running the year twice adds only what is missing.
CREATE TABLE fee_invoice (
    invoice         TEXT   NOT NULL PRIMARY KEY,              -- 2026-00042
    fiscal_year     BIGINT NOT NULL,
    facility        TEXT   NOT NULL REFERENCES facility (facility),
    code            TEXT   NOT NULL,                          -- as they were when it was issued
    name            TEXT   NOT NULL,
    kind            TEXT   NOT NULL,
    net             BIGINT NOT NULL,
    tax             BIGINT NOT NULL,
    total           BIGINT NOT NULL CHECK (total = net + tax),
    bill            TEXT   NOT NULL,                          -- every line with its rule, JSON
    state           TEXT   NOT NULL CHECK (state IN ('open', 'paid', 'void')),
    issued_on       TEXT   NOT NULL,
    due_on          TEXT   NOT NULL,
    paid_on         TEXT,
    CONSTRAINT fee_invoice_once UNIQUE (fiscal_year, facility)
);
CREATE INDEX fee_invoice_state ON fee_invoice (fiscal_year, state);
