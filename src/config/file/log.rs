//! `[log]`: what the log tells, and how.

use super::{super::Log, reader::Table, text::shown};
use tracing_subscriber::EnvFilter;

const FILTER: &str = "info,hickory_server=warn,hickory_resolver=error,hickory_net=error,hickory_proto=error";
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// What the names begin with of those in this program that write into the log most. Others are told by `=` and a level.
const WHO_LOGS: [&str; 5] = ["cleandns", "hickory", "h2", "hyper", "rustls"];

pub(super) fn read_log(table: &Table<'_>) -> Log {
    if let Some(value) = table.value("filter")
        && let Some(written) = value.text("info")
        && let Err(why) = judge(written)
    {
        value.problem(why);
    }
    Log {
        filter: table.text("filter", FILTER),
        json: table.boolean("json", false),
        queries: table.boolean("queries", false),
    }
}

/// What is wrong with a filter. A word alone may be anybody's name, and a filter of such names tells nothing.
fn judge(filter: &str) -> Result<(), String> {
    let is_meant = |word: &str| {
        let is_level =
            LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word)) || word.parse::<u8>().is_ok_and(|n| n < 6);
        is_level || word.contains(['=', '[', ']', '{', '}']) || WHO_LOGS.iter().any(|name| word.starts_with(name))
    };
    if let Some(word) = filter.split(',').map(str::trim).find(|word| !word.is_empty() && !is_meant(word)) {
        return Err(format!(
            "{} is no level; write {}, or whose level it is too, such as hickory_resolver=debug",
            shown(word),
            LEVELS.join(", "),
        ));
    }
    let parsed = EnvFilter::try_new(filter);
    parsed.map(drop).map_err(|error| {
        format!("{} can't be read: {error}; write \"info\", or levels by name as in the default", shown(filter))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_filter_may_say() {
        for good in [
            "",
            "info",
            "OFF",
            "3",
            FILTER,
            "warn,cleandns=debug",
            "cleandns::lists",
            "hickory_resolver",
            "info,anybody=trace",
            "info,cleandns[{name}]=debug",
        ] {
            assert_eq!(judge(good), Ok(()), "{good}");
        }
        for (bad, part) in [
            ("inffo", "\"inffo\" is no level; write off, error, warn, info, debug, trace, or"),
            ("info,inffo", "\"inffo\" is no level"),
            ("warning", "\"warning\" is no level"),
            ("warn, cleandns=debug", "can't be read: "),
            ("in=fo=o", "\"in=fo=o\" can't be read: "),
            ("cleandns=inffo", "can't be read: "),
        ] {
            let why = judge(bad).unwrap_err();
            assert!(why.starts_with(part) || why.contains(part), "{bad}: {why}");
        }
    }
}
