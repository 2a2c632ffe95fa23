-- Programs that know version 3 can work with this.

-- The name of this database: one row. A node that finds another name has lost its database, and stops at once.
CREATE TABLE callme.identity (
  is_only BOOLEAN PRIMARY KEY DEFAULT true CHECK (is_only),
  id      UUID    NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO callme.identity DEFAULT VALUES;
