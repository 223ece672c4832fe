-- For whoever reads by hand. It is made anew where it is another version's: nothing is kept in it.
DROP VIEW IF EXISTS log;

-- A row for each program that said something of a query, and one for a query of which none did.
CREATE VIEW log AS SELECT
  q.id,
  strftime('%Y-%m-%dT%H:%M:%f', q.time / 1000000.0, 'unixepoch') || 'Z' AS time,
  q.client, coalesce(q.client_group, 'default') AS client_group,
  CASE q.transport WHEN 0 THEN 'udp' ELSE 'tcp' END AS transport,
  q.name, q.type, q.rcode, q.ede, q.micros,
  CASE q.cache WHEN 0 THEN 'hit' WHEN 1 THEN 'stale' WHEN 2 THEN 'miss' END AS cache,
  CASE q.security WHEN 0 THEN 'secure' WHEN 1 THEN 'insecure' WHEN 2 THEN 'bogus' WHEN 3 THEN 'unchecked' END AS security,
  q.upstream,
  CASE q.kind / 32 WHEN 0 THEN 'blocked' WHEN 1 THEN 'would-block' WHEN 2 THEN 'excepted'
    ELSE CASE WHEN q.cache IS NULL AND q.rcode NOT IN (0, 3) THEN 'refused' ELSE 'passed' END END AS fate,
  v.owner, s.program, s.service, s.list, s.version, q.rules, s.trigger, s.outcome, s.acted,
  q.kind & 1 AS bypass, (q.kind & 2) / 2 AS dropped, q.aliases, q.addresses
FROM queries q LEFT JOIN verdicts v ON v.id = q.verdicts LEFT JOIN said s ON s.verdicts = q.verdicts;
