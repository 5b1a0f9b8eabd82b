-- Two indexes that cost a page to write for every certificate and that nothing asks any more: what a token gave
-- is in the authority's memory (one process per ledger), and `verify` says if a token gave two.
-- `tbs` is empty where `der` holds it.
DROP INDEX certificate_token;
DROP INDEX certificate_state;
