-- Where the clock was set back: from this row on minutes come, from this one on, that came before; their marks tell of the first
-- time alone.
CREATE TABLE IF NOT EXISTS returns (id INTEGER PRIMARY KEY, minute INTEGER NOT NULL);
