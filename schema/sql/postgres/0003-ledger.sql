-- Programs that know version 2 can work with this.

-- What an attempt was held to: when it was due (its lateness is started_at - due_at), and from when on no request might be made. Both are
-- empty in attempts of older programs; the second one too where nobody knows of a request.
ALTER TABLE callme.attempts ADD COLUMN due_at BIGINT;
ALTER TABLE callme.attempts ADD COLUMN deadline BIGINT;
-- What it led to.
ALTER TABLE callme.attempts ADD COLUMN outcome TEXT CHECK (outcome IN ('successful', 'accepted', 'retrying', 'failed', 'lost'));
-- How many more might follow it in its run, by what the task and its handler said then.
ALTER TABLE callme.attempts ADD COLUMN attempts_left INTEGER;

-- How many runs of a minute no other row tells of: what a person has deleted, and what was replaced, moved or run again and had no
-- attempt. As what they count. Each write inserts rows of its own, so that nodes do not wait for each other.
CREATE TABLE callme.past_runs (
  trigger_at BIGINT  NOT NULL, -- Unix seconds
  standing   TEXT    NOT NULL CHECK (standing IN ('removed', 'skipped', 'failed')),
  n          INTEGER NOT NULL
);
CREATE INDEX past_runs_minute ON callme.past_runs (trigger_at);
