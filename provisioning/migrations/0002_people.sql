-- What claims, sign-ins, patients and receipts need beside the registry. Additive only.

-- One row per claim of a sheet: which key asked, which certificate it got, and what became of it.
-- A void claim keeps its row until the authority has acknowledged the certificate's revocation.
CREATE TABLE claim (
    claim           TEXT   NOT NULL PRIMARY KEY,              -- c-…, the authority's idempotency token
    number          TEXT   NOT NULL REFERENCES enrolment (number),
    nth             BIGINT NOT NULL,
    fingerprint     TEXT   NOT NULL,                          -- of public key and request: a repeated request is the same claim
    request         TEXT   NOT NULL,                          -- PKCS #10, base64: asking the authority again gives the same certificate
    certificate     TEXT,                                     -- serial, hex
    sets_password   BIGINT NOT NULL DEFAULT 0,                -- the admin's own password came with this claim (G-05)
    state           TEXT   NOT NULL,                          -- begun | seated | void
    void_reason     TEXT,                                     -- superseded | compromise
    revoked_at      BIGINT,                                   -- the authority acknowledged
    begun_at        BIGINT NOT NULL
);
CREATE INDEX claim_number ON claim (number);
CREATE INDEX claim_state ON claim (state, revoked_at);

-- Failed sign-ins of logins that nobody has, so that they pause like the others. Hashed, swept after a day.
CREATE TABLE stranger (
    login_hash      TEXT   NOT NULL PRIMARY KEY,
    failures        BIGINT NOT NULL,
    paused_until    BIGINT NOT NULL,
    at              BIGINT NOT NULL
);

-- J-10: a patient exists here as an id with the date of the consent; the name lives in the SNS under the patient's key.
CREATE TABLE patient (
    patient         TEXT   NOT NULL PRIMARY KEY,              -- t-…
    origin          TEXT   NOT NULL REFERENCES facility (facility),
    consent_on      TEXT   NOT NULL,                          -- ISO date
    state           TEXT   NOT NULL,                          -- opening | open
    registered_by   TEXT   NOT NULL,
    registered_at   BIGINT NOT NULL
);
