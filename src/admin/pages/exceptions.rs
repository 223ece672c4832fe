//! Exceptions and blocks by hand.

use super::super::{
    AdminState,
    asked::Query,
    auth::Reader,
    problem::{Kind, Refusal},
    view::{
        exceptions::{ExceptionHits, ListException, Own, one, own_with_hits},
        tops::PAGE_WITHIN,
    },
};
use super::{
    Shell, show,
    words::{count, counted},
};
use crate::config::{
    DEFAULT_GROUP,
    overlay::{Entry, name_told},
};
use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Deserialize;

/// What the forms begin with.
#[derive(Deserialize, Clone, Default, Debug)]
pub struct Typed {
    /// Of one that is to be changed.
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub name: String,
    /// `exact` or not.
    #[serde(default)]
    pub r#match: String,
    #[serde(default)]
    pub program: String,
    #[serde(default)]
    pub group: String,
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub until: String,
    /// The form that is meant: `except` or `block`.
    #[serde(default)]
    pub verb: String,
}

#[derive(Template)]
#[template(path = "exceptions.html", config = "src/admin/pages/askama.toml")]
struct Page {
    shell: Shell,
    view: Own,
    except: Form,
    block: Form,
    programs: Vec<String>,
    groups: Vec<String>,
    can_keep: bool,
}

/// A form as it is shown.
#[derive(Default)]
struct Form {
    /// Empty: for a new one.
    id: String,
    names: String,
    exact: bool,
    programs: Vec<String>,
    groups: Vec<String>,
    reason: String,
    until: String,
    problem: Option<Refusal>,
}

impl Form {
    fn of(typed: &Typed) -> Self {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty()).into_iter().collect();
        Self {
            id: String::new(),
            names: typed.name.clone(),
            exact: typed.r#match == "exact",
            programs: some(&typed.program),
            groups: some(&typed.group),
            reason: typed.reason.clone(),
            until: typed.until.clone(),
            problem: None,
        }
    }

    /// What is there, to be changed.
    fn of_entry(id: &str, entry: Entry) -> Self {
        let (names, programs, groups, reason, until) = match entry {
            Entry::Exception(own) => (own.names.join(" "), own.programs, own.groups, own.reason, own.until),
            Entry::Block(own) => (own.name, Vec::new(), own.groups, own.reason, own.until),
            Entry::Mode(_) | Entry::Schedule(_) | Entry::Pin(_) | Entry::LetThrough(_) => return Self::default(),
        };
        Self { id: id.to_owned(), names, exact: false, programs, groups, reason, until, problem: None }
    }

    fn problem_of(&self, field: &str) -> Option<&str> {
        self.problem.as_ref().and_then(|refusal| refusal.of_field(field))
    }

    /// What is typed covers so much that it has to be confirmed.
    fn is_broad(&self) -> bool {
        self.problem.as_ref().is_some_and(|refusal| refusal.kind == Kind::Confirm)
    }

    /// What is told above the form: what is told at no field.
    fn problem(&self) -> Option<&str> {
        let refusal = self.problem.as_ref()?;
        let at_field = ["names", "name", "programs", "groups", "reason", "until"];
        let is_told = refusal.fields.iter().all(|own| at_field.contains(&own.field.as_str()));
        (refusal.fields.is_empty() || !is_told).then_some(refusal.detail.as_str())
    }
}

/// `GET /except?name&match&program&group&reason&until`, and `?id` to change one.
pub async fn page(State(state): State<AdminState>, reader: Reader, Query(typed): Query<Typed>) -> Response {
    let entry = Some(typed.id.as_str()).filter(|id| !id.is_empty()).and_then(|id| one(&state, id));
    let (mut except, mut block) = (Form::default(), Form::default());
    match entry {
        Some(entry @ Entry::Block(_)) => block = Form::of_entry(&typed.id, entry),
        Some(entry) => except = Form::of_entry(&typed.id, entry),
        None if typed.verb == "block" => block = Form::of(&typed),
        None => except = Form::of(&typed),
    }
    shown(&state, reader, except, block).await
}

/// The page again, with what was typed and what is wrong with it.
pub async fn again(state: &AdminState, reader: Reader, is_block: bool, asked: Asked, refusal: Refusal) -> Response {
    let status = refusal.kind.status();
    let form = Form {
        id: asked.id,
        names: asked.names,
        exact: asked.exact,
        programs: asked.programs,
        groups: asked.groups,
        reason: asked.reason,
        until: asked.until,
        problem: Some(refusal),
    };
    let (except, block) = if is_block { (Form::default(), form) } else { (form, Form::default()) };
    (status, shown(state, reader, except, block).await).into_response()
}

/// What a form was sent with.
#[derive(Clone, Default, Debug)]
pub struct Asked {
    pub id: String,
    pub names: String,
    pub exact: bool,
    pub programs: Vec<String>,
    pub groups: Vec<String>,
    pub reason: String,
    pub until: String,
}

async fn shown(state: &AdminState, reader: Reader, except: Form, block: Form) -> Response {
    let config = state.settings.config();
    let groups = config.groups.iter().map(|group| group.name.clone()).chain([DEFAULT_GROUP.to_owned()]).collect();
    let page = Page {
        shell: Shell::new(state, reader, "/except", "Exceptions and blocks"),
        view: own_with_hits(state, PAGE_WITHIN).await,
        except,
        block,
        programs: config.programs.iter().map(|program| program.name.clone()).collect(),
        groups,
        can_keep: state.desk.can_keep(),
    };
    show(page)
}

/// How often something matched in the last day and week; `None`: that isn't known.
fn told(hits: &ExceptionHits) -> Option<(String, String)> {
    hits.hits_24h.zip(hits.hits_7d).map(|(day, week)| (count(day), count(week)))
}

/// Rules that matched something in the last week, and those that didn't.
fn apart(rules: &[ListException]) -> (Vec<&ListException>, Vec<&ListException>) {
    rules.iter().partition(|own| own.hits.hits_7d.is_some_and(|hits| hits > 0))
}
