-- Which names rows are for, by runs of rows that were summed up at once, as the bits that sieve.rs explains: of the rows after
-- the first number up to the last. They are there as long as their hour has parts, among which no name is found.
CREATE TABLE IF NOT EXISTS sieves (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, bits BLOB NOT NULL);
