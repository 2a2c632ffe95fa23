-- What an attempt was held to: when it was due (its lateness is started_at - due_at), and from when on no request might be made. Both are
-- empty in attempts of older programs; the second one too where nobody knows of a request.
ALTER TABLE attempts ADD COLUMN due_at INTEGER;
ALTER TABLE attempts ADD COLUMN deadline INTEGER;
-- What it led to.
ALTER TABLE attempts ADD COLUMN outcome TEXT CHECK (outcome IN ('successful', 'accepted', 'retrying', 'failed', 'lost'));

-- How many runs of each minute a person has removed, or replaced before their first attempt: no other row tells of them.
CREATE TABLE removed_runs (
  trigger_at INTEGER PRIMARY KEY, -- Unix seconds
  n          INTEGER NOT NULL
);
