//! The report in sentences, for who decides.

use super::{
    form::{ProgramRow, Report},
    words::{Share, count, counted, queries, span},
};

fn clients(number: u64) -> String {
    counted(number, "client", "clients")
}

/// False where nothing is kept of clients: a number of them would say nothing.
fn knows_clients(report: &Report) -> bool {
    report.totals.clients > 0
}

/// `3 of 12 clients`.
fn of_clients(share: &Share) -> String {
    format!("{} of {}", count(share.part), clients(share.of))
}

/// What happened, a sentence a thing.
pub(super) fn headline(report: &Report) -> Vec<String> {
    let totals = &report.totals;
    let scope = match (&report.only_client, &report.only_program) {
        (Some(client), Some(program)) => format!(" This is about {program} and the client {client} alone."),
        (Some(client), None) => format!(" This is about the client {client} alone."),
        (None, Some(program)) => format!(" Of programs this is about {program} alone."),
        (None, None) => String::new(),
    };
    let what = match (knows_clients(report), totals.queries) {
        (false, 1..) => format!("{} came", queries(totals.queries)),
        _ => format!("{} asked {}", clients(totals.clients), queries(totals.queries)),
    };
    let mut lines = vec![format!(
        "In the {} from {} to {} (UTC) {what} for {} under {}.{scope}",
        span(report.to.0.saturating_sub(report.from.0)),
        report.from.minute(),
        report.to.minute(),
        counted(totals.names, "name", "names"),
        counted(totals.domains, "registrable domain", "registrable domains"),
    )];
    lines.extend(report.programs.iter().filter(|row| row.hits.queries.part > 0).map(|row| program(report, row)));
    if totals.blocked.part + totals.would_block.part == 0 {
        lines.push("Nothing was blocked, and nothing would have been.".to_owned());
    }
    if totals.excepted.part > 0 {
        lines.push(format!("Exceptions let {} pass.", totals.excepted.told("query", "queries")));
    }
    if totals.refused.part > 0 {
        let refused = totals.refused.told("query", "queries");
        lines
            .push(format!("{refused} got an error at once: who asked isn't admitted, or the query can't be answered."));
    }
    if totals.bypass.part > 0 {
        let who = if knows_clients(report) { of_clients(&totals.clients_with_bypass) } else { "Somebody".to_owned() };
        lines.push(format!("{who} looked for a way round this resolver, in {}.", queries(totals.bypass.part)));
    }
    lines.extend(caveats(report));
    lines
}

/// What a program did, or would have done.
fn program(report: &Report, row: &ProgramRow) -> String {
    let hits = &row.hits;
    let who = if knows_clients(report) { of_clients(&hits.clients) } else { "Clients".to_owned() };
    let what = match (hits.blocked, hits.would_block) {
        (blocked, 0) => format!("asked {} for what {} blocks", times(blocked), row.program),
        (0, would) if row.would_block_until_named > 0 => {
            let all =
                format!("asked {} for what {} would block if all of its services were", times(would), row.program);
            format!("{all} enforced, and {} if it were", times(would.saturating_sub(row.would_block_until_named)))
        }
        (0, would) => format!("asked {} for what {} would block if it were enforced", times(would), row.program),
        (blocked, would) => format!(
            "asked {} for what {} blocks, and {} for what it would block if all of it were enforced",
            times(blocked),
            row.program,
            times(would)
        ),
    };
    format!("{who} {what}: {} of all {}.", hits.queries.percent(), queries(report.totals.queries))
}

fn times(number: u64) -> String {
    counted(number, "time", "times")
}

/// What the numbers can't say.
fn caveats(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    if report.only_client.is_some() && report.totals.queries == 0 {
        lines.push(
            "Nothing is recorded of this client in this time; clients are named as they are recorded.".to_owned(),
        );
    }
    if let Some(first) = report.held.first.filter(|first| *first > report.from) {
        lines.push(format!("The record begins only on {}.", first.minute()));
    }
    if let Some(early) = report.held.removed_early.filter(|early| *early > report.from) {
        lines.push(format!(
            "There was no room for all single queries as long as they were to be kept: of those until {} at most sums are left. \
             [query_log] size sets the room, if the disk has it.",
            early.minute()
        ));
    }
    if report.held.unreadable_lines > 0 {
        let lines_there = counted(report.held.unreadable_lines, "line", "lines");
        lines.push(format!("Of the file {lines_there} could not be read as queries, and are in no number here."));
    }
    if report.held.several_servers {
        lines.push(
            "Several servers may have recorded this: one address at two of them counts as one client, and a client with \
             two pseudonyms as two."
                .to_owned(),
        );
    }
    for (word, caveat) in [
        ("none", "Clients weren't kept, so numbers of clients are 0 and say nothing."),
        ("prefix", "Of clients only networks were kept: a client here is a network."),
        (
            "hashed",
            "Of clients only pseudonyms were kept, which are others each day and each time the server starts: who asked \
             on three days counts as three clients.",
        ),
    ] {
        if report.privacy.iter().any(|kept| kept == word) {
            lines.push(caveat.to_owned());
        }
    }
    match report.privacy.len() {
        0 => lines.push("How clients were kept isn't known: one may be a network, or a pseudonym of a day.".to_owned()),
        1 => {}
        _ => lines.push("Clients were kept in several ways, so some count more than once.".to_owned()),
    }
    let limits = &report.limits;
    for (number, what) in [
        (
            limits.queries_without_tables,
            "are in the totals and the time line alone: there are too many names or clients",
        ),
        (limits.queries_without_time, "are missing in the time line: it is too long"),
        (limits.answers_without_look, "had answers in which collateral wasn't looked for: there are too many"),
        (
            limits.queries_without_retries,
            "were blocked and not watched for retries: only sums of them are left, or there are too many",
        ),
        (
            limits.queries_without_kinds,
            "are missing in the tables by group, type and transport: there are too many of these",
        ),
    ] {
        if number > 0 {
            lines.push(format!("{} {what}.", queries(number)));
        }
    }
    lines
}

/// What an owner needs to decide on a program: what it hits, for whom, why, and what stands beside that.
pub(super) fn decision(report: &Report, row: &ProgramRow) -> Vec<String> {
    let hits = &row.hits;
    let mut lines = vec![mode(row)];
    if hits.queries.part == 0 {
        lines.push(format!("It hit none of {}.", queries(report.totals.queries)));
        return lines;
    }
    let verb = match (hits.blocked, hits.would_block) {
        (_, 0) => "It blocked",
        _ if row.would_block_until_named > 0 => "With all of its services enforced, it would have blocked",
        (0, _) => "Enforced, it would have blocked",
        _ => "Enforced as a whole, it would have blocked",
    };
    let names = hits.names.told("name", "names");
    let domains = counted(row.domains_hit.part, "registrable domain", "registrable domains");
    let all = hits.queries.told("query", "queries");
    let who = if knows_clients(report) { format!(", from {}", of_clients(&hits.clients)) } else { String::new() };
    lines.push(format!("{verb} {all}{who}, for {names} under {domains}."));
    if row.would_block_until_named > 0 {
        lines.push(format!(
            "Of these {} are hit by services that stay in shadow until the configuration names them ({}): mode = \
             \"enforce\" for the program alone would have blocked {}.",
            count(row.would_block_until_named),
            row.until_named.join(", "),
            count(hits.queries.part.saturating_sub(row.would_block_until_named))
        ));
    }
    lines.extend(most(report, row));
    lines.push(causes(row));
    lines.push(shared(report, row));
    if hits.excepted > 0 {
        lines.push(format!(
            "Exceptions, yours or of its lists, matched {}, with those that nothing would have blocked all the same.",
            queries(hits.excepted)
        ));
    }
    if row.names_retried > 0 {
        let names = counted(row.names_retried, "blocked name was", "blocked names were");
        lines.push(format!("{names} asked for again and again, so somebody may miss it (a guess)."));
    }
    lines
}

/// Its mode now, for whom and when it holds.
fn mode(row: &ProgramRow) -> String {
    let program = &row.program;
    let but = match (row.varies_by_group, row.varies_by_time) {
        (false, false) => "",
        (true, false) => " for clients in no group; some groups have another mode",
        (false, true) => " at the times of its schedule, and off at all others",
        (true, true) => {
            " for clients in no group, at the times of its schedule; some groups have another mode, and at all other times \
             it is off"
        }
    };
    match row.modes.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // Modes are as they are now, and may have been others.
        ["shadow"] if but.is_empty() && row.hits.blocked > 0 => {
            format!("{program} is in shadow now: it counts, and blocks nothing any more.")
        }
        ["shadow"] if but.is_empty() => format!("{program} is in shadow: it counts, and blocks nothing."),
        ["shadow"] => format!("{program} is in shadow{but}."),
        ["enforce"] => format!("{program} is enforced{but}."),
        ["off"] if row.varies_by_group => {
            format!("{program} is off for clients in no group; some groups have another mode.")
        }
        ["off"] => format!("{program} is off now."),
        [] => format!("{program} has no list now."),
        _ => {
            let word = |mode: &String| match mode.as_str() {
                "enforce" => "enforced",
                "shadow" => "in shadow",
                _ => "off",
            };
            let modes: Vec<&str> = row.modes.iter().map(word).collect();
            format!("{program} has lists that are {}{but}.", modes.join(", and some that are "))
        }
    }
}

/// The domains with most of it.
fn most(report: &Report, row: &ProgramRow) -> Option<String> {
    let domain = |at: &super::form::ProgramDomain| {
        let of = if knows_clients(report) { format!(" of {}", clients(at.clients)) } else { String::new() };
        format!("{} ({}{of})", at.domain, queries(at.queries))
    };
    let told: Vec<String> = row.domains.iter().map(domain).collect();
    (!told.is_empty()).then(|| format!("Most of it: {}.", told.join(", ")))
}

/// What rules matched: the name asked, who asks, or where the name leads.
fn causes(row: &ProgramRow) -> String {
    let hits = row.triggers.iter().filter(|at| at.outcome != "except");
    let (mut asked, mut of_client, mut led): (u64, u64, Vec<(&str, u64)>) = (0, 0, Vec::new());
    for at in hits {
        match at.trigger {
            "qname" => asked += at.queries,
            "client" => of_client += at.queries,
            trigger => match led.iter_mut().find(|(known, _)| *known == trigger) {
                Some((_, queries)) => *queries += at.queries,
                None => led.push((trigger, at.queries)),
            },
        }
    }
    let sum: u64 = led.iter().map(|(_, queries)| queries).sum();
    let by_client = match (of_client, asked + sum) {
        (0, _) => String::new(),
        (_, 0) => return "All of it because of who asks, whatever the name.".to_owned(),
        _ => format!("{} because of who asks, whatever the name. ", count(of_client)),
    };
    let all = if of_client == 0 { "All of it" } else { "All the rest" };
    if led.is_empty() {
        return format!("{by_client}{all} because of the name asked; none because of where a name leads.");
    }
    let kinds: Vec<String> = led.iter().map(|(trigger, number)| format!("{trigger} {}", count(*number))).collect();
    let which = match asked {
        0 => all.to_owned(),
        _ => format!("{} because of the name asked itself; {}", count(asked), count(sum)),
    };
    let kinds = kinds.join(", ");
    format!(
        "{by_client}{which} only because of where the name leads ({kinds}): such names can belong to anybody who is hosted \
         there."
    )
}

/// What shares its infrastructure.
fn shared(report: &Report, row: &ProgramRow) -> String {
    let seen = &row.names_with_answer;
    if row.sharing.names == 0 {
        let why = if row.hits.blocked > 0 { "what is blocked isn't resolved" } else { "none of them had an answer" };
        return match seen.part {
            0 => format!("Where these names lead isn't known, since {why}; nor what else is there."),
            _ => format!(
                "Nothing else was seen at the aliases and addresses of those {} names whose answer is known.",
                count(seen.part)
            ),
        };
    }
    let of = if knows_clients(report) { format!(" of {}", clients(row.sharing.clients)) } else { String::new() };
    format!(
        "{} an alias target or address with what it hits ({}{of}; the answers of {} of {} \
         names are known). Rules on names leave them alone; rules on that target or address would take them along.",
        counted(row.sharing.names, "name that nothing hits shares", "names that nothing hits share"),
        queries(row.sharing.queries),
        count(seen.part),
        count(seen.of)
    )
}
