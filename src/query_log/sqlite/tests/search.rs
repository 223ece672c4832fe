//! What is looked for is found, page by page, in either direction, and no look lasts for long.

use super::*;
use crate::query_log::{
    ClientLike, NameLike, Search,
    sqlite::{Found, Page},
};

fn search(reader: &mut Reader, search: &Search, page: Page, limit: usize) -> Found {
    reader.search(search, page, limit, || true).unwrap()
}

/// All that is looked for, backwards, in pages of a size.
fn backwards(reader: &mut Reader, wanted: &Search, limit: usize, may_go_on: impl Fn() -> bool) -> Vec<(i64, Row)> {
    let (mut all, mut before) = (Vec::new(), i64::MAX);
    loop {
        let found = reader.search(wanted, Page::Before(before), limit, &may_go_on).unwrap();
        assert!(found.rows.len() <= limit);
        all.extend(found.rows);
        match found.older {
            Some(older) if older < before => before = older,
            Some(older) => panic!("{older} is no way on from {before}"),
            None => return all,
        }
    }
}

/// As `traffic`, with clients and types of several kinds.
fn mixed() -> Vec<Row> {
    let mut rows = traffic(6_000, 3);
    for (index, row) in rows.iter_mut().enumerate() {
        row.rr_type = [RrType::A, RrType::AAAA, RrType::HTTPS][index % 3];
        if index.is_multiple_of(50) {
            row.name = String::new();
        }
    }
    rows
}

#[test]
fn pages_have_what_a_plain_look_finds() {
    let (_folder, path) = place();
    let mut writer = Writer::new(&path, LIMITS, origin());
    let rows = mixed();
    // Some are summed up, and some aren't yet.
    write(&mut writer, &rows[..5_000]);
    writer.finish();
    let mut writer = Writer::new(&path, LIMITS, origin());
    write(&mut writer, &rows[5_000..]);
    let mut reader = Reader::open(&path).unwrap();
    let (none, word) = (Search::default, |text: &str| Some(text.to_owned()));
    let time = |index: usize| Some(rows[index].time);
    for wanted in [
        none(),
        Search { fates: vec![Fate::Blocked], ..none() },
        Search { fates: vec![Fate::WouldBlock, Fate::Excepted], ..none() },
        Search { name: Some(NameLike::read("=n4.example")), ..none() },
        Search { name: Some(NameLike::read("n1")), client: Some(ClientLike::read("192.168.1.3")), ..none() },
        Search { name: Some(NameLike::read("nowhere")), ..none() },
        Search { program: word("clean-cloud"), service: word("tiktok"), ..none() },
        Search { service: word("tiktok"), rr_type: Some(RrType::AAAA), ..none() },
        Search { program: word("nobody"), ..none() },
        Search { from: time(1_000), to: time(1_007), ..none() },
        Search { from: time(4_990), to: time(5_010), fates: vec![Fate::Passed], ..none() },
        Search { from: time(5_990), ..none() },
        Search { to: time(12), ..none() },
    ] {
        let mut expected: Vec<&Row> = rows.iter().filter(|row| wanted.finds(row)).collect();
        expected.reverse();
        for (limit, goes_on) in [(1_000, true), (97, true), (97, false)] {
            let found = backwards(&mut reader, &wanted, limit, || goes_on);
            assert!(found.iter().map(|(_, row)| row).eq(expected.iter().copied()), "{wanted:?} {limit} {goes_on}");
            assert!(found.is_sorted_by_key(|(id, _)| std::cmp::Reverse(*id)));
        }
        // Forwards from the oldest come the same, and each page is the newest first.
        let (mut forwards, mut after) = (Vec::new(), Some(0));
        while let Some(from) = after {
            let found = search(&mut reader, &wanted, Page::After(from), 97);
            forwards.splice(0..0, found.rows);
            after = found.newer;
        }
        assert!(forwards.iter().map(|(_, row)| row).eq(expected.iter().copied()), "{wanted:?}");
    }
}

#[test]
fn pages_lead_to_those_beside_them() {
    let (_folder, path) = place();
    let mut writer = Writer::new(&path, LIMITS, origin());
    write(&mut writer, &traffic(30, 1));
    let mut reader = Reader::open(&path).unwrap();
    let ids = |found: &Found| found.rows.iter().map(|(id, _)| *id).collect::<Vec<_>>();
    let first = search(&mut reader, &Search::default(), Page::Before(i64::MAX), 10);
    assert_eq!((ids(&first), first.older, first.newer), ((21..=30).rev().collect(), Some(21), None));
    let second = search(&mut reader, &Search::default(), Page::Before(21), 10);
    assert_eq!((ids(&second), second.older, second.newer), ((11..=20).rev().collect(), Some(11), Some(20)));
    let back = search(&mut reader, &Search::default(), Page::After(20), 10);
    assert_eq!((ids(&back), back.older, back.newer), (ids(&first), Some(21), None));
    let last = search(&mut reader, &Search::default(), Page::Before(11), 10);
    assert_eq!((ids(&last), last.older), ((1..=10).rev().collect(), None));
    // Beyond both ends there is nothing, and a way back.
    let beyond = search(&mut reader, &Search::default(), Page::Before(1), 10);
    assert_eq!((ids(&beyond), beyond.older, beyond.newer), (vec![], None, Some(0)));
    let beyond = search(&mut reader, &Search::default(), Page::Before(0), 10);
    assert_eq!((ids(&beyond), beyond.newer), (vec![], Some(0)), "no row is asked for by less than nothing");
    let beyond = search(&mut reader, &Search::default(), Page::After(30), 10);
    assert_eq!((ids(&beyond), beyond.older, beyond.newer), (vec![], Some(31), None));
}

#[test]
fn a_look_ends_when_its_time_is_up() {
    let (_folder, path) = place();
    let mut writer = Writer::new(&path, LIMITS, origin());
    let mut rows = traffic(5_000, 1);
    rows[10].name = "rare.example".to_owned();
    write(&mut writer, &rows);
    let mut reader = Reader::open(&path).unwrap();
    let rare = Search { name: Some(NameLike::read("=rare.example")), ..Search::default() };
    let found = reader.search(&rare, Page::Before(i64::MAX), 10, || false).unwrap();
    let looked = 1024;
    assert_eq!((found.rows.len(), found.older), (0, Some(5_000 - looked + 1)));
    assert_eq!(found.scanned_until, Some(rows[5_000 - looked as usize].time));
    let all = backwards(&mut reader, &rare, 10, || false);
    assert_eq!(all, [(11, rows[10].clone())]);
}

/// Of one name the sums tell where to look: it is found wherever it is, and little is looked at.
#[test]
fn a_name_is_found_in_the_hours_in_which_it_was_asked_for() {
    let (_folder, path) = place();
    let mut writer = Writer::new(&path, LIMITS, origin());
    let mut rows = traffic(20_000, 10);
    let places = [3, 4, 5_000, 5_001, 11_111, 19_990, 19_999];
    places.iter().for_each(|at| rows[*at].name = "seldom.example".to_owned());
    write(&mut writer, &rows[..19_995]);
    writer.roll().unwrap();
    writer.trim(|| true).unwrap();
    write(&mut writer, &rows[19_995..]);
    let mut reader = Reader::open(&path).unwrap();
    let seldom = Search { name: Some(NameLike::read("=seldom.example")), ..Search::default() };
    let mut check = |places: &[usize]| {
        let ids = |found: &Found| found.rows.iter().map(|(id, _)| *id as usize - 1).rev().collect::<Vec<_>>();
        let found = search(&mut reader, &seldom, Page::Before(i64::MAX), 100);
        assert_eq!((ids(&found), found.older), (places.to_vec(), None));
        assert_eq!(ids(&search(&mut reader, &seldom, Page::After(0), 100)), places);
        let mut looks = 0;
        let count = || {
            looks += 1;
            true
        };
        reader.search(&seldom, Page::Before(i64::MAX), 100, count).unwrap();
        looks
    };
    assert!(check(&places) < 3, "of {} looks", rows.len() / 1024);
    // The first rows of a minute go, and with them its mark; the others are found all the same.
    open(&path).unwrap().execute_batch("DELETE FROM queries WHERE id < 5; DELETE FROM marks WHERE id < 5").unwrap();
    check(&places[1..]);
    writer.finish();
    check(&places[1..]);
    let first = Search { from: Some(rows[4].time), to: Some(rows[4].time + 1), ..Search::default() };
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(search(&mut reader, &first, Page::Before(i64::MAX), 100).rows.len(), 1);
}

/// How often the clock is looked at while all queries for a name are looked for, and the places of those that are found.
fn look_for(reader: &mut Reader, name: &str) -> (usize, Vec<i64>) {
    let wanted = Search { name: Some(NameLike::read(&format!("={name}"))), ..Search::default() };
    let mut looks = 0;
    let count = || {
        looks += 1;
        true
    };
    let found = reader.search(&wanted, Page::Before(i64::MAX), 1_000, count).unwrap();
    let forwards = search(reader, &wanted, Page::After(0), 1_000);
    assert_eq!((forwards.rows, found.older), (found.rows.clone(), None));
    (looks, found.rows.iter().map(|(id, _)| *id).rev().collect())
}

/// Where nearly every query of an hour is for another name, its sums stand in no order.
#[test]
fn a_name_is_found_in_an_hour_of_very_many() {
    let (_folder, path) = place();
    let mut writer = Writer::new(&path, LIMITS, origin());
    let start = (now() / HOUR_MICROS - 1) * HOUR_MICROS;
    let one = |index: i64| row(start + index * 50_000, "192.168.1.1", &format!("n{index}.example"), &Arc::default());
    let mut rows: Vec<Row> = (0..62_000).map(one).collect();
    let places = [7, 30_000, 61_990];
    places.iter().for_each(|at| rows[*at].name = "seldom.example".to_owned());
    for piece in rows.chunks(2_000) {
        write(&mut writer, piece);
        writer.roll().unwrap();
    }
    writer.finish();
    assert!(count_of("parts", &path) > 30_000 && count_of("hours", &path) > 0, "some of them are merged");
    let mut reader = Reader::open(&path).unwrap();
    let (looks, found) = look_for(&mut reader, "seldom.example");
    assert_eq!(found, places.map(|at| at as i64 + 1));
    assert!(looks < 10, "{looks} looks; at all rows they are {}", rows.len() / 1024);
    for at in (0..62_000).step_by(991) {
        assert_eq!(look_for(&mut reader, &format!("n{at}.example")).1, [at + 1], "{at}");
    }
    assert_eq!(look_for(&mut reader, "nowhere.example").1, [0; 0]);
    // A version without sieves wrote last, or all along.
    open(&path).unwrap().execute_batch("DELETE FROM sieves WHERE first % 4000 = 0").unwrap();
    assert_eq!(look_for(&mut reader, "seldom.example").1, places.map(|at| at as i64 + 1));
    rusqlite::Connection::open(&path).unwrap().execute_batch("DROP TABLE sieves").unwrap();
    let mut reader = Reader::open(&path).unwrap();
    let (looks, found) = look_for(&mut reader, "seldom.example");
    assert_eq!(found, places.map(|at| at as i64 + 1));
    assert!(looks > 50, "{looks} looks, though nothing leads there");
}

/// In an hour whose sums are in order they tell when in it a name was asked for.
#[test]
fn of_an_hour_only_the_minutes_are_looked_at_in_which_a_name_was_asked_for() {
    let (_folder, path) = place();
    let mut writer = Writer::new(&path, LIMITS, origin());
    // Neither the first hour, which began late, nor the newest is the one looked at: these two are looked at as a whole.
    let start = (now() / HOUR_MICROS - 2) * HOUR_MICROS - 100_000_000;
    let one =
        |index: i64| row(start + index * 90_000, "192.168.1.1", &format!("n{}.example", index % 500), &Arc::default());
    let mut rows: Vec<Row> = (0..61_000).map(one).collect();
    rows[20_000].name = "seldom.example".to_owned();
    for piece in rows.chunks(2_000) {
        write(&mut writer, piece);
        writer.roll().unwrap();
    }
    let before = count_of("sieves", &path);
    writer.finish();
    assert_eq!(count_of("parts", &path), 0, "all are merged");
    let left = count_of("sieves", &path);
    assert!(left < before / 2, "{left} of {before} sieves are left, and are of no use");
    let mut reader = Reader::open(&path).unwrap();
    let (looks, found) = look_for(&mut reader, "seldom.example");
    assert_eq!(found, [20_001]);
    assert!(looks < 8, "{looks} looks");
}

#[test]
fn one_row_is_found_by_its_number_and_by_what_was_told_of_it() {
    let (_folder, path) = place();
    let mut writer = Writer::new(&path, LIMITS, origin());
    let rows = traffic(100, 1);
    write(&mut writer, &rows);
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(reader.row(7).unwrap().as_ref(), Some(&rows[6]));
    assert_eq!((reader.row(0).unwrap(), reader.row(101).unwrap()), (None, None));
    for round in 0..2 {
        let Row { time, name, client, .. } = &rows[41];
        assert_eq!(reader.find(*time, name, client).unwrap(), Some(42), "{round}");
        assert_eq!(reader.find(*time, name, "nobody").unwrap(), None);
        assert_eq!(reader.find(*time + 1, name, client).unwrap(), None);
        writer.finish();
    }
}

#[test]
fn minutes_are_those_of_all_rows_summed_up_or_not() {
    let (_folder, path) = place();
    let mut writer = Writer::new(&path, LIMITS, origin());
    let rows = traffic(3_000, 1);
    let plain = |from: i64, to: i64| {
        let mut minutes: BTreeMap<i64, [u64; 5]> = BTreeMap::new();
        for row in &rows {
            let minute = row.time.div_euclid(MINUTE_MICROS);
            if (from.div_euclid(MINUTE_MICROS)..to.div_euclid(MINUTE_MICROS)).contains(&minute) {
                minutes.entry(minute).or_default()[row.fate() as usize] += 1;
            }
        }
        minutes.into_iter().collect::<Vec<_>>()
    };
    let check = || {
        let reader = Reader::open(&path).unwrap();
        for (from, to) in [(0, now()), (rows[700].time, rows[1_900].time), (now(), now() + MINUTE_MICROS)] {
            assert_eq!(reader.minutes(from, to).unwrap(), plain(from, to));
        }
    };
    write(&mut writer, &rows[..2_000]);
    writer.roll().unwrap();
    write(&mut writer, &rows[2_000..]);
    check();
    writer.finish();
    check();
    // Rows go, and their sums stay.
    forget_rows(&path);
    check();
}

/// A clock that was ahead for a while: its minutes come again, and others after them.
#[test]
fn rows_are_found_whatever_the_clock_did() {
    let year = 365 * 24 * 60;
    for (clock, gone) in [
        // Ahead by some minutes, or by a year for a moment; ahead from the start on, as before the first word of a time server.
        (vec![0..5, 25..28, 8..40], 0),
        (vec![0..5, year..year + 1, 8..40, 41..42], 0),
        (vec![60..90, 60..100], 0),
        (vec![60..90, 30..100], 0),
        (vec![200..230, 60..75, 75..240], 0),
        // And the rows from before it was set back are gone.
        (vec![60..90, 60..100], 40 * 30),
        (vec![60..90, 30..100], 7 * 30),
    ] {
        let (_folder, path) = place();
        let base = (now() / HOUR_MICROS - 5) * HOUR_MICROS;
        let minutes: Vec<i64> = clock.iter().cloned().flatten().collect();
        let one = |(index, minute): (usize, i64)| {
            (0..30).map(move |at| {
                let time = base + minute * MINUTE_MICROS + at * 2_000_000;
                row(time, "192.168.1.1", &format!("n{}.example", (index as i64 * 30 + at) % 41), &Arc::default())
            })
        };
        let rows: Vec<Row> = minutes.iter().copied().enumerate().flat_map(one).collect();
        let mut writer = Writer::new(&path, LIMITS, origin());
        // In the order in which they come, some summed up together, by processes that follow one upon the other.
        for (number, piece) in rows.chunks(30).enumerate() {
            assert_eq!(write(&mut writer, piece), 0);
            if number.is_multiple_of(4) {
                writer.roll().unwrap();
            }
            if number.is_multiple_of(13) {
                writer.finish();
            }
        }
        writer.roll().unwrap();
        let gone_rows = format!("DELETE FROM queries WHERE id <= {gone}");
        open(&path).unwrap().execute_batch(&gone_rows).unwrap();
        trim(&path, LIMITS, base + 101 * MINUTE_MICROS);
        let mut reader = Reader::open(&path).unwrap();
        for (from, to) in
            [(0, 3), (2, 30), (25, 26), (26, 41), (60, 61), (61, 63), (70, 95), (89, 92), (95, 101), (210, 215)]
        {
            let [from, to] = [from, to].map(|minute| Some(base + minute * MINUTE_MICROS + 7_000_000));
            for name in [None, Some(NameLike::read("=n7.example"))] {
                for (from, to) in [(from, to), (from, None), (None, to)] {
                    let wanted = Search { from, to, name: name.clone(), ..Search::default() };
                    let left = rows.iter().skip(gone).filter(|row| wanted.finds(row));
                    let mut found: Vec<Row> =
                        backwards(&mut reader, &wanted, 1_000, || true).into_iter().map(|(_, row)| row).collect();
                    let mut expected: Vec<Row> = left.cloned().collect();
                    for rows in [&mut found, &mut expected] {
                        rows.sort_by(|one, other| (one.time, &one.name).cmp(&(other.time, &other.name)));
                    }
                    assert!(
                        found == expected,
                        "{clock:?} {gone}: {} not {} of {wanted:?}",
                        found.len(),
                        expected.len()
                    );
                }
            }
        }
        let oldest = base + 62 * MINUTE_MICROS;
        trim(&path, Limits { keep: Duration::from_secs(39 * 60), ..LIMITS }, base + 101 * MINUTE_MICROS);
        let old = format!("(SELECT 1 FROM queries WHERE time < {oldest})");
        assert_eq!(count_of(&old, &path), 0, "{clock:?}: what is too old is gone");
    }
}
