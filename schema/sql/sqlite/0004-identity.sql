-- The process that has the store open: one row, or none after a process that has closed it in order. A process that finds another token
-- here than its own stops at once.
CREATE TABLE owner (
  id        INTEGER PRIMARY KEY CHECK (id = 1),
  token     TEXT NOT NULL,
  lock_file TEXT NOT NULL, -- device and inode of the lock file that it holds
  asked     TEXT -- the token of a process that asks whether this one lives, until this one answers by removing it
);
