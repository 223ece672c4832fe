//! dnstap in files: what clients asked, and what came of it.
//!
//! A query of a client counts, and its response, which follows soon, only adds to it: the verdict, if it is of this
//! program, and what the answer led to. A query waits for that until others have come. A response counts by itself only
//! as long as no query was seen, since there are files that hold nothing but responses. What this resolver asked others
//! is of no interest.

use super::{Asked, NOT_JUDGED, OpenError, Place, Source, Step, recorded::told};
use crate::{
    config::Privacy as Kept,
    dns::{
        ExtendedError, HEADER_BYTES, Name, Query, Question, Reject, Section, Transport, extended_error, is_query,
        read_records,
    },
    policy::{Link, Outcome, Reached, Scope, Trigger},
    query::answer_links,
    query_log::{
        Fate, Privacy,
        dnstap::{
            Action, DecodeError, Event, Extra, Frames, Kind, Matched, POLICY_KIND, PolicyApplied, StreamError, decode,
            version,
        },
    },
};
use std::{
    collections::VecDeque,
    io::{self, BufReader, Read},
    net::{IpAddr, SocketAddr},
};

/// Queries that wait for their response at most. This program writes one after the other; others while they resolve.
const WAITING_MAX: usize = 1024;

/// Reads the events of a file.
pub(super) struct Taps<R> {
    frames: Frames<BufReader<R>>,
    /// The frame that was read last.
    data: Vec<u8>,
    /// It is still to be looked at: the first is read when the file is opened.
    is_ahead: bool,
    /// This program wrote the file, so what it doesn't say of a query nobody said.
    is_own: bool,
    has_queries: bool,
    query: Query,
    /// The query of a response, as far as that shows it.
    asked: Vec<u8>,
    /// Oldest first.
    waiting: VecDeque<Waiting>,
    /// Places to be filled again.
    spare: Vec<Waiting>,
    /// What comes when nobody waits any more.
    end: Option<Step>,
    number: u64,
}

/// A query whose response may still come.
#[derive(Default)]
struct Waiting {
    asked: Asked,
    id: u16,
    address: Option<SocketAddr>,
    query_time: Option<i64>,
}

/// What became of an event.
enum Seen {
    Step(Step),
    /// A query waits.
    Waits,
}

impl<R: Read> Taps<R> {
    /// Begins with the first frame: only a stream of dnstap has one.
    pub(super) fn new(input: BufReader<R>) -> Result<Self, OpenError> {
        let mut taps = Self {
            frames: Frames::new(input),
            data: Vec::new(),
            is_ahead: false,
            is_own: false,
            has_queries: false,
            query: Query::BLANK,
            asked: Vec::new(),
            waiting: VecDeque::new(),
            spare: Vec::new(),
            end: None,
            number: 0,
        };
        match taps.frames.read_into(&mut taps.data) {
            Some(Err(error)) if !matches!(error.error, StreamError::NoStop) => {
                return Err(OpenError::Dnstap(error.to_string()));
            }
            Some(Ok(())) => taps.is_ahead = true,
            _ => taps.end = Some(Step::End),
        }
        taps.is_own = version(&taps.data).starts_with(POLICY_KIND.as_bytes());
        Ok(taps)
    }

    /// True if the file tells what became of its queries.
    pub(super) fn tells_verdicts(&self) -> bool {
        self.is_own
    }

    /// Reads a frame; `None`: nothing more can be read, and `end` says why.
    fn read(&mut self) -> Option<()> {
        if !std::mem::take(&mut self.is_ahead) {
            let end = match self.frames.read_into(&mut self.data) {
                Some(Ok(())) => None,
                None => Some(Step::End),
                Some(Err(error)) => match error.error {
                    // Somebody is still writing it, or couldn't end it.
                    StreamError::NoStop => Some(Step::End),
                    other => {
                        self.number = error.frame;
                        Some(Step::Broken(other.to_string().into()))
                    }
                },
            };
            if end.is_some() {
                self.end = end;
                return None;
            }
        }
        self.number = self.frames.frame();
        Some(())
    }

    fn take(&mut self, asked: &mut Asked) -> Seen {
        let event = match decode(&self.data) {
            Ok(event) => event,
            // Messages of others, and whatever else there may be some day.
            Err(DecodeError::NoMessage(_) | DecodeError::Kind(_)) => return Seen::Step(Step::Ignored),
            Err(error) => return Seen::Step(Step::Skipped(error.to_string().into())),
        };
        match event.kind {
            Kind::ClientQuery => self.take_query(&event),
            Kind::ClientResponse => Seen::Step(self.take_response(&event, asked)),
            Kind::ResolverQuery | Kind::ResolverResponse => Seen::Step(Step::Ignored),
        }
    }

    fn take_query(&mut self, event: &Event<'_>) -> Seen {
        self.has_queries = true;
        if event.query.is_empty() {
            return Seen::Step(Step::Skipped("the event holds no message".into()));
        }
        match self.query.read(&event.query) {
            Ok(()) => {}
            Err(Reject::Silent) => return Seen::Step(Step::Ignored),
            Err(_) => return Seen::Step(Step::Skipped(NOT_JUDGED.into())),
        }
        let mut waiting = self.spare.pop().unwrap_or_default();
        (waiting.id, waiting.address, waiting.query_time) = (self.query.id, event.query_address, event.query_time);
        begin(&mut waiting.asked, &self.query.question, event, self.is_own);
        // With a query stands what was said of it if it got no response.
        take_policy(&mut waiting.asked, event.policy.as_ref());
        self.waiting.push_back(waiting);
        Seen::Waits
    }

    fn take_response(&mut self, event: &Event<'_>, asked: &mut Asked) -> Step {
        let question = match self.read_question(&event.response) {
            Ok(()) => self.query.question,
            // Its query was told of already.
            Err(_) if self.has_queries => return Step::Ignored,
            Err(reason) => return Step::Skipped(reason.into()),
        };
        let id = self.query.id;
        let is_same_time = |time: Option<i64>| time.is_none() || event.query_time.is_none() || time == event.query_time;
        let is_it = |waiting: &Waiting| {
            waiting.id == id
                && waiting.address == event.query_address
                && is_same_time(waiting.query_time)
                && (waiting.asked.name, waiting.asked.rr_type) == (question.name, question.rr_type)
        };
        match self.waiting.iter().position(is_it).and_then(|at| self.waiting.remove(at)) {
            Some(mut waiting) => {
                std::mem::swap(asked, &mut waiting.asked);
                self.spare.push(waiting);
            }
            // Its query was given away long ago, or could not be read.
            None if self.has_queries => return Step::Ignored,
            None => begin(asked, &question, event, self.is_own),
        }
        if extended_error(&event.response).is_some_and(|error| error.code == ExtendedError::PROHIBITED) {
            return Step::Ignored;
        }
        take_links(asked, &question, event);
        take_policy(asked, event.policy.as_ref());
        Step::Asked
    }

    /// Reads the question of a response, by the rules that its query is read by.
    fn read_question(&mut self, response: &[u8]) -> Result<(), &'static str> {
        const NONE: &str = "the event holds no message, or one without a question";
        if response.len() < HEADER_BYTES || is_query(response) || response[4..6] != [0, 1] {
            return Err(NONE);
        }
        // Type and class follow the name.
        let question_end = Name::read(response, HEADER_BYTES).map_or(usize::MAX, |(_, end)| end + 4);
        self.asked.clear();
        self.asked.extend_from_slice(response.get(..question_end).ok_or(NONE)?);
        // Of the flags stay the operation and RD, of the counts the one of questions.
        self.asked[2] &= 0x79;
        self.asked[6..HEADER_BYTES].fill(0);
        self.query.read(&self.asked).map_err(|_| NOT_JUDGED)
    }

    /// Gives the oldest query away.
    fn give(&mut self, asked: &mut Asked) -> Option<Step> {
        let mut oldest = self.waiting.pop_front()?;
        std::mem::swap(asked, &mut oldest.asked);
        self.spare.push(oldest);
        Some(Step::Asked)
    }
}

impl<R: Read> Source for Taps<R> {
    fn advance(&mut self, asked: &mut Asked) -> io::Result<Step> {
        while self.end.is_none() && self.waiting.len() <= WAITING_MAX {
            if self.read().is_none() {
                break;
            }
            if let Seen::Step(step) = self.take(asked) {
                return Ok(step);
            }
        }
        if let Some(step) = self.give(asked) {
            return Ok(step);
        }
        Ok(self.end.replace(Step::End).unwrap_or(Step::End))
    }

    fn place(&self) -> Place {
        Place::Frame(self.number)
    }
}

/// Fills a place with what an event tells of its question and who asked it.
fn begin(asked: &mut Asked, question: &Question, event: &Event<'_>, is_own: bool) {
    asked.clear();
    (asked.name, asked.rr_type) = (question.name, question.rr_type);
    asked.time = event.query_time.or(event.response_time);
    asked.client = event.query_address.map(|address| address.ip().to_canonical());
    asked.tcp = event.transport == Some(Transport::Tcp);
    if is_own {
        asked.begin_verdict(None);
        let Extra { is_network, group } = Extra::read(&event.extra);
        asked.set_group(group);
        if let Some(network) = asked.client.filter(|_| is_network) {
            // No client has the address of a network.
            asked.set_client(&Privacy::new(Kept::Prefix).tell(network, 0));
        }
    }
}

/// Takes over what an answer led to, unless it was made up to block.
fn take_links(asked: &mut Asked, question: &Question, event: &Event<'_>) {
    let is_block = |policy: &PolicyApplied<'_>| policy.kind == POLICY_KIND && outcome(policy) == Outcome::Block;
    if event.policy.as_ref().is_some_and(is_block) {
        return;
    }
    // A response that can't be read led to nothing.
    let records = read_records(&event.response).unwrap_or_default().into_iter();
    let answer: Vec<_> = records.filter(|(section, _)| *section == Section::Answer).map(|(_, record)| record).collect();
    asked.links.extend(answer_links(question, &answer));
}

/// Takes over the verdict, if it is one of this program: `program/service list:line rule`, or `exception place`.
fn take_policy(asked: &mut Asked, policy: Option<&PolicyApplied<'_>>) {
    let Some(policy) = policy.filter(|policy| policy.kind == POLICY_KIND) else { return };
    let rule = String::from_utf8_lossy(&policy.rule);
    if let Some(place) = rule.strip_prefix("exception ")
        && policy.matched.is_none()
    {
        asked.begin_verdict(Some(place));
        return;
    }
    let trigger = match policy.matched {
        Some(Matched::ClientIp) => Trigger::Client,
        Some(Matched::ResponseIp) => Trigger::Address,
        Some(Matched::NsName) => Trigger::NsName,
        Some(Matched::NsIp) => Trigger::NsAddress,
        Some(Matched::Qname) | None => trigger_of_name(&asked.name, &policy.value, rule_of(&rule)),
    };
    // A response that blocks doesn't show the alias or the address that it is for.
    let reached = match trigger {
        Trigger::Cname => Name::from_wire(&policy.value).ok().map(Reached::Name),
        Trigger::Address => address(&policy.value).map(Reached::Address),
        _ => None,
    };
    if let Some(what) = reached.filter(|what| asked.links.iter().all(|link| link.what != *what)) {
        asked.links.push(Link { what, trigger });
    }
    let (program_service, place) = rule.split_once(' ').unwrap_or_default();
    let program_service = program_service.split_once('/').unwrap_or_default();
    if asked.recorded.is_none() {
        asked.recorded = Some(Fate::Passed);
    }
    let place = without_rule(place);
    let line = place.rsplit_once(':').and_then(|(_, line)| line.parse().ok());
    let looked_at = line.map_or(Some(trigger), |line| told(trigger, line));
    asked.take_said(program_service, (place, None), looked_at, outcome(policy));
}

/// What a rule on names matched: the name asked, or an alias. Which alias that was isn't told where answers aren't kept;
/// then it isn't the name asked if the rule doesn't cover that.
fn trigger_of_name(asked: &Name, value: &[u8], rule: &str) -> Trigger {
    let is_asked = match Name::from_wire(value) {
        Ok(matched) => matched == *asked,
        Err(_) => covers(rule, asked),
    };
    if is_asked { Trigger::Qname } else { Trigger::Cname }
}

/// Whether a rule as it is told covers a name. A text that is no rule on a name covers none.
fn covers(rule: &str, name: &Name) -> bool {
    let scopes = [Scope::Exact, Scope::Below, Scope::Subtree];
    let read = scopes.into_iter().find_map(|scope| Some((scope, rule.strip_prefix(scope.prefix())?)));
    let Some((scope, Ok(own))) = read.map(|(scope, own)| (scope, own.parse::<Name>())) else { return false };
    match scope {
        Scope::Exact => *name == own,
        Scope::Subtree => name.is_at_or_below(&own),
        Scope::Below => *name != own && name.is_at_or_below(&own),
    }
}

/// The rule in `program/service list:line rule`.
fn rule_of(text: &str) -> &str {
    let place = text.split_once(' ').unwrap_or_default().1;
    place.strip_prefix(without_rule(place)).unwrap_or_default().trim_start()
}

/// An address by its octets.
fn address(octets: &[u8]) -> Option<IpAddr> {
    let ipv4 = <[u8; 4]>::try_from(octets).ok().map(IpAddr::from);
    ipv4.or_else(|| <[u8; 16]>::try_from(octets).ok().map(IpAddr::from))
}

/// What a verdict means, by the action that is told with it.
fn outcome(policy: &PolicyApplied<'_>) -> Outcome {
    match policy.action {
        Some(Action::Pass) => Outcome::Except,
        Some(_) => Outcome::Block,
        None => Outcome::WouldBlock,
    }
}

/// `list:line` of `list:line rule`, whose rule is left out where it isn't known. A list may have spaces in its
/// name.
fn without_rule(place: &str) -> &str {
    let has_line = |place: &str| {
        let line = place.rsplit_once(':').map(|(_, line)| line);
        line.is_some_and(|line| !line.is_empty() && line.bytes().all(|octet| octet.is_ascii_digit()))
    };
    match place.rsplit_once(' ') {
        Some((before, _)) if !has_line(place) && has_line(before) => before,
        _ => place,
    }
}

#[cfg(test)]
pub(super) mod tests;
