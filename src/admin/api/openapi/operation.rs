//! One method at one path, as the document tells of it: such a line stands beside each route.

use super::super::{super::problem::Kind, asked::Try};
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// What makes the schema of a type.
pub type Made = fn(&mut SchemaGenerator) -> Schema;

/// Answers of one operation that aren't problems.
const ANSWERS_MAX: usize = 3;

/// A method at a path.
#[derive(Clone, Copy)]
pub struct Operation {
    /// In lower case.
    pub method: &'static str,
    pub path: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What else is to be known of it.
    pub more: &'static str,
    pub who: Who,
    pub query: Option<Made>,
    pub body: Option<Made>,
    /// It may be left out.
    pub body_is_optional: bool,
    pub answers: [Option<Answer>; ANSWERS_MAX],
    /// Beside those that all operations of its kind share.
    pub problems: &'static [Kind],
}

/// Who may ask for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Whoever reaches it.
    Anybody,
    /// Who isn't known yet: it is how one becomes known.
    Newcomer,
    Reader,
    Operator,
}

/// A status and what comes with it.
#[derive(Clone, Copy)]
pub struct Answer {
    pub status: u16,
    pub what: &'static str,
    pub content: Content,
}

/// What a body is.
#[derive(Clone, Copy)]
pub enum Content {
    None,
    Json(Made),
    /// A text of this media type.
    Text(&'static str),
}

/// `GET`, for everybody who may look.
pub const fn get(path: &'static str, summary: &'static str) -> Operation {
    Operation {
        method: "get",
        path,
        summary,
        more: "",
        who: Who::Reader,
        query: None,
        body: None,
        body_is_optional: false,
        answers: [None; ANSWERS_MAX],
        problems: &[],
    }
}

/// A change, by an operator.
pub const fn change(method: &'static str, path: &'static str, summary: &'static str) -> Operation {
    Operation { method, who: Who::Operator, ..get(path, summary) }
}

impl Operation {
    /// More of it.
    pub const fn more(self, more: &'static str) -> Self {
        Self { more, ..self }
    }

    /// By somebody else than usual.
    pub const fn by(self, who: Who) -> Self {
        Self { who, ..self }
    }

    /// The fields of `Q` stand in its query.
    pub const fn asks<Q: JsonSchema>(self) -> Self {
        Self { query: Some(whole::<Q>), ..self }
    }

    /// Its body is a `B` as JSON.
    pub const fn takes<B: JsonSchema>(self) -> Self {
        Self { body: Some(part::<B>), ..self }
    }

    /// The same, or none.
    pub const fn may_take<B: JsonSchema>(self) -> Self {
        Self { body_is_optional: true, ..self.takes::<B>() }
    }

    /// It can be tried.
    pub const fn tried(self) -> Self {
        self.asks::<Try>()
    }

    /// It answers with a `T` as JSON.
    pub const fn gives<T: JsonSchema>(self, status: u16, what: &'static str) -> Self {
        self.answers(Answer { status, what, content: Content::Json(part::<T>) })
    }

    /// It answers with a text.
    pub const fn gives_text(self, media_type: &'static str, what: &'static str) -> Self {
        self.answers(Answer { status: 200, what, content: Content::Text(media_type) })
    }

    /// It answers with a status alone.
    pub const fn gives_nothing(self, status: u16, what: &'static str) -> Self {
        self.answers(Answer { status, what, content: Content::None })
    }

    const fn answers(mut self, answer: Answer) -> Self {
        let mut at = 0;
        while self.answers[at].is_some() {
            at += 1;
        }
        self.answers[at] = Some(answer);
        self
    }

    /// What it may be refused for.
    pub const fn refuses(self, problems: &'static [Kind]) -> Self {
        Self { problems, ..self }
    }

    /// Whether it does anything, and if only to one's own session.
    pub fn is_changing(&self) -> bool {
        self.method != "get"
    }
}

/// A reference to a schema, or the schema itself if it is a small one.
fn part<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Schema {
    schemas.subschema_for::<T>()
}

/// The schema itself.
fn whole<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Schema {
    T::json_schema(schemas)
}
