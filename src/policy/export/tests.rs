//! What others make of an export: the same, or less where it is told.

use super::*;
use crate::{
    dns::{Name, RrType},
    policy::{
        Action, Asking, Client, ListSpec, OwnerException, PolicySpec, ProgramSpec, Role, Scope,
        parse::{Format, Options, parse},
    },
};
use proptest::{collection::vec, prelude::*, sample::select};
use std::sync::Arc;

/// One enforcing program `p` of lists `s`, `t` …; the owner's exceptions pass names with all below.
fn policy_of(lists: &[(Format, &str)], owner: &[&str]) -> Policy {
    let list = |(index, (format, text)): (usize, &(Format, &str))| {
        let options = Options { format: *format, ..Options::default() };
        let parsed = parse(text.as_bytes(), &options).map(|parsed| {
            assert_eq!(parsed.skipped.first, [], "{text}");
            parsed.rules
        });
        let service = ["s", "t", "u"][index];
        ListSpec {
            role: Role::Program(0),
            service: service.to_owned(),
            default: (index == 2).then_some(Mode::Shadow),
            never_acts: false,
            name: format!("{service}.list"),
            version: 0,
            rules: Arc::new(parsed.unwrap_or_default()),
        }
    };
    let exception = OwnerException {
        names: owner.iter().map(|text| (text.parse().unwrap(), Scope::Subtree)).collect(),
        programs: vec![],
        groups: vec![],
        until: Some(1000),
        reason: String::new(),
        place: "cleandns.toml:1".to_owned(),
    };
    let program = ProgramSpec::enforced("p");
    Policy::build(PolicySpec {
        owner_exceptions: vec![exception],
        ..PolicySpec::of(vec![program], lists.iter().enumerate().map(list).collect())
    })
    .unwrap()
}

const ALL: Wanted<'static> = Wanted { program: 0, least: Mode::Enforce, services: &[], now: 0 };

/// The lines of an export that are no comment, sorted, and what was left out.
fn lines(policy: &Policy, form: Form, wanted: &Wanted<'_>) -> (Vec<String>, Vec<String>) {
    let mut text = String::new();
    let exported = export(policy, wanted, form, &mut |piece| text += piece).unwrap();
    let is_said =
        |line: &&str| !line.is_empty() && !line.starts_with(['#', ';', '!', '$', '@']) || line.starts_with("@@");
    let mut lines: Vec<String> = text.lines().filter(is_said).map(str::to_owned).collect();
    lines.sort();
    (lines, exported.left.iter().map(|left| format!("{} {}", left.count, left.places.join(","))).collect())
}

#[test]
fn names_in_each_form() {
    let ours = |text: &'static str| vec![(Format::Ours, text)];
    let block = "#! cleandns\nx.y\n=e.y\n*.b.y\n";
    let holes = "#! cleandns\nx.y\n@a.x.y\nd.a.x.y\n";
    let covered = "#! cleandns\n=q.x.y\n@x.y\nx.y\n";
    let important = "[Adblock]\n||x.y^$important\n@@||a.x.y^\n";
    for (lists, form, said, left) in [
        (ours(block), Form::Domains, &["*.b.y", "*.x.y", "e.y", "x.y"][..], &[][..]),
        (ours(block), Form::Rpz, &["*.b.y CNAME .", "*.x.y CNAME .", "e.y CNAME .", "x.y CNAME ."], &[]),
        (ours(block), Form::Adblock, &["|e.y^", "||*.b.y^", "||x.y^"], &[]),
        // The exception is lost on a form without any, and what it takes from with it; what lies below it isn't in force.
        (ours(holes), Form::Domains, &["x.y"], &["1 s.list:2"]),
        (
            ours(holes),
            Form::Rpz,
            &["*.a.x.y CNAME rpz-passthru.", "*.x.y CNAME .", "a.x.y CNAME rpz-passthru.", "x.y CNAME ."],
            &[],
        ),
        (ours(holes), Form::Adblock, &["@@||a.x.y^", "||d.a.x.y^", "||x.y^"], &[]),
        (ours(covered), Form::Domains, &[], &[]),
        (vec![(Format::Adblock, important)], Form::Domains, &["*.x.y", "x.y"], &[]),
        (vec![(Format::Adblock, important)], Form::Rpz, &["*.x.y CNAME .", "x.y CNAME ."], &[]),
    ] {
        assert_eq!(lines(&policy_of(&lists, &[]), form, &ALL), (owned(said), owned(left)), "{lists:?} {form:?}");
    }
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|&line| line.to_owned()).collect()
}

#[test]
fn what_cannot_be_said_is_told_and_nothing_is_widened() {
    let adblock = |text: &'static str| vec![(Format::Adblock, text)];
    for (text, form, said, left) in [
        ("/^ads/\n||x.y^\n", Form::Domains, &["*.x.y", "x.y"][..], &["1 s.list:1"][..]),
        ("||x.y^$dnstype=A\n||a.y^\n", Form::Rpz, &["*.a.y CNAME .", "a.y CNAME ."], &["1 s.list:1"]),
        ("||x.y^\n@@||a.x.y^$dnstype=A\n", Form::Rpz, &["x.y CNAME ."], &["1 s.list:1"]),
        ("||x.y^\n@@||a.x.y^$ctag=kids\n", Form::Adblock, &[], &["1 s.list:1"]),
        // A rewrite is no block.
        ("||x.y^\n|a.x.y^$dnsrewrite=192.0.2.1\n", Form::Domains, &["x.y"], &["1 s.list:2", "1 s.list:1"]),
        (
            "||x.y^\n|a.x.y^$dnsrewrite=192.0.2.1\n",
            Form::Rpz,
            &["*.x.y CNAME .", "a.x.y A 192.0.2.1", "x.y CNAME ."],
            &[],
        ),
        // To others no exception is a match for a rewrite.
        ("||x.y^$dnsrewrite=192.0.2.1\n@@||a.x.y^\n", Form::Adblock, &["@@||a.x.y^"], &["1 s.list:1"]),
        ("||x.y^\n||x.y^$badfilter\n||a.y^\n", Form::Domains, &["*.a.y", "a.y"], &[]),
    ] {
        assert_eq!(lines(&policy_of(&adblock(text), &[]), form, &ALL), (owned(said), owned(left)), "{text} {form:?}");
    }
    let pattern = policy_of(&adblock("||x.y^\n@@/^a/\n"), &[]);
    for form in [Form::Domains, Form::Rpz] {
        assert_eq!(
            export(&pattern, &ALL, form, &mut |_| ()),
            Err(ExportError::Exception("s.list:2".to_owned())),
            "{form:?}"
        );
    }
    let zone = policy_of(&[(Format::Rpz, "$TTL 30\n@ SOA a. b. 1 2 3 4 5\nx.y CNAME .\n")], &[]);
    assert_eq!(export(&zone, &ALL, Form::Domains, &mut |_| ()), Err(ExportError::IsZone("s.list".to_owned())));
}

#[test]
fn modes_services_and_the_owners_exceptions() {
    let lists = [
        (Format::Ours, "#! cleandns\na.y\n@b.a.y\n"),
        (Format::Ours, "#! cleandns\nb.a.y\nc.y\n"),
        (Format::Ours, "#! cleandns\nshadow.y\n"),
    ];
    let policy = policy_of(&lists, &["c.y"]);
    let said = |wanted: &Wanted<'_>| lines(&policy, Form::Rpz, wanted).0;
    let only_t = ["t".to_owned()];
    let passes = |name: &str| [format!("*.{name} CNAME rpz-passthru."), format!("{name} CNAME rpz-passthru.")];
    // Another service's exception holds; the owner's beats all, until it is over.
    assert_eq!(said(&Wanted { services: &only_t, ..ALL }), [&passes("b.a.y")[..], &passes("c.y")].concat().sorted());
    let over = said(&Wanted { services: &only_t, now: 1000, ..ALL });
    assert!(over.contains(&"c.y CNAME .".to_owned()), "{over:?}");
    assert!(!said(&ALL).iter().any(|line| line.starts_with("shadow")));
    assert!(said(&Wanted { least: Mode::Shadow, ..ALL }).contains(&"shadow.y CNAME .".to_owned()));
    let unknown = ["v".to_owned()];
    let asked = export(&policy, &Wanted { services: &unknown, ..ALL }, Form::Rpz, &mut |_| ());
    assert_eq!(asked, Err(ExportError::UnknownService("v".to_owned())));
}

trait Sorted {
    fn sorted(self) -> Self;
}

impl Sorted for Vec<String> {
    fn sorted(mut self) -> Self {
        self.sort();
        self
    }
}

#[test]
fn networks_for_firewalls() {
    let text = "#! cleandns\n192.0.2.0/25\n192.0.2.128/25\n2001:db8::1\n198.51.100.0/24\n@198.51.100.7\n203.0.113.1\n\
                @203.0.113.0/24\nAS64500\nx.y\nns:z.y\n";
    let policy = policy_of(&[(Format::Ours, text)], &[]);
    let (said, left) = lines(&policy, Form::Text, &ALL);
    assert_eq!(said, ["192.0.2.0/25", "192.0.2.128/25", "2001:db8::1"]);
    assert_eq!(left, ["1 s.list:5", "1 s.list:9", "1 s.list:11", "1 s.list:10"]);
    let mut all = String::new();
    export(&policy, &ALL, Form::Nftables, &mut |piece| all += piece).unwrap();
    for part in [
        "add table inet cleandns\n",
        "add set inet cleandns s_4 { type ipv4_addr; flags interval; }\nflush set inet cleandns s_4\nadd element inet \
         cleandns s_4 {\n    192.0.2.0/24\n}\n",
        "add element inet cleandns s_6 {\n    2001:db8::1\n}\n",
    ] {
        assert!(all.contains(part), "no {part:?} in {all}");
    }
    let mut all = String::new();
    export(&policy, &ALL, Form::Json, &mut |piece| all += piece).unwrap();
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all["networks"][2]["network"], "2001:db8::1/128");
    assert_eq!((&all["networks"][0]["family"], &all["networks"][0]["line"]), (&4.into(), &2.into()));
    assert_eq!(all["left_out"].as_array().unwrap().len(), 4);
    // A zone has them too.
    assert!(lines(&policy, Form::Rpz, &ALL).0.contains(&"25.0.2.0.192.rpz-ip CNAME .".to_owned()));
}

/// Names of three letters and four depths, so that they meet.
fn name() -> impl Strategy<Value = String> {
    vec(select(vec!["a", "b", "c"]), 1..4).prop_map(|labels| labels.join(".") + ".y")
}

fn rule() -> impl Strategy<Value = String> {
    let before = select(vec!["||", "|", "||*.", "@@||", "@@|", "@@||*."]);
    let after = select(vec![
        "^",
        "^",
        "^",
        "^",
        "^$important",
        "^$dnstype=A",
        "^$denyallow=a.a.y",
        "^$dnsrewrite=192.0.2.1",
        "^$dnsrewrite=NOERROR",
        "^$ctag=kids",
    ]);
    (before, name(), after).prop_map(|(before, name, after)| {
        // An exception has no answer of its own.
        let after = if before.starts_with("@@") && after.contains("rewrite") { "^" } else { after };
        format!("{before}{name}{after}")
    })
}

/// What becomes of a question for this type: nothing, a block, or which answer.
fn fate(policy: &Policy, name: &str, rr_type: RrType) -> String {
    let name: Name = name.parse().unwrap();
    let client = Client { address: "192.0.2.1".parse().unwrap(), id: None, mac: None, group: None, tcp: false };
    let verdict = policy.on_question(&Asking { name: &name, rr_type, client, now: 0, pauses: &[] });
    match verdict.block() {
        None => String::new(),
        Some(said) => match policy.action(&said.cause) {
            Action::Given | Action::Code(_) => "block".to_owned(),
            // A zone's records have TTLs of their own, the same here.
            Action::Rewrite(data) => {
                data.records.iter().map(|record| format!("{record:?}").replace("Some(30)", "None")).collect()
            }
            action => format!("{action:?}"),
        },
    }
}

/// How much is taken from whoever asks: nothing, the real answer for another, all.
fn weight(fate: &str) -> u8 {
    match fate {
        "" => 0,
        "block" | "NoData" => 2,
        _ => 1,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    /// Whoever reads an export comes to the same as the policy, or to nothing where something was left out.
    #[test]
    fn others_come_to_the_same(rules in vec(rule(), 1..12), asked in vec(name(), 12), owner in vec(name(), 0..2)) {
        let text = rules.join("\n") + "\n";
        let owner: Vec<&str> = owner.iter().map(String::as_str).collect();
        let policy = policy_of(&[(Format::Adblock, &text)], &owner);
        for (form, format) in [(Form::Domains, Format::Domains), (Form::Rpz, Format::Rpz), (Form::Adblock, Format::Adblock)] {
            let mut written = String::new();
            let exported = export(&policy, &ALL, form, &mut |piece| written += piece).unwrap();
            let read = policy_of(&[(format, &written)], &[]);
            for name in &asked {
                for rr_type in [RrType::A, RrType::AAAA] {
                    let (meant, made) = (fate(&policy, name, rr_type), fate(&read, name, rr_type));
                    let is_less = weight(&made) <= weight(&meant) && !exported.left.is_empty();
                    // Names alone don't tell an empty answer from none.
                    let is_block = form == Form::Domains && made == "block" && meant == "NoData";
                    prop_assert!(
                        meant == made || is_less || is_block,
                        "{name} {rr_type}: {meant:?} was made {made:?} in {form:?} of\n{text}by\n{written}"
                    );
                }
            }
        }
    }
}
