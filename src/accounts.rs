//! Users and groups by name. The C library asks whoever the machine names for them, such as a directory service; a program
//! with that library inside can't, for those answer from libraries of their own, which end it. There the files are read.

use nix::unistd::{Gid, Group, Uid, User, getgrouplist, initgroups, setgroups};
use std::{ffi::CString, fs, str::FromStr};

/// Whether the C library is inside the program.
const IS_STATIC: bool = cfg!(target_feature = "crt-static");
/// passwd(5): `name:password:id:group:comment:home:shell`.
const USERS: &str = "/etc/passwd";
/// group(5): `name:password:id:member,member`.
const GROUPS: &str = "/etc/group";

/// A user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    pub name: String,
    pub id: Uid,
    /// The first of its groups.
    pub group: Gid,
}

/// The user of a name.
pub fn user(name: &str) -> Option<Account> {
    match IS_STATIC {
        true => users(&read(USERS)).find(|user| user.name == name),
        false => User::from_name(name).ok().flatten().map(of_system),
    }
}

/// The user of a number.
pub fn user_of(id: Uid) -> Option<Account> {
    match IS_STATIC {
        true => users(&read(USERS)).find(|user| user.id == id),
        false => User::from_uid(id).ok().flatten().map(of_system),
    }
}

/// The group of a name.
pub fn group(name: &str) -> Option<Gid> {
    match IS_STATIC {
        true => groups(&read(GROUPS)).find(|(own, ..)| *own == name).map(|(_, id, _)| id),
        false => Group::from_name(name).ok().flatten().map(|group| group.gid),
    }
}

/// Gives this process the groups of a user, and one more.
pub fn take_groups(user: &Account, group: Gid) -> nix::Result<()> {
    match IS_STATIC {
        true => setgroups(&groups_in(&read(GROUPS), &user.name, group)),
        false => initgroups(&CString::new(user.name.as_str()).map_err(|_| nix::Error::EINVAL)?, group),
    }
}

/// The groups that a user is in, of which `group` is the first.
pub fn groups_of(user: &Account, group: Gid) -> Vec<Gid> {
    match IS_STATIC {
        true => groups_in(&read(GROUPS), &user.name, group),
        false => CString::new(user.name.as_str())
            .ok()
            .and_then(|name| getgrouplist(&name, group).ok())
            .unwrap_or_else(|| vec![group]),
    }
}

fn of_system(user: User) -> Account {
    Account { name: user.name, id: user.uid, group: user.gid }
}

fn read(path: &str) -> String {
    fs::read(path).map(|octets| String::from_utf8_lossy(&octets).into_owned()).unwrap_or_default()
}

fn number<N: FromStr>(field: Option<&str>) -> Option<N> {
    field?.parse().ok()
}

fn users(text: &str) -> impl Iterator<Item = Account> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let (id, group) = (number(fields.nth(1))?, number(fields.next())?);
        Some(Account { name, id: Uid::from_raw(id), group: Gid::from_raw(group) })
    })
}

/// Names, numbers and members.
fn groups(text: &str) -> impl Iterator<Item = (&str, Gid, &str)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some((name, Gid::from_raw(number(fields.nth(1))?), fields.next()?))
    })
}

fn groups_in(text: &str, name: &str, group: Gid) -> Vec<Gid> {
    let others = groups(text).filter(|(_, id, members)| *id != group && members.split(',').any(|own| own == name));
    std::iter::once(group).chain(others.map(|(_, id, _)| id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_say_what_the_system_says() {
        let (text, mut count) = (read(USERS), 0);
        for user in users(&text) {
            assert_eq!(User::from_name(&user.name).unwrap().map(of_system), Some(user));
            count += 1;
        }
        assert!(count > 0);
        for (name, id, _) in groups(&read(GROUPS)) {
            assert_eq!(Group::from_name(name).unwrap().map(|group| group.gid), Some(id));
        }
    }

    #[test]
    fn odd_lines_are_nobody() {
        let text = "\n:\n#x:x:1:1\na:x:one:1::/:\nb:x:2\n+\nc:x:3:4:Some Body:/:/bin/sh\nd::4294967296:1:::\n";
        let found: Vec<_> = users(text).map(|user| (user.name, user.id.as_raw(), user.group.as_raw())).collect();
        assert_eq!(found, [("#x".to_owned(), 1, 1), ("c".to_owned(), 3, 4)]);
        let text = "one:x:1:a,b\ntwo:x:2:\nthree:x:3:b\nodd:x:\nfour:x:4:ab,b";
        let of = |name| groups_in(text, name, Gid::from_raw(3)).iter().map(|id| id.as_raw()).collect::<Vec<_>>();
        assert_eq!((of("b"), of("a"), of("nobody")), (vec![3, 1, 4], vec![3, 1], vec![3]));
    }
}
