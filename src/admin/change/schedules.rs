//! When programs are on, and when the modes of groups hold.

use super::{
    super::{
        auth::Who,
        problem::{Kind, Refusal},
    },
    desk::{Desk, Done, Target, Wish},
};
use crate::config::{
    overlay::{Entry, Key},
    unknown,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A schedule that is asked for, of a group or of a program.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Default, Debug)]
#[serde(deny_unknown_fields)]
pub struct ScheduleAsked {
    #[serde(default)]
    pub group: Option<String>,
    #[serde(default)]
    pub program: Option<String>,
    /// Empty: always; `None`: what the configuration says.
    #[serde(default)]
    pub schedule: Option<String>,
}

impl Desk {
    /// Sets a schedule, or gives it back to the configuration.
    pub async fn set_schedule(&self, who: &Who, asked: &ScheduleAsked, dry_run: bool) -> Result<Done, Refusal> {
        let whole = self.laid(self.files().await)?;
        let key = match (&asked.group, &asked.program) {
            (Some(group), None) => {
                let known: Vec<&str> = whole.groups.iter().map(|group| group.name.as_str()).collect();
                match known.contains(&group.as_str()) {
                    true => Key::GroupSchedule(group.clone()),
                    false => return Err(Refusal::field("group", unknown("group", group, &known))),
                }
            }
            (None, Some(program)) => {
                let known: Vec<&str> = whole.programs.iter().map(|program| program.name.as_str()).collect();
                match known.contains(&program.as_str()) {
                    true => Key::ProgramSchedule(program.clone()),
                    false => return Err(Refusal::field("program", unknown("program", program, &known))),
                }
            }
            _ => return Err(Refusal::new(Kind::Invalid, "write either a group or a program")),
        };
        let entry = asked.schedule.clone().map(Entry::Schedule);
        let wish = Wish::new("schedule", Target::Key(key), entry);
        // The option is called like what it schedules.
        self.change(who, wish, dry_run).await.map_err(|refusal| match refusal.fields.as_slice() {
            [own] => Refusal::field("schedule", own.message.clone()),
            _ => refusal,
        })
    }
}
