-- Which server answered, what an exception of the owner's is for, and what was weighed against what programs said. cleandns
-- applies this file by itself, as it does the one before it. By hand: clickhouse-client --database cleandns --multiquery < 002-overruled.sql

ALTER TABLE queries
  -- Which server gave the last link of the answer: its address, with the port if that isn't 53.
  ADD COLUMN server String,
  -- Of the exception of the owner that stands at "owner": by which of its names it matched, and why it is there.
  ADD COLUMN owner_rule String,
  ADD COLUMN owner_reason String,
  -- What lost: what would be blocked but for an exception, or an exception that something else was stronger than. What
  -- stands at one place in these arrays belongs together.
  ADD COLUMN overruled_program Array(String),
  ADD COLUMN overruled_service Array(String),
  ADD COLUMN overruled_list Array(String),
  ADD COLUMN overruled_version Array(String),
  ADD COLUMN overruled_line Array(UInt32),
  ADD COLUMN overruled_rule Array(String),
  ADD COLUMN overruled_trigger Array(String),
  ADD COLUMN overruled_outcome Array(String);

INSERT INTO migrations (number, name, applied) VALUES (2, 'overruled', now());
