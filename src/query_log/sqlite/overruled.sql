-- Of verdicts with an exception. excepted: the rule and the reason of the owner's, and whether nothing would be blocked without
-- exceptions; overruled: what was weighed against what was said, its lines and rules behind those of "said". Versions without
-- them mind neither that they are there nor that they are not.
CREATE TABLE IF NOT EXISTS excepted (
  verdicts INTEGER PRIMARY KEY, rule TEXT NOT NULL, reason TEXT NOT NULL, needless INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS overruled (
  verdicts INTEGER NOT NULL,
  place INTEGER NOT NULL,
  program TEXT NOT NULL,
  service TEXT NOT NULL,
  list TEXT NOT NULL,
  version TEXT NOT NULL,
  trigger TEXT NOT NULL,
  outcome TEXT NOT NULL,
  PRIMARY KEY (verdicts, place)
) WITHOUT ROWID;
