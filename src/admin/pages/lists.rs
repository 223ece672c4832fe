//! All lists, and one of them.

use super::super::{
    AdminState,
    asked::Query,
    auth::Reader,
    problem::Refusal,
    view::{
        diff::{DiffAsked, DiffError, DiffView, HitView, diff},
        held::{HeldView, held, names_in},
        list::{VersionView, WholeList, whole},
        lists::{Decided, Hits, ListView, WEEK_HOURS, count as count_lists, never_hit, with_hits},
    },
};
use super::{
    Shell, show,
    words::{ago, count, counted, octets, stamp},
};
use crate::report::Moment;
use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "lists.html", config = "src/admin/pages/askama.toml")]
struct ListsPage {
    shell: Shell,
    programs: Vec<Program>,
    lists: usize,
    rules: usize,
    troubled: usize,
    held: usize,
    skipped: usize,
    now: Moment,
    /// Folders that can't be read, and services that are named and nowhere.
    troubles: Vec<String>,
    /// Only lists that decided nothing in the last week are shown.
    never_hit: bool,
    /// Why it isn't known what lists decided in the last day and week.
    why_not: Option<String>,
}

/// The lists of a program.
struct Program {
    name: String,
    lists: Vec<(ListView, Hits)>,
}

#[derive(Template)]
#[template(path = "list.html", config = "src/admin/pages/askama.toml")]
struct ListPage {
    shell: Shell,
    whole: WholeList,
    now: Moment,
    started: Moment,
    /// What differs between two of its texts, if that was asked for.
    diff: Option<Result<DiffView, DiffError>>,
    /// What letting rules through would come to, likewise.
    held: Option<Result<HeldView, DiffError>>,
    /// Whether anything that lasts can be changed.
    can_keep: bool,
    /// What was typed, and why it wasn't done.
    reason: String,
    refusal: Option<Refusal>,
}

/// Which lists.
#[derive(Deserialize, Default)]
pub struct Wanted {
    /// Anything: only those that are on and decided nothing in the last week.
    #[serde(default)]
    never_hit: String,
}

pub async fn page(State(state): State<AdminState>, reader: Reader, Query(wanted): Query<Wanted>) -> Response {
    let (mut view, hits) = with_hits(&state);
    let why_not = count_lists(&state, &mut view.lists).await;
    let sum = |of: fn(&ListView) -> usize| view.lists.iter().map(of).sum::<usize>();
    let folders = view.folder_troubles.iter().map(|(program, why)| format!("{program}: {why}"));
    let unknown = view.unknown_services.iter().map(|service| format!("{service}: no list is of this service"));
    let mut page = ListsPage {
        shell: Shell::new(&state, reader, "/lists", "Lists"),
        programs: Vec::new(),
        lists: view.lists.len(),
        rules: sum(|list| list.rules),
        troubled: sum(|list| usize::from(list.trouble.is_some())),
        held: sum(|list| list.held_count),
        skipped: sum(|list| list.skipped_count),
        now: Moment(state.pipeline.now().saturating_mul(1_000_000)),
        troubles: folders.chain(unknown).collect(),
        never_hit: !wanted.never_hit.is_empty(),
        why_not,
    };
    let is_shown = |list: &ListView| !page.never_hit || never_hit(list);
    for list in view.lists.into_iter().zip(hits).filter(|(list, _)| is_shown(list)).collect::<Vec<_>>() {
        match page.programs.iter_mut().find(|program| program.name == list.0.program) {
            Some(program) => program.lists.push(list),
            None => page.programs.push(Program { name: list.0.program.clone(), lists: vec![list] }),
        }
    }
    show(page)
}

/// Which texts of a list are compared, if any are.
#[derive(Deserialize, Default)]
pub struct Compared {
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    /// How far back it is looked whom the difference would have hit.
    #[serde(default)]
    hours: Option<u32>,
    /// The names by which rules would be let through that are held back.
    #[serde(default)]
    let_through: String,
}

/// What is shown beside the list itself.
#[derive(Default)]
pub struct Beside {
    pub diff: Option<DiffAsked>,
    /// Names by which rules would be let through.
    pub names: Vec<String>,
    /// What was typed, and why it wasn't done.
    pub reason: String,
    pub refusal: Option<Refusal>,
}

/// `GET /lists/{program}/{list}?from&to&hours&let_through`
pub async fn one(
    State(state): State<AdminState>,
    reader: Reader,
    Path((program, name)): Path<(String, String)>,
    Query(Compared { from, to, hours, let_through }): Query<Compared>,
) -> Response {
    let is_compared = !from.is_empty() || !to.is_empty();
    let diff = is_compared.then_some(DiffAsked { from, to, hours });
    let names = names_in(&let_through);
    shown(&state, reader, (&program, &name), Beside { diff, names, ..Beside::default() }).await
}

/// The page again, with what was typed and why it wasn't done.
pub async fn again(state: &AdminState, reader: Reader, list: &str, refusal: Refusal, beside: Beside) -> Response {
    let status = refusal.kind.status();
    let list = list.split_once('/').unwrap_or((list, ""));
    let is_there = super::super::view::lists::of_state(state, list.0, list.1, |_| ()).is_some();
    if !is_there {
        return refusal.into_response();
    }
    (status, shown(state, reader, list, Beside { refusal: Some(refusal), ..beside }).await).into_response()
}

async fn shown(
    state: &AdminState,
    reader: Reader,
    (program, name): (&str, &str),
    Beside { diff: asked, names, reason, refusal }: Beside,
) -> Response {
    let Some(whole) = whole(state, program, name).await else {
        return (StatusCode::NOT_FOUND, "there is no such list\n").into_response();
    };
    let diff = match asked {
        Some(asked) => Some(diff(state, program, name, asked).await),
        None => None,
    };
    let held = match names[..] {
        [] => None,
        _ => Some(held(state, program, name, &names, Some(WEEK_HOURS)).await),
    };
    show(ListPage {
        shell: Shell::new(state, reader, "/lists", name),
        whole,
        now: Moment(state.pipeline.now().saturating_mul(1_000_000)),
        started: state.started(),
        diff,
        held,
        can_keep: state.desk.can_keep(),
        reason,
        refusal,
    })
}

impl ListPage {
    fn list(&self) -> &ListView {
        &self.whole.list
    }

    /// What it decided: letter, word, queries, and in which time. In the last week, if that is known.
    fn tiles(&self) -> [(&'static str, &'static str, u64, String); 3] {
        let hits = &self.whole.hits;
        type Of = fn(&Decided) -> u64;
        let kinds: [(_, _, Of); 3] = [
            ("b", "Blocked", |hits| hits.blocked),
            ("w", "Would be", |hits| hits.would_block),
            ("e", "Excepted", |hits| hits.excepted),
        ];
        // What an exception of the owner's let pass is in what is recorded alone.
        let own = |letter: &str| if letter == "e" { ", by its own exceptions" } else { "" };
        kinds.map(|(letter, word, of)| match (&hits.last_week, &hits.last_day) {
            (Some(week), Some(day)) => (letter, word, of(week), format!("in 7 days; {} in 24 hours", count(of(day)))),
            _ => (letter, word, of(&hits.since_start), format!("since the start of this process{}", own(letter))),
        })
    }

    /// Since when it is counted, and how.
    fn counted(&self) -> String {
        let hits = &self.whole.hits;
        let start = format!(
            "{} since the start of this process, {}, without what your own exceptions let pass",
            count(hits.since_start.all()),
            ago(self.started, self.now)
        );
        let recorded = match (&hits.why_not, hits.made_at) {
            (Some(why), _) => format!("of day and week: {why}"),
            (None, Some(made_at)) => format!("day and week as of {}", ago(made_at, self.now)),
            (None, None) => return start,
        };
        format!("{start}; {recorded}")
    }

    /// The versions, each with the one that came before it, if that is kept.
    fn versions(&self) -> Vec<(&VersionView, Option<&VersionView>)> {
        let all = &self.whole.versions;
        let before = |at: usize| all.get(at + 1..).and_then(|older| older.iter().find(|own| own.bytes.is_some()));
        all.iter().enumerate().map(|(at, own)| (own, before(at).filter(|_| own.bytes.is_some()))).collect()
    }

    /// Where two texts are compared.
    fn compare(&self, from: &str, to: &str) -> String {
        format!("{}?from={from}&to={to}#diff", self.address())
    }

    fn address(&self) -> String {
        let list = self.list();
        format!("/lists/{}/{}", super::words::encoded(&list.program), super::words::encoded(&list.list))
    }

    /// The names by which the rule on a line is let through, if it is held back and they are known.
    fn passes_by(&self, line: &u32) -> Option<&[String]> {
        let named = self.list().passes_by.iter().find(|own| own.line == *line)?;
        Some(&named.names)
    }

    /// Where it is asked whether rules are to be let through.
    fn ask_of(&self, names: &[String]) -> String {
        format!("{}?let_through={}#let-through", self.address(), super::words::encoded(&names.join(" ")))
    }

    /// What forms name the list by.
    fn name(&self) -> String {
        format!("{}/{}", self.list().program, self.list().list)
    }

    /// Lists of the owner's exceptions belong to no program, and can't be changed here.
    fn can_pin(&self) -> bool {
        self.can_keep && self.shell.may_change() && !self.list().program.starts_with("exception ")
    }
}

/// What a list's being pinned at a version is, on a button.
fn choice(version: &VersionView) -> &'static str {
    if version.in_force || version.newest { "Pin this one" } else { "Roll back to this" }
}

/// Rules held back, after they were named.
fn them(held: &HeldView) -> &'static str {
    if held.rules.count == 1 { "it" } else { "them" }
}

/// What a version is, in words.
fn standing(version: &VersionView) -> Vec<&'static str> {
    let words = [
        (version.in_force, "in force"),
        (version.pinned, "pinned"),
        (version.newest && !version.in_force, "newest, waits"),
        (version.bytes.is_none(), "not kept yet"),
    ];
    words.into_iter().filter_map(|(is, word)| is.then_some(word)).collect()
}

/// What rules would have hit, in a sentence.
fn hit_told(hit: &HitView) -> String {
    if hit.queries == 0 {
        return "They would have hit none of these.".to_owned();
    }
    let clients = counted(hit.clients as u64, "client", "clients");
    let names = counted(hit.names as u64, "name", "names");
    format!(
        "They match {} for {names}, asked by {clients}.",
        counted(hit.queries, "of these queries", "of these queries")
    )
}

/// What is to be looked at in a list, in a few words.
fn to_look_at(list: &ListView) -> Vec<String> {
    let count = |count: usize, one: &str, many: &str| (count > 0).then(|| counted(count as u64, one, many));
    let pinned = list.pinned.as_ref().map(|pinned| match (&pinned.trouble, &pinned.waiting) {
        (Some(trouble), _) => format!("pinned, but {trouble}"),
        (None, Some(_)) => "pinned, a newer version waits".to_owned(),
        (None, None) => "pinned".to_owned(),
    });
    let troubles = [&list.trouble, &list.doubt].into_iter().flatten().cloned();
    let held = count(list.held_count, "rule held back", "rules held back");
    let skipped = count(list.skipped_count, "line skipped", "lines skipped");
    pinned.into_iter().chain(troubles).chain(held).chain(skipped).collect()
}

/// When a list's text was taken in.
fn since(list: &ListView) -> Option<Moment> {
    list.since.map(moment)
}

/// When a list's content last changed.
fn changed(list: &ListView) -> Option<Moment> {
    list.changed_at.map(moment)
}

fn moment(seconds: u64) -> Moment {
    Moment(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000))
}

/// The letter of a mode's colour and shape.
fn letter(mode: &str) -> &'static str {
    match mode {
        "enforce" => "b",
        "shadow" => "w",
        _ => "p",
    }
}

/// A field of the list's own header.
fn field<'l>(list: &'l ListView, name: &str) -> Option<&'l str> {
    list.header.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}
