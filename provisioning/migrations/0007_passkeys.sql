-- Passkeys: the second way to sign in. The public half of a key pair that an authenticator of the person holds, good at
-- one name of the gateway. Rows are deleted when the person gives them up or is handed a new first password. Additive only.
CREATE TABLE passkey (
    credential      TEXT   NOT NULL PRIMARY KEY,              -- the authenticator's name for it, base64url
    person          TEXT   NOT NULL REFERENCES person (person),
    rp              TEXT   NOT NULL,                          -- the name it was made for: sns.<zone> or office.<zone>
    public_key      TEXT   NOT NULL,                          -- COSE_Key, base64url
    counter         BIGINT NOT NULL,                          -- of signatures, as last seen; 0 where nobody counts
    portable        BIGINT NOT NULL,                          -- may be copied to the person's other devices
    label           TEXT   NOT NULL,                          -- the person's word for it
    made_at         BIGINT NOT NULL,
    used_at         BIGINT
);
CREATE INDEX passkey_person ON passkey (person);
