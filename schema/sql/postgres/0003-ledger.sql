-- Programs that know version 2 can work with this.

-- What an attempt was held to: when it was due (its lateness is started_at - due_at), and from when on no request might be made. Both are
-- empty in attempts of older programs; the second one too where nobody knows of a request.
ALTER TABLE callme.attempts ADD COLUMN due_at BIGINT;
ALTER TABLE callme.attempts ADD COLUMN deadline BIGINT;
-- What it led to.
ALTER TABLE callme.attempts ADD COLUMN outcome TEXT CHECK (outcome IN ('successful', 'accepted', 'retrying', 'failed', 'lost'));

-- How many runs of a minute a person has removed, or replaced before their first attempt: no other row tells of them. A row for each
-- removal: nodes never wait for each other here.
CREATE TABLE callme.removed_runs (
  trigger_at BIGINT  NOT NULL, -- Unix seconds
  n          INTEGER NOT NULL
);
CREATE INDEX removed_runs_minute ON callme.removed_runs (trigger_at);
