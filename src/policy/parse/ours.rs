//! This project's own format: one rule a line, each saying what it looks at.
//!
//! | line | looks at |
//! |---|---|
//! | `name`, `=name`, `*.name`, `*` | names asked and aliases: it and below, it alone, below it, every name |
//! | `192.0.2.0/24`, `AS4134`, `country:CN` | addresses in the answer |
//! | `!country:US,CA,AS7018,192.0.2.0/24` | addresses outside all of these |
//! | `ns:name`, `ns:192.0.2.0/24`, `ns:AS4134` … | name servers of the zones that answered: names, addresses |
//! | `client:192.0.2.0/24` | the client |
//!
//! `@` before any of these makes it an exception.

use super::name::{Problem, read_name, shown};
use crate::{
    dns::Name,
    policy::{Effect, Matcher, Place, Rule, Scope},
};
use ipnet::IpNet;
use std::net::IpAddr;

/// Places of one negated rule: countries, networks and prefixes together.
const OUTSIDE_MAX: usize = 4096;

/// Reads a rule: one word, without comments.
pub fn read(text: &str, line: u32) -> Result<Rule, Problem> {
    let (effect, text) = match text.strip_prefix('@') {
        Some(rest) => (Effect::Except, rest),
        None => (Effect::Block, text),
    };
    matcher(text).map(|matcher| Rule::new(effect, matcher, line))
}

/// True if a word that begins with `!` is a negated rule and no comment.
pub fn is_negated(text: &str) -> bool {
    let text = text.strip_prefix('@').unwrap_or(text);
    text.strip_prefix('!').is_some_and(|rest| {
        let first = rest.split([',', ' ', '\t']).next().unwrap_or_default();
        first.starts_with("country:") || as_number(first).is_some() || network(first).is_some()
    })
}

fn matcher(text: &str) -> Result<Matcher, Problem> {
    if let Some(rest) = text.strip_prefix("ns:") {
        return Ok(match place(rest)? {
            Some(place) => Matcher::NsAddress(place),
            None => {
                let (scope, name) = scoped_name(rest)?;
                Matcher::NsName { scope, name: Box::new(name) }
            }
        });
    }
    if let Some(rest) = text.strip_prefix("client:") {
        let net = network(rest).ok_or_else(|| ("not a network", shown(rest)))?;
        return Ok(Matcher::Client(net));
    }
    if let Some(place) = place(text)? {
        return Ok(Matcher::Address(place));
    }
    let (scope, name) = scoped_name(text)?;
    Ok(Matcher::Name { scope, name })
}

/// `name`, `=name`, `*.name`, `*`.
fn scoped_name(text: &str) -> Result<(Scope, Name), Problem> {
    if text == "*" {
        return Ok((Scope::Subtree, Name::ROOT));
    }
    let (scope, name) = match (text.strip_prefix('='), text.strip_prefix("*.")) {
        (Some(name), _) => (Scope::Exact, name),
        (None, Some(name)) => (Scope::Below, name),
        (None, None) => return Ok((Scope::Subtree, read_name(text)?)),
    };
    // The root alone, or all but the root: whoever writes that means it.
    let name = if name == "." { Name::ROOT } else { read_name(name)? };
    Ok((scope, name))
}

/// A place, if the text is one.
fn place(text: &str) -> Result<Option<Place>, Problem> {
    if let Some(rest) = text.strip_prefix('!') {
        return outside(rest).map(Some);
    }
    if let Some(code) = text.strip_prefix("country:") {
        return country(code)
            .map(Some)
            .ok_or_else(|| ("not a country; write two letters, such as country:CN", shown(code)));
    }
    if let Some(number) = as_number(text) {
        return number.map(|number| Some(Place::Asn(number))).ok_or_else(|| ("not an AS number", shown(text)));
    }
    Ok(network(text).map(Place::Net))
}

/// `country:US,CA,AS7018,192.0.2.0/24`
fn outside(text: &str) -> Result<Place, Problem> {
    let mut places = Vec::new();
    let mut in_countries = false;
    for item in text.split(',') {
        let (is_country, word) = match item.strip_prefix("country:") {
            Some(code) => (true, code),
            None => (false, item),
        };
        in_countries |= is_country;
        let place = match country(word).filter(|_| in_countries) {
            Some(country) => Some(country),
            None if is_country => None,
            None => as_number(word).flatten().map(Place::Asn).or_else(|| network(word).map(Place::Net)),
        };
        let place = place.ok_or_else(|| ("not a country, AS number or network in a negated rule", shown(item)))?;
        if places.len() == OUTSIDE_MAX {
            return Err(("a negated rule with more than 4096 places", String::new()));
        }
        places.push(place);
    }
    Ok(Place::Outside(places.into()))
}

fn country(text: &str) -> Option<Place> {
    let code: [u8; 2] = text.as_bytes().try_into().ok()?;
    code.iter().all(u8::is_ascii_alphabetic).then(|| Place::Country(code.map(|letter| letter.to_ascii_uppercase())))
}

/// `AS4134`, in capitals, since `as4134` may be a name; the inner `None`: a number that is none.
fn as_number(text: &str) -> Option<Option<u32>> {
    let digits = text.strip_prefix("AS")?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())
}

/// A prefix or an address; bits after the prefix are of no importance.
pub fn network(text: &str) -> Option<IpNet> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(address.to_canonical().into()),
        Err(_) => text.parse::<IpNet>().ok().map(|net| net.trunc()),
    }
}
