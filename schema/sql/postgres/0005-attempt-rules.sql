-- Programs that know version 3 can work with this.

-- JSON: the values of its handler that the present attempt goes by, as they were at its claim; empty where an older program has claimed it.
ALTER TABLE callme.tasks ADD COLUMN rules TEXT;
ALTER TABLE callme.finished ADD COLUMN rules TEXT;
