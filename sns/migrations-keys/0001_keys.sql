-- The key store of all patients (ruling 10). Local SQLite only, secure_delete; never PostgreSQL.
-- What is wrapped here opens only together with the epoch's key, which lies in another file and is never backed up.

CREATE TABLE patient_key (
    patient    TEXT   NOT NULL,
    -- What the key is for: 'content' now; search tokens get a key of their own.
    purpose    TEXT   NOT NULL,
    -- The epoch whose key wraps it.
    epoch      BIGINT NOT NULL,
    wrapped    TEXT   NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (patient, purpose)
);

-- The ledger of erasures: pseudonymous, kept, and replayed over a restored sns.db.
CREATE TABLE erased (
    patient TEXT   NOT NULL PRIMARY KEY,
    -- The epoch that began with this erasure.
    epoch   BIGINT NOT NULL,
    at_ms   BIGINT NOT NULL
);

-- One row: the epoch all living keys are wrapped by.
CREATE TABLE epoch_now (
    id    BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    epoch BIGINT NOT NULL
);
