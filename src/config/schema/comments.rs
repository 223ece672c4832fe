//! What the comments of the shipped configuration say of options: those right above an option or section, and the lines
//! of tables of options.

use super::options::OPTIONS;
use std::collections::HashMap;

/// Spaces at the beginning of a line of a comment that says what one option of a table in double brackets means.
const ENTRY_INDENT: usize = 2;
/// Octets of the longest name of an option, which a column has room for: `allow_empty`.
const LONGEST_NAME: usize = 11;

/// Texts by the dotted names of options.
#[derive(Default)]
pub struct Comments(HashMap<String, String>);

impl Comments {
    /// Reads those of a configuration.
    pub fn of(template: &str) -> Self {
        let mut comments = Self::default();
        // The section, the comment that was read so far, and all comments since there was an option.
        let (mut section, mut block, mut since): (String, Vec<&str>, Vec<&str>) = Default::default();
        // Two options may share a comment: it stays until another comes.
        let mut is_used = false;
        for line in template.lines() {
            let example = line.strip_prefix('#').filter(|rest| rest.starts_with('[')).unwrap_or(line);
            let name = |text: &str| text.trim_matches(['[', ']', ' ']).to_owned();
            if let Some(text) = line.strip_prefix("# ") {
                if std::mem::take(&mut is_used) {
                    block.clear();
                }
                block.push(text);
                since.push(text);
                continue;
            }
            if example.starts_with('[') && example.trim_end().ends_with(']') {
                section = name(example);
                comments.add_section(&section, &block, &since);
                since.clear();
            } else if let Some((key, _)) = line.trim_start_matches('#').split_once('=')
                && !line.starts_with(' ')
                && !section.is_empty()
            {
                let option = format!("{section}.{}", key.trim());
                comments.add(option, &block);
                since.clear();
                is_used = true;
                continue;
            }
            block.clear();
        }
        comments
    }

    /// What is said of an option.
    pub fn of_option(&self, option: &str) -> Option<&str> {
        self.0.get(option).map(String::as_str)
    }

    fn add(&mut self, option: String, lines: &[&str]) {
        if !lines.is_empty() {
            self.0.entry(option).or_insert_with(|| lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "));
        }
    }

    /// The comment right above a section says what it is; those `since` the last option have a line for each of its own.
    fn add_section(&mut self, section: &str, block: &[&str], since: &[&str]) {
        let is_entry = |line: &&&str| entry(section, line).is_some();
        let own: Vec<&str> = block.iter().take_while(|line| !is_entry(line)).copied().collect();
        self.add(section.to_owned(), &own);
        let mut entries: Vec<(String, usize, Vec<&str>)> = Vec::new();
        for line in since {
            let indent = line.len() - line.trim_start().len();
            match (entry(section, line), entries.last_mut()) {
                (Some((option, text)), _) => entries.push((option, indent, vec![text])),
                (None, Some((_, start, text))) if indent > *start => text.push(line),
                _ => {}
            }
        }
        entries.into_iter().for_each(|(option, _, text)| self.add(option, &text));
    }
}

/// An option and the beginning of what is said of it: `  name        what it is`. Options of a program's lists stand
/// deeper than its own.
fn entry<'a>(section: &str, line: &'a str) -> Option<(String, &'a str)> {
    let indent = line.len() - line.trim_start().len();
    let (key, text) = line.trim_start().split_once(' ')?;
    // Two spaces make a column; one is enough after the longest name.
    if indent < ENTRY_INDENT || !text.starts_with(' ') && key.len() < LONGEST_NAME {
        return None;
    }
    let option = match indent > ENTRY_INDENT {
        true => format!("{section}.lists.{key}"),
        false => format!("{section}.{key}"),
    };
    OPTIONS.iter().any(|(known, _)| *known == option).then(|| (option, text.trim()))
}
