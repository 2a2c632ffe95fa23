-- Programs that know version 3 can work with this.

-- JSON: the values of its handler that the present attempt goes by, as they were at its claim; empty where an older program has claimed it.
ALTER TABLE tasks ADD COLUMN rules TEXT;
