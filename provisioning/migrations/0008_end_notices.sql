-- Issue 5: which notice of a certificate's end was written. One per device, certificate and step; a certificate that
-- follows begins anew. Additive only.
CREATE TABLE end_notice (
    device          TEXT   NOT NULL REFERENCES device (device),
    certificate     TEXT   NOT NULL,
    days            BIGINT NOT NULL,                          -- 90 | 30 | 7 | 1
    at              BIGINT NOT NULL,
    letter          TEXT   NOT NULL,                          -- o-…
    PRIMARY KEY (device, certificate, days)
);
