-- Programs that know version 3 can work with this.

-- JSON: the definition of the task in the run of this attempt. The last attempt of a run has it, where a person has changed the task after it.
ALTER TABLE callme.attempts ADD COLUMN definition TEXT;
