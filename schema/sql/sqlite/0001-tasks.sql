CREATE TABLE tasks (
  -- The minute asked for times 2^27, plus a number: entries of one minute lie together in the file, where pages and claims read
  -- them together. An entry that moves keeps its id, so nothing may be concluded from it.
  id               INTEGER PRIMARY KEY,
  name             TEXT    NOT NULL,
  trigger_at       INTEGER NOT NULL CHECK (trigger_at % 60 = 0), -- Unix seconds
  state            TEXT    NOT NULL CHECK (state IN ('pending', 'running', 'retrying', 'successful', 'failed', 'skipped')),
  lane             TEXT    NOT NULL, -- host of the callback
  due_at           INTEGER NOT NULL, -- epoch ms, as every time below
  deadline         INTEGER NOT NULL,
  lease_until      INTEGER,
  claimed_by       TEXT,
  run_id           TEXT    NOT NULL,
  attempts         INTEGER NOT NULL,
  lost             INTEGER NOT NULL,
  in_advance       INTEGER NOT NULL CHECK (in_advance IN (0, 1)),
  executed_at      INTEGER,
  response_status  INTEGER,
  response_body    TEXT,
  error            TEXT,
  created          INTEGER NOT NULL,
  updated          INTEGER NOT NULL,
  rescheduled_to   INTEGER, -- Unix seconds
  rescheduled_from INTEGER, -- Unix seconds
  definition       TEXT    NOT NULL, -- JSON
  UNIQUE (name, trigger_at)
);

-- The claim: each lane's waiting rows by due time. A statement must repeat the WHERE text to use a partial index.
CREATE INDEX tasks_waiting ON tasks (lane, due_at) WHERE state IN ('pending', 'retrying');
-- The end of waiting rows whose window has closed.
CREATE INDEX tasks_deadline ON tasks (deadline) WHERE state IN ('pending', 'retrying');
-- The rescue and the list of what runs: a few rows at any time.
CREATE INDEX tasks_running ON tasks (lease_until) WHERE state = 'running';
-- Pages. No index that a claim or a successful call changes holds the name: entries of one minute would be scattered over its pages,
-- and each would cost the write-ahead log a page.
CREATE INDEX tasks_page ON tasks (trigger_at, name);
CREATE INDEX tasks_troubled ON tasks (state, trigger_at, name) WHERE state IN ('retrying', 'failed', 'skipped');
-- Where the waiting rows begin, so that a page of them does not walk through years of finished ones.
CREATE INDEX tasks_waiting_since ON tasks (trigger_at) WHERE state IN ('pending', 'retrying');
-- Retention.
CREATE INDEX tasks_finished ON tasks (updated) WHERE state IN ('successful', 'failed', 'skipped');

-- Which lanes have something due: next_due is a lower bound of the due_at of the lane's waiting rows, lowered with every
-- write that brings a row forward, and raised by the claim that finds it too low. A lane with no waiting row has no row here.
CREATE TABLE lanes (
  lane     TEXT PRIMARY KEY,
  next_due INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX lanes_next_due ON lanes (next_due);

CREATE TABLE attempts (
  task_id     INTEGER NOT NULL,
  run_id      TEXT    NOT NULL,
  number      INTEGER NOT NULL,
  started_at  INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  status      INTEGER,
  error       TEXT,
  node        TEXT    NOT NULL,
  PRIMARY KEY (task_id, run_id, number)
) WITHOUT ROWID;

-- Counting ten million rows takes seconds, so every write keeps these.
CREATE TABLE task_counts (
  state TEXT    PRIMARY KEY,
  n     INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO task_counts VALUES ('pending', 0), ('running', 0), ('retrying', 0), ('successful', 0), ('failed', 0), ('skipped', 0);
