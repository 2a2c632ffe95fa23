-- Where the window of a run began that did not begin with its minute.
ALTER TABLE tasks ADD COLUMN window_from INTEGER;
-- What a running row waits for while no node calls it: an acknowledgement, or the worker that pulled it.
ALTER TABLE tasks ADD COLUMN awaiting TEXT CHECK (awaiting IN ('ack', 'worker'));
ALTER TABLE tasks ADD COLUMN remove_after INTEGER NOT NULL DEFAULT 0 CHECK (remove_after IN (0, 1));
-- Unix seconds: the entry that follows this one in its series.
ALTER TABLE tasks ADD COLUMN repeated_to INTEGER;

-- How many tasks of a handler are running. Rows without a handler, whose lane holds no "@", need not be counted.
CREATE INDEX tasks_running_of_handler ON tasks (name, lane) WHERE state = 'running' AND instr(lane, '@') > 0;

-- Rows whose name has a handler have the lane <name of the handler>@<host>, where the host is empty without a callback of their own: a
-- limit closes the lanes of its handler and no other, and a new URL touches no row. lanes.next_due then also tells from when on the
-- handler has room again; what is far away waits for a row of the handler to end, or for the handler to change.

CREATE TABLE handlers (
  name       TEXT    PRIMARY KEY, -- or what names begin with, and an asterisk
  created    INTEGER NOT NULL,
  updated    INTEGER NOT NULL,
  definition TEXT    NOT NULL -- JSON
) WITHOUT ROWID;

-- Handlers that came, went or changed, whose rows are gone through and put where they belong: how far that is. Empty otherwise.
CREATE TABLE handler_walks (
  name             TEXT    PRIMARY KEY,
  after_name       TEXT    NOT NULL,
  after_trigger_at INTEGER NOT NULL
) WITHOUT ROWID;

-- How many attempts of a handler with a rate have started in each of the last seconds.
CREATE TABLE starts (
  name   TEXT    NOT NULL, -- of the handler
  second INTEGER NOT NULL, -- Unix time
  n      INTEGER NOT NULL,
  PRIMARY KEY (name, second)
) WITHOUT ROWID;

-- What listeners are told: all changes of one transaction together, numbered from first_id to id.
CREATE TABLE changes (
  id       INTEGER PRIMARY KEY,
  first_id INTEGER NOT NULL,
  batch    TEXT    NOT NULL -- JSON: [{kind, at, task} …]
);
