-- Untested: needs ClickHouse 19.6 or later. Removes queries by themselves after 400 days; change the number as you like.
ALTER TABLE queries MODIFY TTL time + INTERVAL 400 DAY DELETE;
