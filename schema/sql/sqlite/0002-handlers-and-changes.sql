-- Where the window of a run began that did not begin with its minute.
ALTER TABLE tasks ADD COLUMN window_from INTEGER;
-- What a running row waits for while no node calls it: an acknowledgement, or the worker that pulled it.
ALTER TABLE tasks ADD COLUMN awaiting TEXT CHECK (awaiting IN ('ack', 'worker'));
ALTER TABLE tasks ADD COLUMN remove_after INTEGER NOT NULL DEFAULT 0 CHECK (remove_after IN (0, 1));
-- Unix seconds: the entry that follows this one in its series.
ALTER TABLE tasks ADD COLUMN repeated_to INTEGER;

-- How many tasks of a name are running.
CREATE INDEX tasks_running_of_name ON tasks (name) WHERE state = 'running';

-- Rows of a name that has a handler, and rows without a callback of their own, have the lane <name>@<host>, where the host is empty
-- without a callback of their own: a limit of the name closes their lanes and no other, and a new URL touches no row. lanes.next_due
-- then also tells from when on the name has room again; what is far away waits for a row of the name to end, or for its handler.

CREATE TABLE handlers (
  name       TEXT    PRIMARY KEY,
  created    INTEGER NOT NULL,
  updated    INTEGER NOT NULL,
  definition TEXT    NOT NULL -- JSON
) WITHOUT ROWID;

-- How many attempts of a name with a rate have started in each of the last seconds.
CREATE TABLE starts (
  name   TEXT    NOT NULL,
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
