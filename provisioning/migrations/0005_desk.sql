-- What the secretariat's desk needs: furigana to find things by, bank accounts for 口座振替, and calls.
-- Additive only.

-- As written on 様式1 and when a person is registered; empty when nobody has said.
ALTER TABLE facility ADD COLUMN kana TEXT NOT NULL DEFAULT '';
ALTER TABLE person ADD COLUMN kana TEXT NOT NULL DEFAULT '';

-- F-11: the account from which a facility pays, as the bank's form wants it.
CREATE TABLE fee_account (
    facility        TEXT   NOT NULL PRIMARY KEY REFERENCES facility (facility),
    bank            TEXT   NOT NULL,                          -- 4 digits
    branch          TEXT   NOT NULL,                          -- 3 digits
    kind            BIGINT NOT NULL,                          -- 1 普通, 2 当座
    number          TEXT   NOT NULL,                          -- 7 digits
    holder          TEXT   NOT NULL,                          -- half-width kana, as the bank prints it
    changed_at      BIGINT NOT NULL,
    first_asked     TEXT                                      -- the day of the first request with these values
);

-- P-16: a call back that was made before anything was changed by telephone.
CREATE TABLE call_back (
    call            TEXT   NOT NULL PRIMARY KEY,              -- k-…
    facility        TEXT   NOT NULL REFERENCES facility (facility),
    caller          TEXT   NOT NULL,
    number          TEXT   NOT NULL,                          -- the registered one that was called
    recognised_by   TEXT   NOT NULL,
    operator        TEXT   NOT NULL,
    at              BIGINT NOT NULL
);
CREATE INDEX call_back_facility ON call_back (facility, at);
