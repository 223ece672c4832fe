//! Zones against a naive twin, and octets of any kind.

use super::*;

/// What a zone comes to, by splitting at white space and comparing text; records of one owner stand together.
fn naive(lines: &[(&str, &str, &str)]) -> Vec<String> {
    let (mut told, mut kinds) = (Vec::new(), HashMap::new());
    for (line, &(owner, rr_type, data)) in (2..).zip(lines) {
        let owner = owner.to_lowercase();
        let relative = match owner.strip_suffix('.') {
            None => owner.as_str(),
            Some(absolute) => match absolute.strip_suffix(".rpz.x") {
                Some(relative) => relative,
                None => {
                    told.push(format!("{line}!"));
                    continue;
                }
            },
        };
        let Some((matcher, action)) = naive_matcher(relative).zip(naive_action(relative, rr_type, data)) else {
            told.push(format!("{line}!"));
            continue;
        };
        let said = if rr_type == "CNAME" { data } else { "" };
        match kinds.get(relative) {
            None => told.push(format!("{line}: {matcher} {action}")),
            Some(first) if *first == said && said.is_empty() => told.push(format!("{line}: {matcher} {action}")),
            Some(first) if *first == said => {}
            Some(_) => told.push(format!("{line}!")),
        }
        kinds.entry(relative.to_owned()).or_insert(said);
    }
    told
}

fn naive_matcher(relative: &str) -> Option<String> {
    let labels: Vec<&str> = relative.split('.').collect();
    let named = |text: &str| match text.strip_prefix("*.") {
        _ if text == "*" => Some("*..".to_owned()),
        Some(rest) if !rest.split('.').any(|label| label == "*") => Some(format!("*.{rest}")),
        None if !text.split('.').any(|label| label == "*") => Some(format!("={text}")),
        _ => None,
    };
    let (kind, before) = labels.split_last()?;
    match *kind {
        "rpz-nsdname" if !before.is_empty() => named(&before.join(".")).map(|name| format!("ns {name}")),
        "rpz-ip" => naive_network(before).map(|net| format!("ip {net}")),
        "rpz-client-ip" => naive_network(before).map(|net| format!("client {net}")),
        "rpz-nsip" => naive_network(before).map(|net| format!("nsip {net}")),
        kind if kind.starts_with("rpz-") => None,
        _ => named(relative),
    }
}

fn naive_network(labels: &[&str]) -> Option<String> {
    let (length, reversed) = labels.split_first().filter(|(_, reversed)| !reversed.is_empty())?;
    let length: u32 = length.parse().ok()?;
    let forward: Vec<&str> = reversed.iter().rev().copied().collect();
    let (bits, width, address): (u128, u32, IpAddr) = if forward.len() == 4 && !forward.contains(&"zz") {
        let address: Ipv4Addr = forward.join(".").parse().ok()?;
        (u128::from(address.to_bits()) << 96, 32, address.into())
    } else {
        let text = format!(":{}:", forward.join(":")).replace(":zz:", "::");
        let text = if text.starts_with("::") { &text[..] } else { &text[1..] };
        let text = if text.ends_with("::") { text } else { &text[..text.len() - 1] };
        let address: Ipv6Addr = text.parse().ok()?;
        (address.to_bits(), 128, address.into())
    };
    (1..=width).contains(&length).then_some(())?;
    let is_clean = bits.checked_shl(length).unwrap_or(0) == 0;
    let is_mapped = width == 128 && length >= 96 && bits >> 32 == 0xffff;
    (is_clean && !is_mapped).then(|| format!("{address}/{length}"))
}

/// True if `data` is what stands before the kind of trigger.
fn is_named(relative: &str, data: &str) -> bool {
    let named = relative.rsplit_once('.').filter(|(_, kind)| kind.starts_with("rpz-"));
    named.is_some_and(|(named, _)| data == format!("{named}."))
}

fn naive_action(relative: &str, rr_type: &str, data: &str) -> Option<String> {
    Some(match (rr_type, data) {
        ("CNAME", ".") => "NXDOMAIN".to_owned(),
        ("CNAME", "*.") => "NODATA".to_owned(),
        ("CNAME", "rpz-passthru.") => "pass".to_owned(),
        ("CNAME", "rpz-drop.") => "drop".to_owned(),
        ("CNAME", "rpz-tcp-only.") => "TCP".to_owned(),
        ("CNAME", data) if data.trim_end_matches('.') == relative => "pass".to_owned(),
        ("CNAME", data) if is_named(relative, data) => "pass".to_owned(),
        ("CNAME", data) if data.starts_with("rpz-") => return None,
        ("CNAME", data) => format!("-> {}", data.trim_end_matches('.')),
        ("NS", _) => return None,
        (rr_type, data) => format!("9 {rr_type} {data}"),
    })
}

const LABELS: [&str; 24] = [
    "a",
    "b",
    "com",
    "*",
    "0",
    "1",
    "2",
    "10",
    "192",
    "32",
    "24",
    "64",
    "128",
    "zz",
    "zz",
    "db8",
    "2001",
    "ffff",
    "256",
    "rpz-ip",
    "rpz-client-ip",
    "rpz-nsip",
    "rpz-nsdname",
    "rpz-foo",
];
const DATA: [(&str, &str); 14] = [
    ("CNAME", "."),
    ("CNAME", "*."),
    ("CNAME", "rpz-passthru."),
    ("CNAME", "rpz-drop."),
    ("CNAME", "rpz-tcp-only."),
    ("CNAME", "rpz-foo."),
    ("CNAME", "a."),
    ("CNAME", "a.com."),
    ("CNAME", "*.garden.x."),
    ("A", "192.0.2.1"),
    ("A", "192.0.2.2"),
    ("AAAA", "2001:db8::1"),
    ("TXT", "\"a b\""),
    ("NS", "a."),
];

/// An owner: names, and triggers on addresses that are mostly well-formed.
fn owners() -> impl Strategy<Value = String> {
    let label = || prop::sample::select(LABELS.as_slice());
    let odd = prop::collection::vec(label(), 1..8).prop_map(|labels| labels.join("."));
    let short = prop::collection::vec(prop::sample::select(&LABELS[..4]), 1..3).prop_map(|labels| labels.join("."));
    let kind = prop::sample::select(&LABELS[19..22]);
    let group = prop::sample::select(&["0", "0", "zz", "1", "db8", "ffff", "10"][..]);
    let ipv6 = (1..140u32, prop::collection::vec(group, 1..10), kind.clone())
        .prop_map(|(length, groups, kind)| format!("{length}.{}.{kind}", groups.join(".")));
    let ipv4 = (1..35u32, any::<u32>(), any::<bool>(), kind).prop_map(|(length, bits, is_clean, kind)| {
        let bits = if is_clean { bits & u32::MAX.checked_shl(32u32.saturating_sub(length)).unwrap_or(0) } else { bits };
        let [a, b, c, d] = bits.to_be_bytes();
        format!("{length}.{d}.{c}.{b}.{a}.{kind}")
    });
    prop_oneof![odd, short, ipv6, ipv4]
}

proptest! {
    /// Every record of a random zone is read as the naive twin reads it.
    #[test]
    fn random_zones_are_read_as_by_the_naive_twin(
        mut records in prop::collection::vec(
            (owners(), 0..3usize, any::<bool>(), prop::sample::select(DATA.as_slice())), 0..60),
    ) {
        records.sort_by(|a, b| a.0.cmp(&b.0));
        let owners: Vec<String> = (records.iter())
            .map(|(owner, end, is_upper, _)| {
                let owner = format!("{owner}{}", ["", ".rpz.x.", "."][*end]);
                if *is_upper { owner.to_uppercase() } else { owner }
            })
            .collect();
        let lines: Vec<(&str, &str, &str)> =
            owners.iter().zip(&records).map(|(owner, (.., (rr_type, data)))| (owner.as_str(), *rr_type, *data)).collect();
        let mut text = "rpz.x. 9 SOA l. r.l. 1 2 3 4 5".to_owned();
        lines.iter().for_each(|(owner, rr_type, data)| text += &format!("\n{owner} {rr_type} {data}"));
        let told: Vec<String> = (read(&text).into_iter())
            .map(|told| if told.contains('!') { told[..=told.find('!').unwrap()].to_owned() } else { told })
            .collect();
        prop_assert_eq!(told, naive(&lines), "{}", text);
    }

    #[test]
    fn random_octets_do_no_harm(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
        let mut told = Told::default();
        read_lines(lines.iter().map(Vec::as_slice), &mut told);
        prop_assert!(told.0.len() <= lines.len());
        looks_like_zone(&String::from_utf8_lossy(&lines.concat()));
    }

    /// Words of zones in any order, which get further than octets do.
    #[test]
    fn random_words_do_no_harm(words in prop::collection::vec(prop::sample::select(&[
        " ", " ", "\n", "\n", ".", "*", "@", "(", ")", ";", "\"", "$ORIGIN ", "$TTL ", "a", "rpz-ip", "rpz-nsdname", "zz", "24",
        "CNAME ", "SOA ", "A ", "192.0.2.1", "rpz-drop.", "\\", "x. SOA . . 1 2 3 4 5\n",
    ][..]), 0..80)) {
        let text = words.concat();
        read(&text);
        looks_like_zone(&text);
    }
}
