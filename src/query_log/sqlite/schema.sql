-- The embedded query log. Times are microseconds since 1970 (UTC). Whoever reads by hand finds words in the view "log".

-- rolled: the last row that is in the sums; gone: rows before this time may have been removed; early: those before this one were for want of room, though not too old; hours_going, days_going: the hour or day of which a part was removed already;
-- instance: the server's name; privacy: how much of clients was kept, all words that were in force, in their order.
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- One row a query, in the order in which they were written, which is nearly that of time. Numbers never come again.
CREATE TABLE queries (
  id INTEGER PRIMARY KEY,
  time INTEGER NOT NULL,
  client TEXT NOT NULL,
  name TEXT NOT NULL,
  type INTEGER NOT NULL,
  rcode INTEGER NOT NULL,
  ede INTEGER,
  micros INTEGER NOT NULL,
  -- cache: 0 hit, 1 stale, 2 miss; security: 0 secure, 1 insecure, 2 bogus, 3 unchecked; transport: 0 udp, 1 tcp
  cache INTEGER,
  security INTEGER,
  transport INTEGER NOT NULL,
  -- 1 bypass, 2 dropped, 4 failed (SERVFAIL); 8 times the cache: 0 not looked for, 1 hit, 2 stale, 3 miss; 32 times the
  -- fate: 0 blocked, 1 would-block, 2 excepted, 3 passed, 4 refused (3 where an earlier version wrote)
  kind INTEGER NOT NULL,
  verdicts INTEGER NOT NULL,
  -- line and rule, such as 12:tiktok.com, of each program that said something, separated by spaces
  rules TEXT NOT NULL,
  -- NULL: default
  client_group TEXT,
  -- recursion, or forward and a zone; and behind that the server that answered, if it is known
  upstream TEXT,
  -- separated by spaces
  aliases TEXT,
  addresses TEXT
);

-- What all programs said of a query, but for line and rule; 0 is "nothing". There are few of them.
CREATE TABLE verdicts (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, owner TEXT);
CREATE TABLE said (
  verdicts INTEGER NOT NULL,
  place INTEGER NOT NULL,
  program TEXT NOT NULL,
  service TEXT NOT NULL,
  list TEXT NOT NULL,
  version TEXT NOT NULL,
  trigger TEXT NOT NULL,
  outcome TEXT NOT NULL,
  acted INTEGER NOT NULL,
  PRIMARY KEY (verdicts, place)
) WITHOUT ROWID;

INSERT INTO meta VALUES ('rolled', 0), ('gone', 0), ('hours_going', NULL), ('days_going', NULL);

-- Sums of queries that are alike, as far as meta says "rolled". A query is in "parts" or "hours" or, later, in "days".
CREATE TABLE minutes (
  minute INTEGER NOT NULL, fate INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (minute, fate)
) WITHOUT ROWID;
CREATE TABLE hours (
  hour INTEGER NOT NULL, name TEXT NOT NULL, client TEXT NOT NULL, verdicts INTEGER NOT NULL, rules TEXT NOT NULL,
  kind INTEGER NOT NULL, count INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  PRIMARY KEY (hour, name, client, verdicts, rules, kind)
) WITHOUT ROWID;
CREATE TABLE days (
  day INTEGER NOT NULL, name TEXT NOT NULL, client TEXT NOT NULL, verdicts INTEGER NOT NULL, rules TEXT NOT NULL,
  kind INTEGER NOT NULL, count INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  PRIMARY KEY (day, name, client, verdicts, rules, kind)
) WITHOUT ROWID;
-- The first row that was written of a minute, to find rows by time.
CREATE TABLE marks (minute INTEGER PRIMARY KEY, id INTEGER NOT NULL);
-- Where names led to: aliases and addresses.
CREATE TABLE leads (name TEXT NOT NULL, target TEXT NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (name, target))
  WITHOUT ROWID;
