//! `[process]`: what the process gives up before it serves.

use super::{reader::Table, sections::Reading};
use crate::config::Process;

impl Reading<'_> {
    pub(super) fn process(&self, table: &Table<'_>) -> Process {
        let user = table.set_text("user", "cleandns");
        let group = table.set_text("group", "cleandns");
        if let (Some(group), None) = (&group, &user) {
            group.problem("a group needs a user who is in it; set user too, or leave group empty");
        }
        let word = |value: super::reader::Value<'_>| value.text("cleandns").map(str::to_owned);
        let read =
            table.value("read").map(|value| value.parse_list("\"/srv/lists\"", |path| self.base.folder_or_file(path)));
        Process {
            user: user.and_then(word),
            group: group.and_then(word),
            sandbox: table.boolean("sandbox", true),
            read: read.unwrap_or_default().into_iter().map(|(_, path)| path).collect(),
        }
    }
}
