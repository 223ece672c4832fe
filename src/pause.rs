//! Pauses: everything is in shadow until a time, for everybody, one group or one client. Kept over restarts.

use crate::{
    policy::{ClientKey, Pause, shown_time},
    whole,
};
use arc_swap::ArcSwap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

/// Where pauses are kept in the state folder.
const FILE_NAME: &str = "pauses.json";
/// Seconds of the longest pause: whoever means longer means another mode.
pub const PAUSE_SECONDS_MAX: i64 = 31 * 86_400;

/// Octets read of the file: far more than as many pauses take as there may be.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Pauses at once: whoever decides looks at each of them.
pub const PAUSES_MAX: usize = 64;

/// The pauses there are, for everybody who decides or asks.
pub struct Pauses {
    file: Option<PathBuf>,
    kept: Mutex<Vec<Kept>>,
    /// Held from reading what there is until it is written, so that of two who change it neither is lost. Whoever only asks
    /// doesn't wait for it, since there may be a slow disk behind it.
    changing: Mutex<()>,
    current: ArcSwap<Vec<Pause>>,
}

/// A pause as it is written down and shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Kept {
    /// `None`: everybody, or `client`; `default`: clients in no group.
    pub group: Option<String>,
    /// One client, or those in a network; as in a group's `clients`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "as_text")]
    #[schemars(with = "Option<String>")]
    pub client: Option<ClientKey>,
    /// Seconds since 1970 (UTC).
    pub until: i64,
    /// Who paused it, and why, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Kept {
    /// A pause of everybody or of one group, by nobody in particular.
    pub fn new(group: Option<&str>, until: i64) -> Self {
        Self { group: group.map(str::to_owned), client: None, until, who: None, reason: None }
    }

    /// Whether both are of the same clients.
    pub fn is_of_same(&self, other: &Self) -> bool {
        (&self.group, &self.client) == (&other.group, &other.client)
    }

    /// Whom it is for, in words.
    pub fn whom(&self) -> String {
        match (&self.client, &self.group) {
            (Some(client), _) => format!("client {client}"),
            (None, Some(group)) => format!("group {group}"),
            (None, None) => "everybody".to_owned(),
        }
    }
}

/// What undoing a change of a pause comes to, at some time: pauses that are over by then are none.
#[derive(PartialEq, Debug)]
pub struct Undoing {
    /// What the change left.
    pub left: Option<Kept>,
    /// What there is to be again, for as long as remains; one that is over ends it.
    pub wanted: Kept,
}

impl Undoing {
    /// By what is written down of the change: the pause before it, and the one after it. `None`: it says nothing of one.
    pub fn of(before: Option<&Value>, after: Option<&Value>, now: i64) -> Option<Self> {
        let read = |value: Option<&Value>| value.and_then(|value| Kept::deserialize(value).ok());
        let (before, after) = (read(before), read(after));
        let any = before.as_ref().or(after.as_ref())?;
        let ended = Kept { until: now, ..any.clone() };
        let holds = |pause: &Kept| now < pause.until;
        Some(Self { left: after.filter(holds), wanted: before.filter(holds).unwrap_or(ended) })
    }

    /// Whether there is anything to do, with the pauses there are now.
    pub fn is_open(&self, pauses: &Pauses, now: i64) -> bool {
        let is = pauses.of_same(&self.wanted, now);
        is == self.left && is != Some(self.wanted.clone()).filter(|pause| now < pause.until)
    }
}

/// Why there is no such pause.
#[derive(Debug, thiserror::Error)]
pub enum PauseError {
    #[error("there is no group {0}")]
    UnknownGroup(String),
    #[error("there are {PAUSES_MAX} pauses already; end one, or pause a group")]
    TooMany,
    #[error("a pause is of a group or of a client, and not of both")]
    Both,
    #[error("clients can't be told by MAC address: the kernel's neighbour table can't be read; pause an address")]
    NoHardware,
    #[error("a pause takes at most {} days", PAUSE_SECONDS_MAX / 86_400)]
    TooLong,
    #[error("it holds, but can't be kept over a restart: {0}")]
    NotKept(io::Error),
}

impl Pauses {
    /// Reads what was kept, of which that counts which isn't over at `now`. A file that can't be read is as good as none,
    /// and said so.
    pub fn load(state_dir: Option<&Path>, now: i64) -> Self {
        let file = state_dir.map(|folder| folder.join(FILE_NAME));
        let kept = file.as_deref().map_or_else(Vec::new, |file| fit(read(file), now, file));
        for pause in &kept {
            tracing::warn!(whom = pause.whom(), until = shown_time(pause.until), "a pause kept from before");
        }
        let pauses = Self { file, kept: Mutex::default(), changing: Mutex::default(), current: ArcSwap::default() };
        pauses.put_in_force(kept);
        pauses
    }

    /// What the policy is told.
    pub fn current(&self) -> arc_swap::Guard<Arc<Vec<Pause>>> {
        self.current.load()
    }

    /// True if at `now` some pause is of a hardware address.
    pub fn need_mac(&self, now: i64) -> bool {
        self.current().iter().any(|pause| pause.needs_mac(now))
    }

    /// The pauses that are not over at `now`.
    pub fn list(&self, now: i64) -> Vec<Kept> {
        let kept = self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        kept.iter().filter(|pause| now < pause.until).cloned().collect()
    }

    /// The pause of the same clients, if one holds at `now`.
    pub fn of_same(&self, pause: &Kept, now: i64) -> Option<Kept> {
        self.list(now).into_iter().find(|own| own.is_of_same(pause))
    }

    /// Whether a pause could be set.
    pub fn check(&self, pause: &Kept, now: i64, is_group: impl Fn(&str) -> bool) -> Result<(), PauseError> {
        if let Some(group) = &pause.group
            && !is_group(group)
            // A pause of a group that the configuration no longer has can be ended all the same.
            && !self.list(now).iter().any(|own| own.group.as_ref() == Some(group))
        {
            return Err(PauseError::UnknownGroup(group.clone()));
        }
        if pause.group.is_some() && pause.client.is_some() {
            return Err(PauseError::Both);
        }
        let others = self.list(now).iter().filter(|own| !own.is_of_same(pause)).count();
        if now < pause.until && others >= PAUSES_MAX {
            return Err(PauseError::TooMany);
        }
        match pause.until.saturating_sub(now) > PAUSE_SECONDS_MAX {
            true => Err(PauseError::TooLong),
            false => Ok(()),
        }
    }

    /// Pauses everybody, one group or one client until a time, in place of an earlier pause of the same; a time that is
    /// over ends it. Writes a file, so it may block.
    pub fn set(&self, pause: Kept, now: i64, is_group: impl Fn(&str) -> bool) -> Result<(), PauseError> {
        let _alone = self.changing.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        self.check(&pause, now, is_group)?;
        let (whom, until) = (pause.whom(), pause.until);
        let mut kept = self.list(now);
        kept.retain(|own| !own.is_of_same(&pause));
        if now < until {
            kept.push(pause);
        }
        self.put_in_force(kept.clone());
        match now < until {
            true => tracing::warn!(whom, until = shown_time(until), "paused: nothing is blocked until then"),
            false => tracing::info!(whom, "the pause has ended"),
        }
        self.file.as_deref().map_or(Ok(()), |file| write(file, &kept)).map_err(PauseError::NotKept)
    }

    /// The pauses that are not over at `now`, in words.
    pub fn told(&self, now: i64) -> Vec<String> {
        let told =
            |pause: Kept| format!("paused: nothing is blocked for {} until {}", pause.whom(), shown_time(pause.until));
        self.list(now).into_iter().map(told).collect()
    }

    fn put_in_force(&self, kept: Vec<Kept>) {
        let pause = |kept: &Kept| Pause {
            group: kept.group.as_deref().map(Into::into),
            client: kept.client.clone(),
            until: kept.until,
        };
        self.current.store(Arc::new(kept.iter().map(pause).collect()));
        *self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = kept;
    }
}

/// A client as the configuration has it.
mod as_text {
    use super::ClientKey;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(key: &Option<ClientKey>, serializer: S) -> Result<S::Ok, S::Error> {
        match key {
            Some(key) => serializer.collect_str(key),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Option<ClientKey>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(|error| D::Error::custom(format!("`{text}` {error}")))).transpose()
    }
}

/// For how long a pause holds yet, a begun minute counted: `another 30 minutes`, `another minute`.
pub fn another(until: i64, now: i64) -> String {
    match ((until - now).max(0) + 59) / 60 {
        1 => "another minute".to_owned(),
        minutes => format!("another {minutes} minutes"),
    }
}

/// Those that hold at `now`, as few as may be set: the file may have been edited. Of several of the same clients the last
/// counts.
fn fit(all: Vec<Kept>, now: i64, file: &Path) -> Vec<Kept> {
    let mut kept: Vec<Kept> = Vec::new();
    for pause in all.into_iter().filter(|pause| now < pause.until) {
        kept.retain(|own| !own.is_of_same(&pause));
        kept.push(pause);
    }
    if kept.len() > PAUSES_MAX {
        tracing::warn!(
            file = %file.display(), pauses = kept.len(), "more than {PAUSES_MAX} pauses are in the file: those after the first \
             {PAUSES_MAX} don't hold; pause a group instead"
        );
        kept.truncate(PAUSES_MAX);
    }
    kept
}

fn read(file: &Path) -> Vec<Kept> {
    let octets = || -> io::Result<Vec<u8>> {
        let mut octets = Vec::new();
        fs::File::open(file)?.take(FILE_BYTES_MAX).read_to_end(&mut octets)?;
        Ok(octets)
    };
    let text = match octets() {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "pauses can't be read: nothing is paused");
            return Vec::new();
        }
    };
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        tracing::warn!(file = %file.display(), %error, "the file of pauses is damaged: nothing is paused");
        Vec::new()
    })
}

fn write(file: &Path, kept: &[Kept]) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    whole::write(file, &serde_json::to_vec(kept)?, whole::USUAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_minute_is_no_minutes() {
        for (left, told) in [(1800, "30 minutes"), (61, "2 minutes"), (60, "minute"), (1, "minute"), (-5, "0 minutes")]
        {
            assert_eq!(another(1_000_000 + left, 1_000_000), format!("another {told}"));
        }
    }

    /// Each takes the place of an earlier one of the same group, and of no other's.
    #[test]
    fn pauses_set_at_the_same_time_are_all_there() {
        const GROUPS: usize = 8;
        let folder = tempfile::tempdir().unwrap();
        let load = || Pauses::load(Some(folder.path()), 0);
        let pauses = load();
        for round in 1..=20 {
            let start = std::sync::Barrier::new(GROUPS);
            std::thread::scope(|scope| {
                for group in 0..GROUPS {
                    let (pauses, start) = (&pauses, &start);
                    scope.spawn(move || {
                        start.wait();
                        pauses.set(Kept::new(Some(&format!("g{group}")), 100 + round), 0, |_| true).unwrap();
                    });
                }
            });
            let are_all = |pauses: &Pauses| {
                pauses.list(0).len() == GROUPS && pauses.list(0).iter().all(|kept| kept.until == 100 + round)
            };
            assert!(are_all(&pauses) && are_all(&load()), "{round}: {:?}", pauses.list(0));
        }
    }

    #[test]
    fn pauses_are_kept_replaced_and_ended() {
        let folder = tempfile::tempdir().unwrap();
        let load_at = |now| Pauses::load(Some(folder.path()), now);
        let load = || load_at(0);
        let is_group = |name: &str| ["default", "guests"].contains(&name);
        let pauses = load();
        let set = |group, until, now| pauses.set(Kept::new(group, until), now, is_group);
        assert!(pauses.current().is_empty());
        set(None, 1000, 0).unwrap();
        set(Some("guests"), 2000, 0).unwrap();
        set(Some("guests"), 3000, 0).unwrap();
        set(Some("default"), 500, 0).unwrap();
        let expected = [
            Pause { group: None, client: None, until: 1000 },
            Pause { group: Some("guests".into()), client: None, until: 3000 },
            Pause { group: Some("default".into()), client: None, until: 500 },
        ];
        assert_eq!(**pauses.current(), expected);
        assert_eq!(**load().current(), expected, "over a restart");
        assert_eq!(**load_at(1000).current(), expected[1..2], "those that are over are not in force");
        assert_eq!(pauses.list(600).len(), 2);
        set(None, 0, 10).unwrap();
        assert_eq!(pauses.list(10).len(), 2, "ended");
        assert!(matches!(set(Some("nobody"), 10, 0), Err(PauseError::UnknownGroup(_))));
        assert!(matches!(set(None, PAUSE_SECONDS_MAX + 1, 0), Err(PauseError::TooLong)));
        pauses.set(Kept::new(Some("guests"), 0), 20, |_| false).unwrap();
        assert_eq!(pauses.list(20).len(), 1, "of a group that is gone, ended");
        // Of clients, beside those of groups.
        let of = |client: &str, until| Kept { client: Some(client.parse().unwrap()), ..Kept::new(None, until) };
        pauses.set(of("192.0.2.7", 900), 20, is_group).unwrap();
        pauses.set(of("mac:02:00:5e:10:00:07", 900), 20, is_group).unwrap();
        pauses.set(of("192.0.2.7", 800), 20, is_group).unwrap();
        let told = pauses.told(20).join("\n");
        assert!(
            told.contains("for client 192.0.2.7 until") && told.contains("for client mac:02:00:5e:10:00:07"),
            "{told}"
        );
        assert_eq!(load().list(20), pauses.list(20));
        assert_eq!(pauses.list(20).len(), 3);
        let both = Kept { group: Some("guests".into()), ..of("192.0.2.7", 900) };
        assert!(matches!(pauses.set(both, 20, is_group), Err(PauseError::Both)));
        for last in 3..=PAUSES_MAX {
            let set = pauses.set(of(&format!("198.51.100.{last}"), 900), 20, is_group);
            assert_eq!(matches!(set, Err(PauseError::TooMany)), last == PAUSES_MAX, "{set:?}");
        }
        pauses.set(of("192.0.2.7", 700), 20, is_group).unwrap();
        pauses.set(of("192.0.2.7", 0), 20, is_group).unwrap();
        // A file edited by hand: no more than may be set, and of the same clients the last.
        let mut by_hand: Vec<Kept> = (0..100).map(|last| of(&format!("203.0.113.{last}"), 900)).collect();
        by_hand.insert(1, of("203.0.113.0", 800));
        fs::write(folder.path().join(FILE_NAME), serde_json::to_vec(&by_hand).unwrap()).unwrap();
        let kept = load().list(20);
        assert_eq!((kept.len(), &kept[0], &kept[PAUSES_MAX - 1]), (PAUSES_MAX, &by_hand[1], &by_hand[PAUSES_MAX]));
        fs::write(folder.path().join(FILE_NAME), "{").unwrap();
        assert!(load().current().is_empty(), "a damaged file pauses nothing");
    }

    /// At 100: what was there before, what the change left, what there is now, and what undoing it comes to.
    #[test]
    fn undoing_a_change_goes_by_what_remains() {
        let kept = |until: Option<i64>| until.map(|until| serde_json::json!(Kept::new(Some("kids"), until)));
        for (before, after, is, wanted, is_open) in [
            (None, Some(200), Some(200), 100, true),
            (Some(300), None, None, 300, true),
            (Some(300), Some(200), Some(200), 300, true),
            // Over by itself since.
            (None, Some(90), None, 100, false),
            (Some(90), None, None, 100, false),
            (Some(300), Some(90), None, 300, true),
            // Changed again since.
            (None, Some(200), Some(250), 100, false),
            (None, Some(200), None, 100, false),
            (Some(300), None, Some(150), 300, false),
        ] {
            let undoing = Undoing::of(kept(before).as_ref(), kept(after).as_ref(), 100).unwrap();
            let pauses = Pauses::load(None, 100);
            is.into_iter().for_each(|until| pauses.set(Kept::new(Some("kids"), until), 100, |_| true).unwrap());
            assert_eq!(undoing.wanted, Kept::new(Some("kids"), wanted), "{before:?} {after:?}");
            assert_eq!(undoing.is_open(&pauses, 100), is_open, "{before:?} {after:?} {is:?}");
        }
        assert_eq!(Undoing::of(None, None, 100), None);
        assert_eq!(Undoing::of(None, Some(&serde_json::json!("shadow")), 100), None);
    }
}
