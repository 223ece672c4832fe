//! Traffic made up from a seed, and small things to make rows of.

use crate::{
    dns::{Rcode, RrType},
    policy::{Outcome, Trigger},
    query::CacheUse,
    query_log::{Row, Said, Seen, Verdicts},
    report::{Context, Filter, Held, KnownList, Moment, Report, Tally},
};
use std::{net::IpAddr, sync::Arc};

/// 2026-11-21 00:00 UTC.
pub(super) const START: i64 = 1_795_219_200_000_000;
pub(super) const SECOND: i64 = 1_000_000;
pub(super) const HOUR: i64 = 3600 * SECOND;
pub(super) const DAY: i64 = 24 * HOUR;

/// Marsaglia's xorshift: the same numbers from the same seed.
pub(super) struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in `times`.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Small numbers more often.
    fn skewed(&mut self, end: u64) -> u64 {
        self.below(end).min(self.below(end)).min(self.below(end))
    }
}

/// A row of which nothing is said.
pub(super) fn row(client: &str, name: &str, time: i64) -> Row {
    Row {
        time,
        client: client.to_owned(),
        name: name.to_owned(),
        micros: 100,
        cache: Some(CacheUse::Hit),
        ..Row::default()
    }
}

/// `program/service` said something by a line of its only list.
pub(super) fn said(path: &str, (line, rule): (u32, &str), trigger: Trigger, outcome: Outcome) -> Said {
    let (program, service) = path.split_once('/').unwrap();
    Said {
        program: program.into(),
        service: service.into(),
        list: format!("{service}.list").into(),
        version: "0123456789abcdef".into(),
        line,
        rule: rule.into(),
        trigger,
        outcome,
        acted: outcome == Outcome::Block,
    }
}

pub(super) fn verdicts(said: impl IntoIterator<Item = Said>) -> Arc<Verdicts> {
    Arc::new(Verdicts { said: said.into_iter().collect(), ..Verdicts::default() })
}

pub(super) fn known(path: &str, mode: &str, rules: u64) -> KnownList {
    let (program, service) = path.split_once('/').unwrap();
    KnownList {
        program: program.to_owned(),
        service: service.to_owned(),
        list: format!("{service}.list"),
        version: "0123456789abcdef".to_owned(),
        mode: mode.to_owned(),
        until_named: false,
        rules,
    }
}

/// A week in which some lists are known.
pub(super) fn context() -> Context {
    Context {
        from: START,
        to: START + 7 * DAY,
        made_at: START + 7 * DAY + 5 * HOUR,
        instance: "home".to_owned(),
        source: "queries.db".to_owned(),
        privacy: vec!["full".to_owned()],
        lists: vec![
            known("clean-store/tiktok", "enforce", 40),
            known("clean-store/wechat", "enforce", 25),
            known("clean-apps/hms", "enforce", 30),
            known("clean-cloud/alibaba-hosting", "shadow", 41),
            known("clean-cable/hmn", "shadow", 2),
            known("clean-carrier/telecom", "off", 9),
        ],
        held: Held { first: Some(Moment(START - DAY)), ..Held::default() },
        ..Context::default()
    }
}

/// The report on rows.
pub(super) fn report(rows: &[Row]) -> Report {
    tally(rows, Filter::default()).finish(&context())
}

pub(super) fn tally(rows: &[Row], filter: Filter) -> Tally {
    let mut tally = Tally::by_day(filter);
    rows.iter().for_each(|row| tally.add(&Seen::one(row)));
    tally
}

/// What counts for a program, service, list and rule, and as what.
pub(super) fn counted(row: &Row) -> impl Iterator<Item = (&Said, Outcome)> {
    let Verdicts { owner, said, overruled, .. } = &*row.verdicts;
    let beaten = overruled.iter().filter(move |lost| {
        owner.is_some() && lost.outcome != Outcome::Except && said.iter().all(|said| said.program != lost.program)
    });
    said.iter().map(|said| (said, said.outcome)).chain(beaten.map(|lost| (lost, Outcome::Except)))
}

/// A week of a household or office, in the order of time.
pub(super) fn traffic(seed: u64, queries: u64, clients: u64) -> Vec<Row> {
    let mut dice = Dice(seed);
    let mut times: Vec<i64> = (0..queries).map(|_| START + time(&mut dice)).collect();
    times.sort_unstable();
    times.into_iter().map(|time| query(&mut dice, clients, time)).collect()
}

/// A time of the week: more by day.
fn time(dice: &mut Dice) -> i64 {
    let hour = (7 + dice.below(17).max(dice.below(17))) % 24;
    (dice.below(7) * 24 + hour) as i64 * HOUR + dice.below(3600) as i64 * SECOND
}

fn query(dice: &mut Dice, clients: u64, time: i64) -> Row {
    let client = format!("192.168.1.{}", 10 + dice.skewed(clients));
    let mut row = match dice.below(100) {
        0..70 => ordinary(dice, &client, time),
        70..78 => store(dice, &client, time),
        78..84 => apps(dice, &client, time),
        84..96 => cloud(dice, &client, time),
        96..98 => bypass(dice, &client, time),
        _ => Row { name: String::new(), ..row(&client, "", time) },
    };
    row.rr_type = [RrType::A, RrType::AAAA, RrType::HTTPS][dice.below(3) as usize];
    row.cache = [None, Some(CacheUse::Hit), Some(CacheUse::Miss), Some(CacheUse::Stale)][dice.below(4) as usize];
    if dice.once_in(60) {
        row.rcode = Rcode::SERVFAIL;
    }
    if dice.once_in(400) {
        row.client = String::new();
    }
    row
}

fn ordinary(dice: &mut Dice, client: &str, time: i64) -> Row {
    let number = dice.skewed(300);
    let mut row = row(client, &format!("www.site{number}.example"), time);
    // Some sites stand where the names stand that are blocked.
    if number.is_multiple_of(9) {
        row.aliases = vec![format!("edge{}.cdn.example", number % 4)];
    }
    row.addresses = vec![address(number % 40)];
    row
}

fn store(dice: &mut Dice, client: &str, time: i64) -> Row {
    let (number, line) = (dice.skewed(30), dice.below(5) as u32 + 1);
    let mut row = row(client, &format!("api{number}.tiktok.example"), time);
    let service = if line == 5 { "wechat" } else { "tiktok" };
    let outcome = if dice.once_in(12) { Outcome::Except } else { Outcome::Block };
    row.verdicts = verdicts([said(
        &format!("clean-store/{service}"),
        (line, &format!("rule{line}.example")),
        Trigger::Qname,
        outcome,
    )]);
    row.dropped = outcome == Outcome::Block && dice.once_in(20);
    row
}

fn apps(dice: &mut Dice, client: &str, time: i64) -> Row {
    let number = dice.skewed(20);
    let mut row = row(client, &format!("hms{number}.vendor{}.example", number % 3), time);
    row.aliases = vec![format!("edge{}.cdn.example", number % 5)];
    let trigger = if dice.once_in(2) { Trigger::Cname } else { Trigger::Qname };
    let mut all = vec![said("clean-apps/hms", (3, "vendor.example"), trigger, Outcome::Block)];
    if dice.once_in(4) {
        let cloud = ("clean-cloud/alibaba-hosting", (9, ""));
        all.push(said(cloud.0, cloud.1, Trigger::Address, Outcome::WouldBlock));
    }
    row.verdicts = verdicts(all);
    row
}

fn cloud(dice: &mut Dice, client: &str, time: i64) -> Row {
    let number = dice.skewed(60);
    let mut row = row(client, &format!("shop{number}.customer{}.example", number % 25), time);
    row.addresses = vec![address(number % 50)];
    let trigger = [Trigger::Address, Trigger::Cname, Trigger::Qname][dice.below(3) as usize];
    row.verdicts = if dice.once_in(15) {
        let rule = ("clean-cloud/alibaba-hosting", (number as u32 % 7 + 1, ""));
        let beaten = said(rule.0, rule.1, trigger, Outcome::WouldBlock);
        let of_store = said("clean-store/wechat", (5, "rule5.example"), Trigger::Qname, Outcome::Block);
        let overruled = vec![beaten].into_iter().chain(dice.once_in(3).then_some(of_store)).collect();
        Arc::new(Verdicts::new(Some("cleandns.toml:12".into()), Vec::new(), overruled))
    } else {
        let line = number as u32 % 7 + 1;
        verdicts([said("clean-cloud/alibaba-hosting", (line, ""), trigger, Outcome::WouldBlock)])
    };
    row
}

fn bypass(dice: &mut Dice, client: &str, time: i64) -> Row {
    let name = ["use-application-dns.net", "mask.icloud.com", "dns.google"][dice.below(3) as usize];
    Row { bypass: true, ..row(client, name, time) }
}

fn address(number: u64) -> IpAddr {
    IpAddr::from([203, 0, 113, number as u8])
}
