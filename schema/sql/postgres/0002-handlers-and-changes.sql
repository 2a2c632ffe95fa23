-- Where the window of a run began that did not begin with its minute.
ALTER TABLE callme.tasks ADD COLUMN window_from BIGINT;
ALTER TABLE callme.finished ADD COLUMN window_from BIGINT;
-- What a running row waits for while no node calls it: an acknowledgement, or the worker that pulled it.
ALTER TABLE callme.tasks ADD COLUMN awaiting TEXT CHECK (awaiting IN ('ack', 'worker'));
ALTER TABLE callme.finished ADD COLUMN awaiting TEXT;
ALTER TABLE callme.tasks ADD COLUMN remove_after SMALLINT NOT NULL DEFAULT 0 CHECK (remove_after IN (0, 1));
ALTER TABLE callme.finished ADD COLUMN remove_after SMALLINT NOT NULL DEFAULT 0;
-- Unix seconds: the entry that follows this one in its series.
ALTER TABLE callme.tasks ADD COLUMN repeated_to BIGINT;
ALTER TABLE callme.finished ADD COLUMN repeated_to BIGINT;

-- How many tasks of a handler are running. Rows without a handler, whose lane holds no "@", need not be counted. By lease, because none is
-- left that ended long ago, while an open transaction keeps the entries of rows that ran then.
CREATE INDEX tasks_running_of_handler ON callme.tasks (split_part(lane, '@', 1), lease_until) WHERE state = 'running' AND strpos(lane, '@') > 0;

CREATE TABLE callme.handlers (
  name       TEXT   COLLATE "C" PRIMARY KEY, -- or what names begin with, and an asterisk
  created    BIGINT NOT NULL,
  updated    BIGINT NOT NULL,
  definition TEXT   NOT NULL -- JSON
);

-- Handlers that came, went or changed, whose rows are gone through and put where they belong: how far that is. Empty otherwise.
CREATE TABLE callme.handler_walks (
  name             TEXT   COLLATE "C" PRIMARY KEY,
  after_name       TEXT   COLLATE "C" NOT NULL,
  after_trigger_at BIGINT NOT NULL
);

-- How many attempts of a handler with a rate have started in each of the last seconds.
CREATE TABLE callme.starts (
  name   TEXT    COLLATE "C" NOT NULL, -- of the handler
  second BIGINT  NOT NULL, -- Unix time
  n      INTEGER NOT NULL,
  PRIMARY KEY (name, second)
);

-- Every connection of a node through which it writes, one transaction after the other.
CREATE TABLE callme.streams (
  id   BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  seen TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- One row or more for each transaction that changes anything: what other nodes must know of it, and what it does to the counts. The
-- numbers of a stream have no gap, so that a reader knows whether it has missed any. `place` is taken last in a transaction: of two that
-- write the same row, the later one has the higher place.
CREATE TABLE callme.commits (
  stream     BIGINT      NOT NULL,
  seq        BIGINT      NOT NULL,
  place      BIGINT      GENERATED ALWAYS AS IDENTITY,
  at         TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
  signals    TEXT, -- JSON
  told       INTEGER NOT NULL, -- how many changes for listeners
  pending    INTEGER NOT NULL, -- by how much the count of each state changes
  running    INTEGER NOT NULL,
  retrying   INTEGER NOT NULL,
  successful INTEGER NOT NULL,
  failed     INTEGER NOT NULL,
  skipped    INTEGER NOT NULL,
  PRIMARY KEY (stream, seq)
);

-- What listeners are told: the changes of a row of commits.
CREATE TABLE callme.changes (
  stream BIGINT NOT NULL,
  seq    BIGINT NOT NULL,
  batch  TEXT   NOT NULL, -- JSON: [{kind, at, task} …]
  PRIMARY KEY (stream, seq)
);

-- The order of all commits, made of what is visible by whoever wants to read it, one at a time. Only inserted and trimmed, never changed.
CREATE TABLE callme.numbered (
  position   BIGINT PRIMARY KEY,
  stream     BIGINT NOT NULL,
  seq        BIGINT NOT NULL,
  first_id   BIGINT NOT NULL, -- of its changes; above last_id where it has none
  last_id    BIGINT NOT NULL,
  at         TIMESTAMPTZ NOT NULL DEFAULT now(),
  pending    BIGINT NOT NULL, -- how many tasks there were in each state
  running    BIGINT NOT NULL,
  retrying   BIGINT NOT NULL,
  successful BIGINT NOT NULL,
  failed     BIGINT NOT NULL,
  skipped    BIGINT NOT NULL
);
CREATE INDEX numbered_stream ON callme.numbered (stream, seq);
CREATE INDEX numbered_last_id ON callme.numbered (last_id);
INSERT INTO callme.numbered (position, stream, seq, first_id, last_id, pending, running, retrying, successful, failed, skipped)
  VALUES (0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0);
