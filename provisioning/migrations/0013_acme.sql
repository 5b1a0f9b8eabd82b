-- One-time identifiers of Apple's ACME payload, each with the one order that it may become (RFC 8555). A row is made when
-- number and password were right on the claim page; the last one of a sheet counts. Additive only.
CREATE TABLE acme_pass (
    pass            TEXT   NOT NULL PRIMARY KEY,              -- o-…: the order's name in its URLs
    number          TEXT   NOT NULL REFERENCES enrolment (number),
    slot            TEXT   NOT NULL REFERENCES slot (slot),
    secret_hash     TEXT   NOT NULL UNIQUE,                   -- SHA-256 of the ClientIdentifier, hex
    public_key      TEXT   NOT NULL,                          -- of the final tunnel, base64
    psk             TEXT   NOT NULL,                          -- of the final tunnel; empty once it is of no more use here
    admin_hash      TEXT,                                     -- the admin's own password (G-05); NULL once it is set
    label           TEXT   NOT NULL,                          -- the person's word for the device
    valid_until     BIGINT NOT NULL,
    state           TEXT   NOT NULL CHECK (state IN ('waiting', 'pending', 'ready', 'valid', 'void')),
    identifier      TEXT   NOT NULL DEFAULT '',               -- once it was ordered with, and is of use to that account alone
    account         TEXT,                                     -- thumbprint of the key that ordered (RFC 7638)
    challenge       TEXT   NOT NULL,                          -- token of device-attest-01
    attestation     TEXT   NOT NULL DEFAULT '',               -- what the device said of its key, base64url, as it came
    request_hash    TEXT,                                     -- SHA-256 of the request that got the certificate
    chain           TEXT,                                     -- PEM: certificate, then the device CA
    made_at         BIGINT NOT NULL
);
CREATE INDEX acme_pass_slot ON acme_pass (slot, state);
CREATE INDEX acme_pass_number ON acme_pass (number);
