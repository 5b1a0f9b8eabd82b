-- H-14, P-33: whoever has left a facility is taken out of its teams at the SNS, asked until it has answered; an account
-- that nobody uses any more loses its personal data. Written in the transaction of the end. Additive only.
CREATE TABLE leaving (
    membership      TEXT   NOT NULL PRIMARY KEY,              -- as it was called: who comes back gets another
    person          TEXT   NOT NULL REFERENCES person (person),
    facility        TEXT   NOT NULL REFERENCES facility (facility),
    why             TEXT   NOT NULL CHECK (why IN ('moved', 'left')),
    at              BIGINT NOT NULL,
    attempts        BIGINT NOT NULL DEFAULT 0,
    next_at         BIGINT NOT NULL,
    last_error      TEXT,
    removed_at      BIGINT,                                   -- the SNS has answered
    teams           BIGINT                                    -- how many teams that was
);
CREATE INDEX leaving_due ON leaving (removed_at, next_at);
CREATE INDEX leaving_person ON leaving (person);

-- When the address, the login and the password of an account went.
ALTER TABLE person ADD COLUMN erased_at BIGINT;
