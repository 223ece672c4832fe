//! Rules by which something changed, and their services, by number.

use super::{super::input::Told, Map};
use std::collections::HashMap;

/// Distinct rules by which something changes.
const REASONS_MAX: usize = 1 << 17;

/// The number of the reason that stands for all rules that have no room, and its service, so that it is not taken for
/// the owner's exceptions, which have none.
pub(in crate::replay) const NO_REASON: u32 = 0;
const NO_ROOM: &str = "rules beyond those that are told apart";

/// Rules by which something changed, by number.
pub(in crate::replay) struct Reasons {
    by_rule: Map<Rule, u32>,
    by_text: Map<Box<str>, u32>,
    reasons: Vec<Reason>,
    services: Map<(Box<str>, Box<str>), u32>,
    shown_services: Vec<(Box<str>, Box<str>)>,
    /// A recorded rule as one text.
    text: String,
    pub(super) is_full: bool,
}

/// A rule of a policy: whether of the one before, the list, the line.
pub(in crate::replay) type Rule = (bool, u16, u32);

/// A rule as it is shown.
#[derive(Clone, Debug)]
pub(in crate::replay) struct Reason {
    pub(in crate::replay) is_of_before: bool,
    service: u32,
    pub(in crate::replay) rule: Box<str>,
}

impl Default for Reasons {
    fn default() -> Self {
        let mut new = Self {
            by_rule: HashMap::default(),
            by_text: HashMap::default(),
            reasons: Vec::new(),
            services: HashMap::default(),
            shown_services: Vec::new(),
            text: String::new(),
            is_full: false,
        };
        new.push(false, "", NO_ROOM, "");
        new
    }
}

impl Reasons {
    /// The number of a policy's rule, which `show` tells the program, service and place of.
    pub(in crate::replay) fn of_rule(&mut self, rule: Rule, show: impl FnOnce() -> (String, String, String)) -> u32 {
        if let Some(&number) = self.by_rule.get(&rule) {
            return number;
        }
        let (program, service, place) = show();
        let number = self.push(rule.0, &program, &service, &place);
        if number != NO_REASON {
            self.by_rule.insert(rule, number);
        }
        number
    }

    /// The number of a recorded rule.
    pub(in crate::replay) fn of_told(&mut self, told: &Told) -> u32 {
        self.text.clear();
        for part in [&told.program, &told.service, &told.rule] {
            self.text.push_str(part);
            self.text.push('\0');
        }
        if let Some(&number) = self.by_text.get(self.text.as_str()) {
            return number;
        }
        let number = self.push(true, &told.program, &told.service, &told.rule);
        if number != NO_REASON {
            self.by_text.insert(self.text.as_str().into(), number);
        }
        number
    }

    fn push(&mut self, is_of_before: bool, program: &str, service: &str, rule: &str) -> u32 {
        if self.reasons.len() == REASONS_MAX {
            self.is_full = true;
            return NO_REASON;
        }
        let key: (Box<str>, Box<str>) = (program.into(), service.into());
        let service = *self.services.entry(key).or_insert_with_key(|key| {
            self.shown_services.push(key.clone());
            self.shown_services.len() as u32 - 1
        });
        self.reasons.push(Reason { is_of_before, service, rule: rule.into() });
        self.reasons.len() as u32 - 1
    }

    pub(super) fn service_of(&self, reason: u32) -> u32 {
        self.reasons[reason as usize].service
    }

    pub(in crate::replay) fn reason(&self, number: u32) -> &Reason {
        &self.reasons[number as usize]
    }

    /// Program and service of a reason.
    pub(in crate::replay) fn service_of_reason(&self, number: u32) -> (&str, &str) {
        self.service(self.service_of(number))
    }

    /// Program and service by number.
    pub(in crate::replay) fn service(&self, number: u32) -> (&str, &str) {
        let (program, service) = &self.shown_services[number as usize];
        (program, service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules that have no room are not taken for the owner's exceptions, which have no program either.
    #[test]
    fn more_rules_than_have_room() {
        let mut reasons = Reasons::default();
        let owner = reasons.of_rule((false, 0, 0), || (String::new(), String::new(), "exception c:1".to_owned()));
        let rule = |line: u32| move || ("p".to_owned(), "s".to_owned(), format!("s.list:{line}"));
        let numbers: Vec<u32> =
            (1..REASONS_MAX as u32 + 9).map(|line| reasons.of_rule((false, 1, line), rule(line))).collect();
        assert_eq!((owner, numbers[0]), (1, 2));
        assert!(reasons.is_full && numbers.ends_with(&[NO_REASON; 9]));
        assert_eq!(reasons.service_of_reason(owner), ("", ""));
        assert_ne!(reasons.service_of_reason(NO_REASON), reasons.service_of_reason(owner));
        assert_ne!(reasons.service_of(NO_REASON), reasons.service_of(owner));
    }
}
