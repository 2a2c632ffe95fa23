-- What an attempt was held to: when it was due (its lateness is started_at - due_at), and from when on no request might be made. Both are
-- empty in attempts of older programs; the second one too where nobody knows of a request.
ALTER TABLE attempts ADD COLUMN due_at INTEGER;
ALTER TABLE attempts ADD COLUMN deadline INTEGER;
-- What it led to.
ALTER TABLE attempts ADD COLUMN outcome TEXT CHECK (outcome IN ('successful', 'accepted', 'retrying', 'failed', 'lost'));
-- How many more might follow it in its run, by what the task and its handler said then.
ALTER TABLE attempts ADD COLUMN attempts_left INTEGER;

-- How many runs of each minute no other row tells of: what a person has deleted, and what was replaced, moved or run again and had no
-- attempt. As what they count.
CREATE TABLE past_runs (
  trigger_at INTEGER NOT NULL, -- Unix seconds
  standing   TEXT    NOT NULL CHECK (standing IN ('removed', 'skipped', 'failed')),
  n          INTEGER NOT NULL,
  PRIMARY KEY (trigger_at, standing)
) WITHOUT ROWID;
