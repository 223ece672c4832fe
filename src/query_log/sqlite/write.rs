//! Writes rows, and sums them up.

use super::{
    super::{
        drain::{Full, Sink},
        identity::Identity,
        row::{Row, shown_server},
    },
    BUSY_WITHIN, FATE, Limits, Origin, bounds, index, is_broken,
    numbers::Numbers,
    open, put_aside,
    sums::{Summed, Sums, roll, rows_and_sums},
    upkeep::Upkeep,
};
use crate::config::DEFAULT_GROUP;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior::Immediate, params};
use std::{
    borrow::Cow,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Rows after which their sums are written, however recent the last ones are: whoever reads sums up what came since, in some
/// tenths of a second.
const ROLL_ROWS: u64 = 100_000;
/// How often they are written at least.
const ROLL_EVERY: Duration = Duration::from_secs(30);
/// How often the bounds are looked at.
const TRIM_EVERY: Duration = Duration::from_secs(5);
/// How long upkeep goes on at once, of each second in which there is something to do: rows that come wait meanwhile.
const TRIM_FOR: Duration = Duration::from_millis(200);
/// The same at the end, when no more comes. What is left then waits for the next start; who ends the process waits for all
/// that is written at the end, and for little longer.
const LAST_TRIM_FOR: Duration = Duration::from_secs(1);
/// Targets of one name that are noted of one query.
const LEADS_MAX: usize = 16;
/// How often a failure is told.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Writes the database. It is opened with the first rows, and again after a failure.
pub struct Writer {
    path: PathBuf,
    limits: Limits,
    /// As far as the disk has room.
    within: Limits,
    origin: Origin,
    connection: Option<Connection>,
    /// The database and its journal, as they were opened.
    files: Vec<(PathBuf, Identity)>,
    /// One of them was removed or moved away.
    has_lost_file: bool,
    numbers: Numbers,
    sums: Sums,
    unrolled: u64,
    untrimmed: u64,
    upkeep: Upkeep,
    /// Something was left when its time was up.
    is_behind: bool,
    began: Instant,
    clock: bounds::Clock,
    rolled: Instant,
    trimmed: Instant,
    told: Option<Instant>,
}

impl Writer {
    pub fn new(path: &Path, limits: Limits, origin: Origin) -> Self {
        let now = Instant::now();
        Self {
            path: path.to_owned(),
            limits,
            within: limits,
            origin,
            connection: None,
            files: Vec::new(),
            has_lost_file: false,
            numbers: Numbers::default(),
            sums: Sums::default(),
            unrolled: 0,
            untrimmed: 0,
            upkeep: Upkeep::default(),
            is_behind: false,
            began: now,
            clock: bounds::Clock::default(),
            rolled: now,
            trimmed: now,
            told: None,
        }
    }

    fn connection(&mut self) -> rusqlite::Result<&mut Connection> {
        if self.connection.is_none() {
            if let Some(folder) = self.path.parent() {
                // What is wrong with it shows when the file is opened.
                let _ = fs::create_dir_all(folder);
            }
            (self.numbers, self.sums, self.upkeep) = Default::default();
            let connection = open(&self.path)?;
            restrict(&self.path);
            self.origin.note(&connection)?;
            self.connection = Some(connection);
            let files = [self.path.clone(), bounds::journal(&self.path)];
            self.files = files.into_iter().filter_map(|file| Identity::at(&file).ok().map(|own| (file, own))).collect();
            self.look_at_room()?;
        }
        self.connection.as_mut().ok_or(rusqlite::Error::InvalidQuery)
    }

    fn append(&mut self, rows: &[Full<'_>]) -> rusqlite::Result<()> {
        self.connection()?;
        index::fill(&self.path, self.within.journal_bytes())?;
        let Self { connection: Some(connection), numbers, sums, .. } = self else { return Ok(()) };
        let transaction = connection.transaction_with_behavior(Immediate)?;
        insert(&transaction, numbers, sums, rows)?;
        transaction.commit()
    }

    pub(super) fn roll(&mut self) -> rusqlite::Result<()> {
        (self.unrolled, self.rolled) = (0, Instant::now());
        self.connection()?;
        let Self { connection: Some(connection), sums, .. } = self else { return Ok(()) };
        let transaction = connection.transaction_with_behavior(Immediate)?;
        roll(&transaction, sums)?;
        transaction.commit()
    }

    /// Keeps within the bounds, for as long as `may_go_on`.
    pub(super) fn trim(&mut self, mut may_go_on: impl FnMut() -> bool) -> rusqlite::Result<()> {
        (self.untrimmed, self.trimmed) = (0, Instant::now());
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
        let now = self.clock.now(wall, self.began.elapsed());
        self.connection()?;
        self.look_at_room()?;
        let has_room = self.has_room().is_ok();
        let Self { path, connection: Some(connection), sums, within, upkeep, .. } = self else { return Ok(()) };
        // While somebody reads, all that is removed and moved makes the journal longer.
        let mut may_go_on = || has_room && journal_octets(path) <= within.journal_bytes() && may_go_on();
        self.is_behind = !upkeep.trim(connection, sums, *within, now, &mut may_go_on)?;
        Ok(())
    }

    /// Closes a database that is no longer where it was opened, or whose journal isn't: what is written to it nobody would
    /// find. The next rows begin another, or go on in the one that is there now.
    fn let_go_if_gone(&mut self) {
        let is_open = self.connection.is_some();
        if !is_open || !self.files.iter().any(|(file, own)| own.is_gone_from(file)) {
            return;
        }
        let file = self.path.display();
        tracing::warn!(%file, "the query log was removed or moved away; the next questions begin another");
        // This puts the journal into the database, if that is still in its place.
        self.connection = None;
        if !self.path.exists() {
            // Of a database that isn't there they are of no use, and another must not take them for its own.
            [bounds::journal(&self.path), bounds::beside(&self.path, "-shm")]
                .iter()
                .for_each(|left| drop(fs::remove_file(left)));
        }
        self.has_lost_file = true;
    }

    /// Keeps to the room that there is on the disk.
    fn look_at_room(&mut self) -> rusqlite::Result<()> {
        let Some(connection) = &self.connection else { return Ok(()) };
        let within = self.limits.within(bounds::room(connection, &self.path)?);
        let (octets, page): (u64, u64) =
            (within.checkpoint_bytes(), connection.query_row("PRAGMA page_size", [], |row| row.get(0))?);
        connection.pragma_update(None, "wal_autocheckpoint", (octets / page).max(1))?;
        // What it took already stays its own, so that there is room to remove something on a disk that others fill.
        connection.query_row(&format!("PRAGMA journal_size_limit = {octets}"), [], |_| Ok(()))?;
        self.within = within;
        index::fill(&self.path, within.journal_bytes())
    }

    /// Whether the journal has room. It is emptied only when nobody reads: who reads for long, as a backup does, would have
    /// it grow without an end. If it has none, why.
    fn has_room(&mut self) -> Result<(), String> {
        const READ: &str =
            "somebody has been reading it for so long that its journal is full; end that, or set a larger size";
        let most = self.within.journal_bytes();
        if journal_octets(&self.path) <= most {
            return Ok(());
        }
        let mut why = READ.to_owned();
        if let Some(connection) = &self.connection {
            // It isn't waited for: rows wait in front of this thread meanwhile.
            let emptied = connection
                .busy_timeout(Duration::ZERO)
                .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
            let is_read = |code| matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked));
            // As a rule it is no error that somebody reads.
            if let Some(error) = emptied.err().filter(|error| !is_read(error.sqlite_error_code())) {
                why = format!("its journal is full and can't be emptied: {error}");
            }
            let _ = connection.busy_timeout(BUSY_WITHIN);
        }
        if journal_octets(&self.path) <= most { Ok(()) } else { Err(why) }
    }

    fn tell(&mut self, what: &str, why: &dyn std::fmt::Display) {
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            self.told = Some(Instant::now());
            tracing::error!(file = %self.path.display(), error = %why, "the query log: {what}");
        }
    }

    /// Notes that something failed, and makes ready for another attempt.
    fn failed(&mut self, what: &str, error: &rusqlite::Error) {
        self.tell(what, error);
        self.connection = None;
        if is_broken(error) {
            put_aside(&self.path, error);
        }
    }
}

impl Sink for Writer {
    fn write(&mut self, mut rows: Vec<Full<'_>>) -> u64 {
        // Threads hand in theirs one after the other.
        if !rows.is_sorted_by_key(|full| full.row.time) {
            rows.sort_by_key(|full| full.row.time);
        }
        if let Err(why) = self.has_room() {
            self.tell("questions can't be recorded, and are dropped", &why);
            return rows.len() as u64;
        }
        // Numbers that were given in a transaction that failed are numbers no more.
        if let Err(error) = self.append(&rows) {
            self.failed("questions can't be recorded, and are dropped", &error);
            return rows.len() as u64;
        }
        self.unrolled += rows.len() as u64;
        self.untrimmed += rows.len() as u64;
        // No more than room for these: all else has its time when they don't wait.
        if self.untrimmed >= self.within.trim_rows()
            && let Err(error) = self.trim(|| false)
        {
            self.failed("old questions can't be removed", &error);
        }
        if (self.unrolled >= ROLL_ROWS || self.sums.are_full())
            && let Err(error) = self.roll()
        {
            self.failed("questions can't be summed up", &error);
        }
        0
    }

    fn tick(&mut self) {
        self.let_go_if_gone();
        // Where a disk is full, only what is removed makes room: so this is tried after failures too.
        if self.connection.is_none() && !self.path.exists() {
            return;
        }
        if self.unrolled > 0
            && self.rolled.elapsed() >= ROLL_EVERY
            && let Err(error) = self.roll()
        {
            self.failed("questions can't be summed up", &error);
        }
        if (self.is_behind || self.trimmed.elapsed() >= TRIM_EVERY)
            && let Err(error) = self.trim(within(TRIM_FOR))
        {
            self.failed("old questions can't be removed", &error);
        }
    }

    fn has_lost_file(&mut self) -> bool {
        std::mem::take(&mut self.has_lost_file)
    }

    fn finish(&mut self) -> u64 {
        if self.connection.is_some()
            && let Err(error) = self.roll().and_then(|()| self.trim(within(LAST_TRIM_FOR)))
        {
            self.failed("questions can't be summed up", &error);
        }
        self.connection = None;
        0
    }
}

/// Whether so long hasn't passed from now on.
fn within(time: Duration) -> impl FnMut() -> bool {
    let begun = Instant::now();
    move || begun.elapsed() < time
}

fn journal_octets(path: &Path) -> u64 {
    fs::metadata(bounds::journal(path)).map_or(0, |file| file.len())
}

/// Who asked for what is nobody else's business.
fn restrict(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    for ending in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        let _ = fs::set_permissions(PathBuf::from(name), fs::Permissions::from_mode(0o640));
    }
}

fn insert(
    transaction: &Transaction<'_>,
    numbers: &mut Numbers,
    sums: &mut Sums,
    rows: &[Full<'_>],
) -> rusqlite::Result<()> {
    let (last, rolled) = rows_and_sums(transaction)?;
    sums.follow(transaction, last, rolled)?;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO queries (id, time, client, name, type, rcode, ede, micros, cache, security, transport, kind, verdicts,
         rules, client_group, upstream, aliases, addresses) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    )?;
    for (id, Full { row, .. }) in (last + 1..).zip(rows) {
        let (verdicts, rules) = numbers.of(transaction, &row.verdicts)?;
        let kind = i64::from(row.kind()) + row.fate() as i64 * FATE;
        let leads = !row.aliases.is_empty() || !row.addresses.is_empty();
        let joined = |texts: Vec<String>| (!texts.is_empty()).then(|| texts.join(" "));
        let (aliases, addresses) = match leads {
            false => (None, None),
            true => {
                lead(transaction, row)?;
                (joined(row.aliases.clone()), joined(row.addresses.iter().map(ToString::to_string).collect()))
            }
        };
        statement.execute(params![
            id,
            row.time,
            row.client,
            row.name,
            row.rr_type.0,
            row.rcode.0,
            row.ede,
            row.micros,
            row.cache.map(|cache| cache as u8),
            row.security.map(|security| security as u8),
            row.transport as u8,
            kind,
            verdicts,
            rules,
            Some(&*row.group).filter(|group| *group != DEFAULT_GROUP),
            upstream(row),
            aliases,
            addresses,
        ])?;
        sums.add(Summed { id, time: row.time, name: &row.name, client: &row.client, verdicts, rules, kind });
    }
    Ok(())
}

/// Who was asked, and behind that which server answered.
fn upstream(row: &Row) -> Option<Cow<'_, str>> {
    let asked = row.upstream.as_deref()?;
    Some(row.server.map_or(asked.into(), |server| format!("{asked} {}", shown_server(server)).into()))
}

/// Notes where a name led to.
fn lead(transaction: &Transaction<'_>, row: &Row) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO leads VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET last = max(last, excluded.last)",
    )?;
    let addresses = row.addresses.iter().map(ToString::to_string);
    for target in row.aliases.iter().cloned().chain(addresses).take(LEADS_MAX) {
        statement.execute(params![row.name, target, row.time])?;
    }
    Ok(())
}
