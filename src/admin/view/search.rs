//! What somebody looks for in the log, as it is typed: in an address, or in a form.

use crate::{
    config,
    dns::RrType,
    policy::Zone,
    query_log::{ClientLike, Fate, NameLike, Search},
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Octets of one thing that is typed: longer than any name.
const TYPED_BYTES_MAX: usize = 2048;

/// A search as it is typed. What is empty narrows nothing.
#[derive(Deserialize, JsonSchema, Clone, PartialEq, Eq, Default, Debug)]
#[serde(default)]
pub struct Asked {
    /// A part of a name; `=name` for just that one; `.name` for it and all below.
    pub name: String,
    /// An address, a network, a part of a name, or what privacy left of a client.
    pub client: String,
    pub program: String,
    /// `service` of any program, `program/service`, or `program/` for all of one.
    pub service: String,
    /// `blocked`, `would-block`, `excepted`, `passed`, `refused`, separated by commas; `any`: something was said.
    pub verdict: String,
    pub r#type: String,
    /// RFC 3339, a day, a time of day in UTC, or `2h` for two hours ago.
    pub from: String,
    pub to: String,
    /// Pages: before this row, or after it.
    #[schemars(with = "u64")]
    pub before: String,
    #[schemars(with = "u64")]
    pub after: String,
    /// Rows of a page: 100, unless it is said, and 500 at most.
    #[schemars(with = "u64")]
    pub limit: String,
    /// What isn't known.
    #[serde(flatten)]
    pub other: BTreeMap<String, String>,
}

/// Something typed that can't be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{field}: {why}")]
pub struct Invalid {
    pub field: &'static str,
    pub why: String,
}

impl Asked {
    /// What is looked for; `now` in seconds since 1970.
    pub fn search(&self, now: i64) -> Result<Search, Invalid> {
        for (field, text) in self.fields() {
            if text.len() > TYPED_BYTES_MAX {
                return Err(Invalid { field, why: format!("write at most {TYPED_BYTES_MAX} octets") });
            }
        }
        let given = |text: &str| Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned);
        let (mut program, mut service) = (given(&self.program), given(&self.service));
        if let Some((of, rest)) = service.as_deref().and_then(|service| service.split_once('/')) {
            (program, service) = (given(of).or(program), given(rest));
        }
        let rr_type = given(&self.r#type).map(|text| match text.parse() {
            Ok(number) => Ok(RrType(number)),
            Err(_) => text.parse(),
        });
        let rr_type = rr_type.transpose();
        let time = |field, text: &str| {
            let now = now.saturating_mul(1_000_000);
            let read = given(text).map(|text| config::moment_or_ago(&text, &Zone::utc(), now)).transpose();
            read.map_err(|why| Invalid { field, why })
        };
        let (from, to) = (time("from", &self.from)?, time("to", &self.to)?);
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            return Err(Invalid { field: "from", why: "it is not before the other time".to_owned() });
        }
        Ok(Search {
            name: given(&self.name).map(|name| NameLike::read(&name)),
            client: given(&self.client).map(|client| ClientLike::read(&client)),
            program,
            service,
            fates: fates(&self.verdict)?,
            rr_type: rr_type.map_err(|_| Invalid {
                field: "type",
                why: format!("`{}` is no type; write one as AAAA or 65", self.r#type.trim()),
            })?,
            from,
            to,
        })
    }

    /// Where to look, and how many rows are wanted: `default` of them, at most `max`.
    pub fn page(&self, default: usize, max: usize) -> Result<(crate::query_log::sqlite::Page, usize), Invalid> {
        use crate::query_log::sqlite::Page;
        let number = |field, text: &str| match text.trim() {
            "" => Ok(None),
            text => text
                .parse::<i64>()
                .ok()
                .filter(|number| *number >= 0)
                .map(Some)
                .ok_or_else(|| Invalid { field, why: format!("`{text}` is no number") }),
        };
        let page = match (number("before", &self.before)?, number("after", &self.after)?) {
            (before, None) => Page::Before(before.unwrap_or(i64::MAX)),
            (None, Some(after)) => Page::After(after),
            (Some(_), Some(_)) => {
                return Err(Invalid { field: "after", why: "write before or after, and not both".to_owned() });
            }
        };
        let limit = number("limit", &self.limit)?.map_or(default, |limit| usize::try_from(limit).unwrap_or(max));
        if !(1..=max).contains(&limit) {
            return Err(Invalid { field: "limit", why: format!("write a number from 1 to {max}") });
        }
        Ok((page, limit))
    }

    /// Something that narrows the search, each with its name.
    pub fn fields(&self) -> [(&'static str, &str); 8] {
        [
            ("name", &self.name),
            ("client", &self.client),
            ("program", &self.program),
            ("service", &self.service),
            ("verdict", &self.verdict),
            ("type", &self.r#type),
            ("from", &self.from),
            ("to", &self.to),
        ]
    }

    /// The first word that isn't known.
    pub fn unknown(&self) -> Option<&str> {
        self.other.keys().next().map(String::as_str)
    }
}

fn fates(text: &str) -> Result<Vec<Fate>, Invalid> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let mut fates = Vec::new();
    for word in words {
        match Fate::ALL.into_iter().find(|fate| fate.word() == word) {
            Some(fate) => fates.push(fate),
            None if word == "any" => fates.extend([Fate::Blocked, Fate::WouldBlock, Fate::Excepted]),
            None => {
                let known = Fate::ALL.map(Fate::word).join(", ");
                return Err(Invalid { field: "verdict", why: format!("`{word}` is none of {known}, any") });
            }
        }
    }
    Ok(fates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query_log::sqlite::Page;

    const NOW: i64 = 1_795_900_000;

    #[test]
    fn what_is_typed_is_understood_or_refused() {
        let asked = |set: fn(&mut Asked)| {
            let mut asked = Asked::default();
            set(&mut asked);
            asked.search(NOW)
        };
        assert_eq!(asked(|_| ()), Ok(Search::default()));
        let said = |program: Option<&str>, service: Option<&str>| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            Ok(Search { program: owned(program), service: owned(service), ..Search::default() })
        };
        assert_eq!(asked(|a| a.service = "clean-store/tiktok".into()), said(Some("clean-store"), Some("tiktok")));
        assert_eq!(asked(|a| a.service = "clean-store/".into()), said(Some("clean-store"), None));
        assert_eq!(asked(|a| a.service = " tiktok ".into()), said(None, Some("tiktok")));
        assert_eq!(asked(|a| a.program = "clean-store".into()), said(Some("clean-store"), None));
        assert_eq!(asked(|a| a.verdict = "any, passed".into()).unwrap().fates.len(), 4);
        let from = |text: &str| Asked { from: text.to_owned(), ..Asked::default() }.search(NOW).map(|own| own.from);
        assert_eq!(from("2h"), Ok(Some((NOW - 7200) * 1_000_000)));
        assert_eq!(from("2026-11-28"), Ok(Some(1_795_824_000_000_000)));
        assert_eq!(from("2026-11-28T01:00"), Ok(Some(1_795_827_600_000_000)));
        assert_eq!(from("2026-11-28T01:00:00+01:00"), Ok(Some(1_795_824_000_000_000)));
        let field = |set: fn(&mut Asked)| asked(set).unwrap_err().field;
        assert_eq!(field(|a| a.from = "yesterday".into()), "from");
        assert_eq!(field(|a| a.to = "2026-11-28T11:00:00[Europe/Berlin]".into()), "to");
        assert_eq!(field(|a| (a.from, a.to) = ("1h".into(), "2h".into())), "from");
        assert_eq!(field(|a| a.verdict = "maybe".into()), "verdict");
        assert_eq!(field(|a| a.r#type = "NONSENSE".into()), "type");
        assert_eq!(field(|a| a.r#type = "65536".into()), "type");
        let of_type = |text: &str| Asked { r#type: text.to_owned(), ..Asked::default() }.search(NOW).unwrap().rr_type;
        for text in ["65", "TYPE65", "https"] {
            assert_eq!(of_type(text), Some(RrType::HTTPS), "{text}");
        }
        assert_eq!(field(|a| a.name = "x".repeat(3000)), "name");
    }

    #[test]
    fn pages_are_before_or_after_a_row() {
        let page = |before: &str, after: &str, limit: &str| {
            let typed = |text: &str| text.to_owned();
            let asked = Asked { before: typed(before), after: typed(after), limit: typed(limit), ..Asked::default() };
            asked.page(100, 500).map_err(|error| error.field)
        };
        assert_eq!(page("", "", ""), Ok((Page::Before(i64::MAX), 100)));
        assert_eq!(page("7", "", "5"), Ok((Page::Before(7), 5)));
        assert_eq!(page("", "7", "500"), Ok((Page::After(7), 500)));
        assert_eq!(page("7", "7", ""), Err("after"));
        assert_eq!(page("x", "", ""), Err("before"));
        assert_eq!(page("-1", "", ""), Err("before"));
        assert_eq!((page("", "", "0"), page("", "", "501")), (Err("limit"), Err("limit")));
    }
}
