-- The query log of any number of cleandns servers. cleandns applies this file by itself, unless the table "migrations"
-- says that it was applied. By hand: clickhouse-client --database cleandns --multiquery < 001-queries.sql

CREATE TABLE IF NOT EXISTS migrations (
  number UInt32,
  name String,
  applied DateTime
) ENGINE = ReplacingMergeTree ORDER BY number;

-- One row a query. What a query has not is empty text. A server sends rows again when it can't know whether they
-- arrived, so rows that are alike in instance and id are one: read this table with FINAL.
CREATE TABLE IF NOT EXISTS queries (
  -- Which server, and which of its queries.
  instance String,
  id UInt64,
  -- When it was answered: in seconds, and exactly in microseconds since 1970 (UTC).
  time DateTime('UTC'),
  time_micros Int64,
  client String,
  client_group String,
  -- udp or tcp
  transport String,
  name String,
  type String,
  rcode String,
  -- Extended DNS Error (RFC 8914)
  ede Nullable(UInt16),
  -- Microseconds from reception to the finished response.
  micros UInt32,
  -- hit, stale or miss
  cache String,
  -- secure, insecure, bogus or unchecked
  security String,
  upstream String,
  -- Bits: 1 bypass, 2 dropped, 4 failed (SERVFAIL), 8 from the cache
  kind UInt8,
  -- blocked, would-block, excepted or passed
  fate String,
  -- Where the exception of the owner stands that let it pass.
  owner String,
  -- What programs said of it: the arrays are of one length, and what stands at one place in them belongs together.
  program Array(String),
  service Array(String),
  list Array(String),
  version Array(String),
  line Array(UInt32),
  rule Array(String),
  trigger Array(String),
  -- block, would-block or except
  outcome Array(String),
  acted Array(UInt8),
  -- Where the name led to.
  aliases Array(String),
  addresses Array(String)
) ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(time) ORDER BY (time, instance, id);

INSERT INTO migrations (number, name, applied) VALUES (1, 'queries', now());
