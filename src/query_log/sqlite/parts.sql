-- Since version 3: sums of an hour in the order in which they were made. The number is that of the hour, times 2^31, and
-- another one; queries that are alike may be in several. When the hour is over, those that have much in common go to "hours".
CREATE TABLE parts (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, client TEXT NOT NULL, verdicts INTEGER NOT NULL, rules TEXT NOT NULL,
  kind INTEGER NOT NULL, count INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL
);
-- merged: the last part that was looked at for that.
INSERT INTO meta VALUES ('merged', 0);

-- All sums of hours.
CREATE VIEW sums AS
  SELECT hour, name, client, verdicts, rules, kind, count, first, last FROM hours
  UNION ALL SELECT id / 2147483648, name, client, verdicts, rules, kind, count, first, last FROM parts;
