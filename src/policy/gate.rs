//! The safety gate: what is too broad to be meant is held back, or warned of, before a list is used.
//!
//! It judges one rule at a time, by what it would block if it were alone: every name, a whole public suffix (the ICANN
//! part of the list, entries as listed), a name of the canary table, or a great part of all addresses. Rules on one
//! name alone, and exceptions, are never held back. A rule's conditions don't excuse it.
//!
//! A pattern is tried on the canaries, and on made-up names below big top-level domains and below every public suffix
//! that stands in the pattern itself. So it finds patterns that match everything, whole public suffixes or well-known
//! names, and not those that match most names of another kind, such as all with an `e`.

use super::{
    Compiled, Effect, Matcher, Pattern, Place, Rule, RuleSet, Scope,
    parse::{Admission, Admit, Candidate},
};
use crate::dns::Name;
use foldhash::fast::RandomState;
use ipnet::IpNet;
use memchr::memmem;
use psl::{Psl as _, Type};
use std::{collections::HashMap, sync::Arc};

/// `name # why`, one a line.
const TABLE: &str = include_str!("canaries.txt");
/// Public suffixes with the most names, and those that people like to block whole.
const BIG_SUFFIXES: [&str; 40] = [
    "com", "net", "org", "info", "biz", "xyz", "top", "shop", "site", "online", "store", "club", "app", "dev", "io",
    "ai", "co", "me", "tv", "cc", "cn", "de", "uk", "co.uk", "nl", "ru", "br", "com.br", "fr", "eu", "it", "au",
    "com.au", "in", "ca", "us", "jp", "co.jp", "zip", "mov",
];
/// Below each suffix: a name of letters alone, and a longer one with digits. A pattern that matches both, not by their
/// letters, matches all.
const MADE_UP: [&str; 2] = ["vqkzj", "x7f3k9q2wd"];
/// The same one label deeper, for patterns that want one.
const MADE_UP_DEEPER: [&str; 2] = ["wq.vqkzj", "h4.x7f3k9q2wd"];
/// Top-level domains of which ICANN lists nothing deeper, and by their contracts never will. Three of four names in
/// lists end with one, and needn't be looked for in the Public Suffix List, which takes longer than all else here.
const FLAT: [&[u8]; 12] =
    [b"com", b"net", b"org", b"info", b"xyz", b"top", b"shop", b"site", b"online", b"store", b"club", b"app"];
/// Labels of the longest entries of the ICANN part, and one to spare: `pvt.k12.ma.us` has four.
const SUFFIX_LABELS_MAX: usize = 5;
/// Words of a pattern looked at; who writes more than that means no public suffix.
const PATTERN_WORDS_MAX: usize = 64;
/// Shorter prefixes cover more than 1/256 of all IPv4 addresses, which nobody has but the whole Internet's registries.
const V4_PREFIX_MIN: u8 = 8;
/// IPv6 has seven /12 in use, one a registry or two; nobody else has more than a /16.
const V6_PREFIX_MIN: u8 = 16;
/// Names by which a rule is let through: whoever means more than that writes the list otherwise.
const PASSES_BY_MAX: usize = 20;
/// A list of this many rules may grow at once by as many: a short list that doubles is no accident.
const GROWTH_FREE: usize = 1000;

/// What happens to a rule that is too broad.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broad {
    /// It isn't taken, unless the list excepts all that it was held for.
    Hold,
    /// It is taken, and told of.
    Warn,
}

/// Names that no broad rule may block. Built once, shared by the gates of all lists.
pub struct Canaries {
    all: Vec<Canary>,
    /// Every canary and every name above one, in wire form: which canaries lie at or below it. The name's own is first.
    below: HashMap<Box<[u8]>, Box<[u32]>, RandomState>,
    made_up: Vec<Suffix>,
    /// All of these names, a line each: what doesn't stand in here, no name has.
    text: Vec<u8>,
}

struct Canary {
    name: Name,
    text: String,
    why: String,
}

/// A big suffix, and names below it that nobody has chosen.
struct Suffix {
    name: Name,
    made_up: [[String; 2]; 2],
}

/// Judges the rules of one list.
pub struct Gate {
    canaries: Arc<Canaries>,
    release: Vec<Name>,
    broad: Broad,
}

/// What a rule would hit.
enum Hit {
    /// More than any exceptions make good: why, and the names by which the owner lets it through.
    Whole(String, Vec<Name>),
    /// These canaries.
    Canaries(Vec<u32>),
}

impl Canaries {
    /// The table, and names of our own with what they are: upstreams, and where lists come from.
    pub fn new(own: impl IntoIterator<Item = (Name, String)>) -> Self {
        let mut all: Vec<Canary> = Vec::new();
        let mut ids: HashMap<Name, u32, RandomState> = HashMap::default();
        for (name, why) in own.into_iter().chain(TABLE.lines().filter_map(table_line)) {
            ids.entry(name).or_insert_with(|| {
                all.push(Canary { name, text: name.to_string(), why });
                (all.len() - 1) as u32
            });
        }
        let mut below: HashMap<Box<[u8]>, Vec<u32>, RandomState> = HashMap::default();
        for (canary, id) in all.iter().zip(0..) {
            for above in 0..canary.name.label_count() {
                below.entry(canary.name.ancestor(above).as_wire().into()).or_default().push(id);
            }
        }
        for (wire, canaries) in &mut below {
            canaries.sort_by_key(|&id| all[id as usize].name.as_wire() != &wire[..]);
        }
        let below = below.into_iter().map(|(wire, canaries)| (wire, canaries.into())).collect();
        let made_up: Vec<Suffix> = BIG_SUFFIXES.into_iter().filter_map(Suffix::new).collect();
        let made_up_names = made_up.iter().flat_map(|suffix| suffix.made_up.as_flattened());
        let text =
            all.iter().map(|canary| &canary.text).chain(made_up_names).flat_map(|name| [name, "\n"].map(str::as_bytes));
        let text = text.collect::<Vec<_>>().concat();
        Self { all, below, made_up, text }
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl Suffix {
    fn new(suffix: &str) -> Option<Self> {
        let below = |labels: [&str; 2]| labels.map(|label| format!("{label}.{suffix}"));
        Some(Self { name: suffix.parse().ok()?, made_up: [below(MADE_UP), below(MADE_UP_DEEPER)] })
    }
}

impl Gate {
    /// `release`: names of rules that pass all the same.
    pub fn new(canaries: Arc<Canaries>, release: &[Name], broad: Broad) -> Self {
        Self { canaries, release: release.to_vec(), broad }
    }

    /// True if one of these rules would not simply be taken.
    pub fn objects_to(&self, rules: &RuleSet) -> bool {
        rules.iter().any(|(_, rule)| self.judge(&rule.unpack()).is_some())
    }

    fn said(&self, hit: Option<Hit>) -> Admission {
        let Some(hit) = hit else { return Admission::Take };
        let reason = match hit {
            Hit::Whole(reason, _) => reason,
            Hit::Canaries(canaries) => self.told(&canaries),
        };
        match self.broad {
            Broad::Hold => Admission::Hold(reason),
            Broad::Warn => Admission::Warn(reason),
        }
    }

    fn told(&self, canaries: &[u32]) -> String {
        let Some(first) = canaries.first().map(|&id| &self.canaries.all[id as usize]) else { return String::new() };
        let others = match canaries.len() - 1 {
            0 => String::new(),
            1 => " and one more name that much depends on".to_owned(),
            more => format!(" and {more} more names that much depends on"),
        };
        format!("would block {} ({}){others}", first.text, first.why)
    }

    fn judge(&self, rule: &Rule) -> Option<Hit> {
        if rule.effect == Effect::Except {
            return None;
        }
        match &rule.matcher {
            Matcher::Name { scope, name } => self.judge_name(*scope, name),
            Matcher::NsName { scope, name } => self.judge_name(*scope, name),
            Matcher::Pattern(pattern) => self.judge_pattern(pattern),
            Matcher::Address(Place::Net(net)) => judge_net(net, "addresses"),
            Matcher::NsAddress(Place::Net(net)) => judge_net(net, "name servers' addresses"),
            Matcher::Client(net) => judge_net(net, "clients' addresses"),
            // Countries and networks are what their programs are about; that they are broad is plain to see.
            Matcher::Address(_) | Matcher::NsAddress(_) => None,
        }
    }

    #[inline]
    fn judge_name(&self, scope: Scope, name: &Name) -> Option<Hit> {
        if scope == Scope::Exact {
            return None;
        }
        let is_suffix = is_public_suffix(name);
        let canaries = self.canaries.below.get(name.as_wire());
        if !name.is_root() && !is_suffix && canaries.is_none() || self.release.contains(name) {
            return None;
        }
        Some(match canaries {
            _ if name.is_root() => Hit::Whole("covers every name".to_owned(), Vec::new()),
            _ if is_suffix => Hit::Whole(suffix_told(name), vec![*name]),
            canaries => Hit::Canaries(canaries?.to_vec()),
        })
    }

    fn judge_pattern(&self, pattern: &Pattern) -> Option<Hit> {
        let text = match pattern {
            Pattern::Glob { text, .. } | Pattern::Regex(text) => text,
        };
        let mut in_text: Vec<Suffix> = named_suffixes(text).filter_map(|suffix| Suffix::new(&suffix)).collect();
        in_text.sort_by_key(|suffix| suffix.name.label_count());
        if let Pattern::Glob { text, .. } = pattern
            && in_text.is_empty()
            && text.split('*').any(|piece| memmem::find(&self.canaries.text, piece.as_bytes()).is_none())
        {
            return None;
        }
        // What doesn't compile is refused elsewhere.
        let compiled = Compiled::new(pattern.clone()).ok()?;
        let is_match = |name: &String| compiled.is_match(name.as_bytes());
        let is_released = |name: &Name| self.release.contains(name);
        if name_of(text).is_some_and(|name| is_released(&name)) {
            return None;
        }
        let covers = |suffix: &&Suffix| suffix.made_up.iter().any(|names| names.iter().all(is_match));
        let mut covered: Vec<&Suffix> = self.canaries.made_up.iter().filter(covers).collect();
        if covered.len() == self.canaries.made_up.len() {
            return Some(Hit::Whole("covers every name".to_owned(), Vec::new()));
        }
        for suffix in in_text.iter().filter(covers) {
            if !covered.iter().any(|known| suffix.name.is_at_or_below(&known.name)) {
                covered.push(suffix);
            }
        }
        let covers_any = !covered.is_empty();
        covered.retain(|suffix| !is_released(&suffix.name));
        let names = || covered.iter().map(|suffix| suffix.name).collect();
        match covered[..] {
            // A rule passes by the name that it was told of under, whatever lies below that.
            [] if covers_any => return None,
            [] => {}
            [suffix] => return Some(Hit::Whole(format!("covers all of .{}", suffix.name), names())),
            [suffix, ref others @ ..] => {
                let more = others.len();
                let reason = format!("covers all of .{} and of {more} more public suffixes", suffix.name);
                return Some(Hit::Whole(reason, names()));
            }
        }
        let all = self.canaries.all.iter().zip(0..);
        let hit: Vec<u32> =
            all.filter(|(canary, _)| is_match(&canary.text) && !is_released(&canary.name)).map(|(_, id)| id).collect();
        (!hit.is_empty()).then_some(Hit::Canaries(hit))
    }
}

impl Admit for Gate {
    #[inline]
    fn admit(&self, candidate: Candidate<'_>) -> Admission {
        let hit = match candidate {
            Candidate::Name(Effect::Except, ..) | Candidate::Name(_, Scope::Exact, _) => None,
            Candidate::Name(Effect::Block, scope, name) => self.judge_name(scope, name),
            Candidate::Rule(rule) => self.judge(rule),
        };
        self.said(hit)
    }

    /// A list that covers a canary on purpose excepts it: then nothing is wrong with its rule.
    fn settle(&self, rule: &Rule, excepted: &dyn Fn(&Name) -> bool) -> Admission {
        let hit = match self.judge(rule) {
            Some(Hit::Canaries(mut canaries)) => {
                canaries.retain(|&id| !excepted(&self.canaries.all[id as usize].name));
                (!canaries.is_empty()).then_some(Hit::Canaries(canaries))
            }
            hit => hit,
        };
        self.said(hit)
    }

    fn passes_by(&self, rule: &Rule) -> Vec<Name> {
        let canary = |id: u32| self.canaries.all[id as usize].name;
        let names = match (self.judge(rule), &rule.matcher) {
            (None, _) => Vec::new(),
            (Some(Hit::Whole(_, names)), _) => names,
            (Some(Hit::Canaries(_)), Matcher::Name { name, .. }) => vec![*name],
            (Some(Hit::Canaries(_)), Matcher::NsName { name, .. }) => vec![**name],
            (Some(Hit::Canaries(hit)), Matcher::Pattern(Pattern::Glob { text, .. } | Pattern::Regex(text))) => {
                let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
                let own = name_of(text).filter(|_| text.trim_matches(['*', '.']).bytes().all(is_plain));
                own.map_or_else(|| hit.into_iter().map(canary).collect(), |name| vec![name])
            }
            (Some(Hit::Canaries(_)), _) => Vec::new(),
        };
        if names.len() > PASSES_BY_MAX { Vec::new() } else { names }
    }
}

/// Tells if a list that had `before` rules and now has `after` shrank or grew by more than `percent`; 100 allows
/// anything. A list that was empty may become anything too.
pub fn change_too_large(before: usize, after: usize, percent: u8) -> Option<String> {
    let difference = before.abs_diff(after);
    let is_free = after > before && difference <= GROWTH_FREE;
    if before == 0 || percent >= 100 || is_free {
        return None;
    }
    // Wide, so that no number is too large.
    let hundredfold = difference as u128 * 100;
    if hundredfold <= before as u128 * u128::from(percent) {
        return None;
    }
    let (share, word) = (hundredfold / before as u128, if after < before { "fewer" } else { "more" });
    Some(format!("it has {after} rules, {share} % {word} than the {before} before; {percent} % are allowed at once"))
}

/// Why a name with all below it is more than one site, if it is: a public suffix, or a single label, which is on the Internet
/// or what a network has all of its own names under (`lan`, `home`, `corp`).
pub fn whole_suffix(name: &Name) -> Option<String> {
    (name.label_count() == 1 || is_public_suffix(name)).then(|| suffix_told(name))
}

fn suffix_told(suffix: &Name) -> String {
    match suffix.label_count() {
        1 => format!("covers all of .{suffix}"),
        _ => format!("covers all of {suffix}, which is a public suffix"),
    }
}

/// The name that a pattern is told of by, if it has one: `zip` in `*.zip`.
fn name_of(pattern: &str) -> Option<Name> {
    pattern.trim_matches(['*', '.']).parse().ok()
}

/// A line of the table: the name, and why; `None` for one with neither.
fn table_line(line: &str) -> Option<(Name, String)> {
    let (name, why) = line.split_once('#')?;
    Some((name.trim().parse().ok()?, why.trim().to_owned()))
}

/// True for a name that the ICANN part of the Public Suffix List has, or that it has a `*.` entry below.
#[inline]
fn is_public_suffix(name: &Name) -> bool {
    let mut stack: [&[u8]; SUFFIX_LABELS_MAX] = [&[]; SUFFIX_LABELS_MAX];
    let mut count = 0;
    for label in name.labels() {
        *match stack.get_mut(count) {
            Some(place) => place,
            None => return false,
        } = label;
        count += 1;
    }
    match stack[..count].last() {
        None => return false,
        Some(last) if count > 1 && FLAT.contains(last) => return false,
        Some(_) => {}
    }
    let text_len = |labels: &[&[u8]]| labels.iter().map(|label| label.len() + 1).sum::<usize>().saturating_sub(1);
    // A label before it asks two questions at once: is the name one, and is it the parent of a wildcard.
    let own = text_len(&stack[..count]);
    let labels = || stack[..count].iter().rev().copied();
    let found = suffix_among(&mut labels().chain([b"0".as_slice()]));
    match found.typ {
        Some(Type::Icann) => found.len >= own,
        // A wildcard of the private part hides what the name itself is.
        Some(Type::Private) if found.len > own => {
            suffix_among(&mut labels()) == psl::Info { len: own, typ: Some(Type::Icann) }
        }
        _ => false,
    }
}

/// What the Public Suffix List says of labels, the last first. The list is code, which the compiler makes again for each
/// kind of labels: 600 kB of it, so all are of one kind here.
fn suffix_among(labels: &mut dyn Iterator<Item = &[u8]>) -> psl::Info {
    psl::List.find(labels)
}

/// The public suffixes that stand in the text of a pattern, each label between other signs: `co.za` and `za` in
/// `\.co\.za$`.
fn named_suffixes(text: &str) -> impl Iterator<Item = String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut signs = text.chars();
    while let (Some(sign), true) = (signs.next(), words.len() <= PATTERN_WORDS_MAX) {
        match (sign, words.last_mut()) {
            ('a'..='z' | 'A'..='Z' | '0'..='9' | '-', Some(word)) => word.push(sign.to_ascii_lowercase()),
            (sign, last) => {
                // What is escaped is a sign or a class of them, and no letter.
                if sign == '\\' {
                    signs.next();
                }
                if last.is_none_or(|word| !word.is_empty()) {
                    words.push(String::new());
                }
            }
        }
    }
    words.retain(|word| !word.is_empty());
    let ends = (0..words.len())
        .flat_map(|first| (first + 1..=words.len().min(first + SUFFIX_LABELS_MAX)).map(move |end| (first, end)));
    let candidates: Vec<String> = ends.map(|(first, end)| words[first..end].join(".")).collect();
    candidates.into_iter().filter(|text| text.parse().is_ok_and(|name| is_public_suffix(&name)))
}

/// Reports a network that is a great part of all addresses of its family.
fn judge_net(net: &IpNet, of_what: &str) -> Option<Hit> {
    let (family, shortest) = match net {
        IpNet::V4(_) => ("IPv4", V4_PREFIX_MIN),
        IpNet::V6(_) => ("IPv6", V6_PREFIX_MIN),
    };
    let length = net.prefix_len();
    let share = match length {
        0 => "all".to_owned(),
        _ => format!("1/{} of all", 1u64 << length.min(63)),
    };
    (length < shortest).then(|| Hit::Whole(format!("{net} covers {share} {of_what} of {family}"), Vec::new()))
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
