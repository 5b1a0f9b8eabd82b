-- L-02: a facility's entry of the resource map, as its admin fills it in; the rest is the facility's own row. Additive only.
CREATE TABLE map_entry (
    facility        TEXT   NOT NULL PRIMARY KEY REFERENCES facility (facility),
    city            TEXT   NOT NULL,
    latitude        BIGINT,                                   -- millionths of a degree
    longitude       BIGINT,
    fixed           BIGINT NOT NULL DEFAULT 0,                -- 座標の上書き禁止
    fax             TEXT   NOT NULL DEFAULT '',
    url             TEXT   NOT NULL DEFAULT '',
    closed_days     TEXT   NOT NULL DEFAULT '',               -- 休業日
    hours           TEXT   NOT NULL DEFAULT '',
    also            TEXT   NOT NULL DEFAULT '',               -- 併設事業所
    other           TEXT   NOT NULL DEFAULT '',
    shown           BIGINT NOT NULL DEFAULT 0,                -- G-12b: only complete entries, and only when somebody says so
    changed_by      TEXT   NOT NULL,
    changed_at      BIGINT NOT NULL
);
