//! Exceptions and blocks by hand: made, changed, removed.

use super::{
    super::{
        AdminState,
        auth::Who,
        problem::{Kind, Refusal},
        view::exceptions::{one, still_answered},
    },
    desk::{Desk, Done, Target, Wish},
};
use crate::{
    config::{
        self, Config, DEFAULT_GROUP, Exception, asked_name,
        overlay::{Entry, Key, Numbered, OWN_PROGRAM, OwnBlock, OwnException},
        unknown,
    },
    dns::Name,
    policy::parse::Extent,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// An exception that is asked for, or what is to be changed of one.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct ExceptionAsked {
    #[serde(default)]
    pub names: Option<Vec<String>>,
    /// `exact` or `subtree`: what names without a `=` mean; a subtree unless it is said.
    #[serde(default)]
    pub r#match: Option<String>,
    #[serde(default)]
    pub programs: Option<Vec<String>>,
    #[serde(default)]
    pub groups: Option<Vec<String>>,
    #[serde(default)]
    pub reason: Option<String>,
    /// The last day; empty or `null`: for good.
    #[serde(default, deserialize_with = "given")]
    pub until: Option<String>,
    /// A whole label or public suffix is meant, such as `lan` or `co.uk`.
    #[serde(default)]
    pub confirmed: bool,
}

/// A block that is asked for, or what is to be changed of one.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct BlockAsked {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub r#match: Option<String>,
    #[serde(default)]
    pub groups: Option<Vec<String>>,
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(default, deserialize_with = "given")]
    pub until: Option<String>,
    /// A whole label or public suffix is meant, such as `lan` or `co.uk`.
    #[serde(default)]
    pub confirmed: bool,
}

/// `null` is said, and means that there is no end.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Some(Option::<String>::deserialize(deserializer)?.unwrap_or_default()))
}

/// Blocks a name, or changes the block of that id, and says where that does nothing.
pub async fn block(
    state: &AdminState,
    who: &Who,
    id: Option<&str>,
    asked: BlockAsked,
    dry_run: bool,
) -> Result<Done, Refusal> {
    let before = id.and_then(|id| match one(state, id) {
        Some(Entry::Block(own)) => Some(own.name),
        _ => None,
    });
    let mut asked = asked;
    let taken = asked.name.as_mut().map(|name| take_host("name", name)).transpose()?.flatten();
    let name = asked.name.clone().or(before).unwrap_or_default();
    let done = state.desk.block(who, id, asked, dry_run).await?;
    Ok(Done { note: noted(taken.into_iter().chain(still_answered(state, name.trim())).collect()), ..done })
}

impl Desk {
    /// Makes an exception, or changes the one of that id.
    pub async fn except(
        &self,
        who: &Who,
        id: Option<&str>,
        mut asked: ExceptionAsked,
        dry_run: bool,
    ) -> Result<Done, Refusal> {
        let taken = asked.names.iter_mut().flatten().map(|name| take_host("names", name));
        let taken = taken.collect::<Result<Vec<_>, _>>()?;
        let (target, before) = self.target::<OwnException>(id)?;
        let exact = is_exact(asked.r#match.as_deref())?;
        let files = self.files().await;
        self.not_over(asked.until.as_deref(), &files)?;
        let names = asked.names.map(|names| names.iter().map(|name| with_extent(name, exact)).collect());
        let names: Option<Vec<String>> = names.transpose()?;
        let own = OwnException {
            names: names.unwrap_or(before.names),
            programs: asked.programs.unwrap_or(before.programs),
            groups: asked.groups.unwrap_or(before.groups),
            reason: asked.reason.unwrap_or(before.reason),
            until: asked.until.unwrap_or(before.until),
        };
        self.those_there(&files, &own.programs, &own.groups)?;
        let wish = Wish { confirmed: asked.confirmed, ..Wish::new(OwnException::WORD, target, Some(own.entry())) };
        let done = self.change(who, wish, dry_run).await?;
        Ok(Done { note: noted(taken.into_iter().flatten().collect()), ..done })
    }

    /// Removes an exception or a block that was made here.
    pub async fn remove<T: Numbered>(&self, who: &Who, id: &str, dry_run: bool) -> Result<Done, Refusal> {
        let (key, _) = self.own::<T>(id)?;
        let wish = Wish::new(T::WORD, Target::Key(key), None);
        self.change(who, wish, dry_run).await
    }

    /// What is to be changed, and as it is now; without an id it is new.
    fn target<T: Numbered + Default>(&self, id: Option<&str>) -> Result<(Target, T), Refusal> {
        match id.map(|id| self.own(id)).transpose()? {
            Some((key, own)) => Ok((Target::Key(key), own)),
            None => Ok((Target::New(T::key), T::default())),
        }
    }

    /// What was made here and is called so.
    fn own<T: Numbered>(&self, id: &str) -> Result<(Key, T), Refusal> {
        let overlay = self.overlay();
        let found = T::key_of(id).and_then(|key| Some((T::of(overlay.entry(&key)?)?.clone(), key)));
        let none = || Refusal::new(Kind::NoSuchThing, format!("there is no {} {id} that was made here", T::WORD));
        found.map(|(own, key)| (key, own)).ok_or_else(none)
    }

    /// Blocks a name, or changes the block of that id. A name that an exception passes can't be blocked: exceptions are
    /// stronger, so it would do nothing.
    pub async fn block(&self, who: &Who, id: Option<&str>, asked: BlockAsked, dry_run: bool) -> Result<Done, Refusal> {
        let (target, before) = self.target::<OwnBlock>(id)?;
        let exact = is_exact(asked.r#match.as_deref())?;
        let files = self.files().await;
        self.not_over(asked.until.as_deref(), &files)?;
        let own = OwnBlock {
            name: asked.name.map(|name| with_extent(&name, exact)).transpose()?.unwrap_or(before.name),
            groups: asked.groups.unwrap_or(before.groups),
            reason: asked.reason.unwrap_or(before.reason),
            until: asked.until.unwrap_or(before.until),
        };
        self.those_there(&files, &[], &own.groups)?;
        self.not_twice(id, &own, &files)?;
        if let Some(exception) = self.passing(&own, files)? {
            let detail =
                format!("{} passes it, and exceptions are stronger than blocks; remove it first", exception.place);
            return Err(Refusal::new(Kind::Excepted, detail));
        }
        let wish = Wish { confirmed: asked.confirmed, ..Wish::new(OwnBlock::WORD, target, Some(own.entry())) };
        self.change(who, wish, dry_run).await
    }

    /// The exception that passes a name that is to be blocked for all whom the block is for, if there is one.
    fn passing(&self, block: &OwnBlock, files: Config) -> Result<Option<Exception>, Refusal> {
        let name = config::exception_name(&block.name).map_err(|message| Refusal::field("name", message))?;
        let now = self.now();
        let whole = self.laid(files)?;
        let passes = |exception: &&Exception| {
            let for_all = exception.groups.is_empty()
                || (!block.groups.is_empty() && block.groups.iter().all(|group| exception.groups.contains(group)));
            let of_own = exception.programs.is_empty() || exception.programs.iter().any(|own| own == OWN_PROGRAM);
            exception.until.is_none_or(|until| now < until)
                && for_all
                && of_own
                && exception.names.iter().any(|own| covers(own, &name))
        };
        Ok(whole.exceptions.iter().find(passes).cloned())
    }

    /// Refuses a block that is there already for the same whom and just as long: which of both to remove would be a riddle.
    fn not_twice(&self, id: Option<&str>, block: &OwnBlock, files: &Config) -> Result<(), Refusal> {
        let written = |name: &str| config::exception_name(name).ok();
        let is_same = |own: &OwnBlock| {
            let is_over = config::end_of_day(&own.until, &files.policy.time_zone).is_ok_and(|end| end <= self.now());
            (&own.groups, own.until.trim(), written(&own.name))
                == (&block.groups, block.until.trim(), written(&block.name))
                && !is_over
        };
        let overlay = self.overlay();
        let mut others = overlay.entries().filter(|(key, _)| id != Some(key.id().as_str()));
        let same = others.find(|(_, entry)| OwnBlock::of(entry).is_some_and(is_same));
        same.map_or(Ok(()), |(key, _)| {
            Err(Refusal::field("name", format!("it is blocked so already, by {}", key.id())))
        })
    }

    /// Refuses a last day that is over, by which nothing would be changed. What is no day is told by who reads it.
    fn not_over(&self, until: Option<&str>, files: &Config) -> Result<(), Refusal> {
        let zone = &files.policy.time_zone;
        let end = until.and_then(|until| config::end_of_day(until.trim(), zone).ok());
        match end.is_some_and(|end| end <= self.now()) {
            true => Err(Refusal::field("until", format!("that day is over; now it is {}", zone.shown(self.now())))),
            false => Ok(()),
        }
    }

    /// Refuses programs and groups that aren't there.
    fn those_there(&self, files: &Config, programs: &[String], groups: &[String]) -> Result<(), Refusal> {
        let own_program = self.overlay().entries().any(|(key, _)| matches!(key, Key::Block(_)));
        let known: Vec<&str> = files.programs.iter().map(|program| program.name.as_str()).collect();
        let known = known.into_iter().chain(own_program.then_some(OWN_PROGRAM)).collect::<Vec<_>>();
        if let Some(gone) = programs.iter().find(|program| !known.contains(&program.as_str())) {
            return Err(Refusal::field("programs", unknown("program", gone, &known)));
        }
        let known: Vec<&str> = files.groups.iter().map(|group| group.name.as_str()).chain([DEFAULT_GROUP]).collect();
        match groups.iter().find(|group| !known.contains(&group.as_str())) {
            Some(gone) => Err(Refusal::field("groups", unknown("group", gone, &known))),
            None => Ok(()),
        }
    }
}

/// Whether every name that `name` means is one that `own` means.
fn covers(own: &(Name, Extent), name: &(Name, Extent)) -> bool {
    match (own.1, name.1) {
        (Extent::Exact, Extent::Exact) => own.0 == name.0,
        (Extent::Exact, Extent::Subtree) => false,
        (Extent::Subtree, _) => name.0.is_at_or_below(&own.0),
    }
}

/// What names are said to mean; `None`: nothing is said of it.
fn is_exact(given: Option<&str>) -> Result<Option<bool>, Refusal> {
    match given {
        None | Some("") => Ok(None),
        Some("subtree") => Ok(Some(false)),
        Some("exact") => Ok(Some(true)),
        Some(_) => Err(Refusal::field("match", "write exact or subtree")),
    }
}

/// Puts the host in the place of a URL, or of a host with a port or path behind it; returns that it is so taken. What else
/// is wrong with a name is told by who reads it.
fn take_host(field: &str, name: &mut String) -> Result<Option<String>, Refusal> {
    let typed = name.trim();
    let (exact, text) = typed.strip_prefix('=').map_or(("", typed), |text| ("=", text));
    let host = match asked_name(text) {
        Ok((host, true)) => format!("{exact}{host}"),
        Err(why) if text.contains("://") => return Err(Refusal::field(field, why)),
        _ => return Ok(None),
    };
    let taken = format!("{typed} is taken as {host}");
    *name = host;
    Ok(Some(taken))
}

/// Notes as one.
fn noted(notes: Vec<String>) -> Option<String> {
    Some(notes.join("; ")).filter(|note| !note.is_empty())
}

/// A name as the overlay has it.
fn with_extent(name: &str, exact: Option<bool>) -> Result<String, Refusal> {
    let name = name.trim();
    match (exact, name.starts_with('=')) {
        (Some(false), true) => {
            Err(Refusal::field("match", format!("{name} is one name, and no subtree; leave out its `=`, or this")))
        }
        (Some(true), false) => Ok(format!("={name}")),
        _ => Ok(name.to_owned()),
    }
}
