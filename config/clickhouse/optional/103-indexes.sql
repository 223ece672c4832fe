-- Untested: needs ClickHouse 20.1 or later. Finds one client's or one name's queries without reading all others. An index
-- serves queries without FINAL; there, rows that were sent twice count twice until they are merged. Projections are not
-- here: they don't see which rows were replaced.
ALTER TABLE queries ADD INDEX client_index client TYPE bloom_filter(0.01) GRANULARITY 4;
ALTER TABLE queries ADD INDEX name_index name TYPE bloom_filter(0.01) GRANULARITY 4;
