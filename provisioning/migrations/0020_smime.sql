-- The S/MIME signature of a letter, with the hash of what it signs: made once, so that every attempt sends the same octets.
-- Additive only.
ALTER TABLE outbox ADD COLUMN smime TEXT;
