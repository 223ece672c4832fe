//! Users and their passwords: a file of lines `name:role:$argon2id$…`. It is read at the start and when it changes; a bad
//! one never replaces a good one.

use super::{Role, random};
use crate::{
    config::{Admin, rights},
    watch::Stamp,
    whole::{PRIVATE, Whole},
};
use arc_swap::ArcSwap;
use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Octets of the file, and users in it: one resolver's people.
const FILE_BYTES_MAX: u64 = 1 << 20;
const USERS_MAX: usize = 1000;
/// Octets of a user's name.
pub const NAME_BYTES_MAX: usize = 64;
/// Octets of a password: the shortest that isn't guessed at once, and more than anybody types.
pub const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 8..=1024;
/// KiB that one comparison may take: a file from elsewhere could ask for all of the memory.
const HASH_KIB_MAX: u32 = 256 << 10;
/// Names that the audit log uses for those who have none.
const NAMES_TAKEN: [&str; 4] = ["local", "token", "read-token", "file"];

/// All users.
#[derive(Clone, Default, Debug)]
pub struct Users {
    by_name: BTreeMap<String, User>,
}

#[derive(Clone, Debug)]
struct User {
    role: Role,
    hash: PasswordHash,
}

/// Why a file of users can't be used.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    #[error("{}", rights::unreadable(.path, .error))]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{}: is larger than {} octets", .0.display(), FILE_BYTES_MAX)]
    TooLarge(PathBuf),
    #[error("{}", nobody(.0))]
    Empty(PathBuf),
    #[error("{}:{line}: {what}; write it by `cleandns admin user add NAME`", .path.display())]
    Line { path: PathBuf, line: usize, what: String },
}

/// What to do about a file that nobody is in.
fn nobody(path: &Path) -> String {
    let path = path.display();
    format!(
        "{path}: there is no user in it, and there is no token, so nobody could sign in; add one by `cleandns admin user add \
         NAME --file {path}`"
    )
}

impl Users {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, UsersError> {
        let unreadable = |error| UsersError::Unreadable { path: path.to_owned(), error };
        let (mut text, file) = (String::new(), File::open(path).map_err(unreadable)?);
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(UsersError::TooLarge(path.to_owned()));
        }
        let wrong = |line, what| UsersError::Line { path: path.to_owned(), line, what };
        let mut users = Self::default();
        for (index, line) in text.lines().enumerate() {
            if !line.trim().is_empty() && !line.starts_with('#') {
                users.take_line(line.trim()).map_err(|what| wrong(index + 1, what))?;
            }
        }
        Ok(users)
    }

    /// The same of a file that somebody has to be in, unless there is a token to sign in with.
    pub fn read_for(admin: &Admin) -> Result<Option<Self>, UsersError> {
        let Some(path) = &admin.users_file else { return Ok(None) };
        let users = Self::read(path)?;
        match users.by_name.is_empty() && admin.token_file.is_none() {
            true => Err(UsersError::Empty(path.clone())),
            false => Ok(Some(users)),
        }
    }

    fn take_line(&mut self, line: &str) -> Result<(), String> {
        let mut parts = line.splitn(3, ':');
        let (Some(name), Some(role), Some(hash)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("a line is name:role:$argon2id$…".to_owned());
        };
        check_name(name)?;
        let role = [Role::ReadOnly, Role::Operator].into_iter().find(|own| own.word() == role);
        let role = role.ok_or_else(|| "the role is operator or read-only".to_owned())?;
        let hash = PasswordHash::new(hash).map_err(|error| format!("the hash can't be read: {error}"))?;
        if hash.algorithm.as_str() != "argon2id" {
            return Err("only argon2id will do".to_owned());
        }
        if hash.params.get_decimal("m").is_none_or(|kib| kib > HASH_KIB_MAX) {
            return Err(format!("the hash wants more than {HASH_KIB_MAX} KiB of memory"));
        }
        if self.by_name.len() >= USERS_MAX {
            return Err(format!("there are more than {USERS_MAX} users"));
        }
        match self.by_name.insert(name.to_owned(), User { role, hash }) {
            None => Ok(()),
            Some(_) => Err(format!("{name} is there twice")),
        }
    }

    /// What a user may, if that is the password. It takes its time, the same for a user that isn't there.
    pub fn verify(&self, name: &str, password: &str) -> Option<Role> {
        let user = self.by_name.get(name);
        let nobody = || PasswordHash::new(NOBODY).ok();
        let hash = user.map(|user| user.hash.clone()).or_else(nobody)?;
        let is_right = Argon2::default().verify_password(password.as_bytes(), &hash).is_ok();
        user.filter(|_| is_right).map(|user| user.role)
    }

    /// Adds a user, or gives one another password and role. True if the user is new.
    pub fn set(&mut self, name: &str, role: Role, password: &str) -> Result<bool, String> {
        check_name(name)?;
        if !PASSWORD_BYTES.contains(&password.len()) {
            return Err(format!("a password has {} to {} octets", PASSWORD_BYTES.start(), PASSWORD_BYTES.end()));
        }
        if self.by_name.len() >= USERS_MAX && !self.by_name.contains_key(name) {
            return Err(format!("there are {USERS_MAX} users already"));
        }
        let salt: [u8; 16] = random().map_err(|error| error.to_string())?;
        let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
        let hash = hash.map_err(|error| format!("the password can't be hashed: {error}"))?;
        Ok(self.by_name.insert(name.to_owned(), User { role, hash }).is_none())
    }

    /// False if there is no such user.
    pub fn remove(&mut self, name: &str) -> bool {
        self.by_name.remove(name).is_some()
    }

    /// Names and roles, by name.
    pub fn all(&self) -> impl Iterator<Item = (&str, Role)> {
        self.by_name.iter().map(|(name, user)| (name.as_str(), user.role))
    }

    /// Writes them in place of a file, whole or not at all. It stays its owner's; a new one is for its owner alone:
    /// `owner`, user and group, or else whoever this is.
    pub fn write(&self, path: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
        let mut file = Whole::begin(path, PRIVATE)?;
        let before = fs::metadata(path).ok();
        // The server may run as somebody else, who owns it.
        let owner = before.as_ref().map(|before| (before.uid(), before.gid())).or(owner);
        owner.map_or(Ok(()), |owner| file.give_to(owner))?;
        before.map_or(Ok(()), |before| file.set_mode(before.mode() & 0o777))?;
        writeln!(file, "# Users of cleandns: name:role:hash. Written by `cleandns admin user`.")?;
        for (name, User { role, hash }) in &self.by_name {
            writeln!(file, "{name}:{}:{hash}", role.word())?;
        }
        file.finish()
    }
}

/// A hash by our own measure that no password is looked for: 19 MiB, 2 passes.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'.' | b'_' | b'-' | b'@');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_plain) {
        return Err(format!("a user's name is 1 to {NAME_BYTES_MAX} of the signs a-z A-Z 0-9 . _ - @"));
    }
    match NAMES_TAKEN.contains(&name) {
        true => Err(format!("the name {name} has a meaning of its own; take another")),
        false => Ok(()),
    }
}

/// A file of users, which is looked at again and again.
pub struct UsersFile {
    path: PathBuf,
    in_force: ArcSwap<InForce>,
    /// Held by whoever reads the file.
    state: Mutex<State>,
}

struct State {
    /// What told the file read last from others.
    stamp: Option<Stamp>,
    /// Why the file as it is now can't be used.
    trouble: Option<String>,
}

/// Users as they were at some time.
pub struct InForce {
    pub users: Users,
    /// Tells them from all others that this process has read, of this file or another.
    pub number: u64,
}

impl InForce {
    fn new(users: Users) -> Self {
        static READ: AtomicU64 = AtomicU64::new(0);
        Self { users, number: READ.fetch_add(1, Relaxed) + 1 }
    }
}

impl UsersFile {
    /// The one that the configuration names, if it names one.
    pub fn read(admin: &Admin) -> Result<Option<Self>, UsersError> {
        let Some(path) = &admin.users_file else { return Ok(None) };
        let stamp = Stamp::of(path).ok();
        let Some(users) = Users::read_for(admin)? else { return Ok(None) };
        let in_force = ArcSwap::from_pointee(InForce::new(users));
        Ok(Some(Self { path: path.clone(), in_force, state: Mutex::new(State { stamp, trouble: None }) }))
    }

    /// The users there are now.
    pub fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    /// Why what is in the file isn't in force.
    pub fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    /// Reads the file again if it has changed; true if other users are in force now. It waits for the disk.
    pub fn look(&self) -> bool {
        let mut state = self.lock();
        let stamp = Stamp::of(&self.path).ok();
        if state.stamp == stamp {
            return false;
        }
        state.stamp = stamp;
        match Users::read(&self.path) {
            Ok(users) => {
                let file = self.path.display();
                match users.by_name.len() {
                    // Whoever was taken out of it is out all the same.
                    0 => tracing::warn!(%file, "there is no user left in the file: nobody can sign in by a password"),
                    users => tracing::info!(%file, users, "the file of users was read again"),
                }
                self.in_force.store(Arc::new(InForce::new(users)));
                state.trouble = None;
                true
            }
            Err(error) => {
                tracing::error!(%error, "the users as they were before stay in force");
                state.trouble = Some(error.to_string());
                false
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// As our own, but quick.
    const QUICK: &str = "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn users_file(path: &Path) -> UsersFile {
        let admin = Admin { users_file: Some(path.to_owned()), ..Admin::plain("127.0.0.1:0".parse().unwrap()) };
        UsersFile::read(&admin).unwrap().unwrap()
    }

    #[test]
    fn users_are_written_read_and_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let mut users = Users::default();
        assert_eq!(users.set("anna", Role::Operator, "correct horse"), Ok(true));
        assert_eq!(users.set("bob", Role::ReadOnly, "battery staple"), Ok(true));
        assert_eq!(users.set("bob", Role::ReadOnly, "battery staples"), Ok(false));
        users.write(&path, None).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let users = Users::read(&path).unwrap();
        assert_eq!(users.all().collect::<Vec<_>>(), [("anna", Role::Operator), ("bob", Role::ReadOnly)]);
        for (name, password, role) in [
            ("anna", "correct horse", Some(Role::Operator)),
            ("anna", "correct hors", None),
            ("bob", "battery staple", None),
            ("bob", "battery staples", Some(Role::ReadOnly)),
            ("nobody", "correct horse", None),
            ("anna", "", None),
        ] {
            assert_eq!(users.verify(name, password), role, "{name} {password}");
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\nanna:operator:$argon2id$v=19$m=19456,t=2,p=1$") && !text.contains("horse"), "{text}");
        assert!(PasswordHash::new(NOBODY).is_ok(), "who isn't there takes as long");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        for (text, expected) in [
            ("# users\n\nanna", "users:3: a line is name:role:"),
            (&format!("anna:admin:{QUICK}"), "users:1: the role is operator or read-only"),
            (&format!("an na:operator:{QUICK}"), "users:1: a user's name is"),
            (&format!("local:operator:{QUICK}"), "users:1: the name local has a meaning"),
            ("anna:operator:secret", "users:1: the hash can't be read"),
            (&format!("anna:operator:{}", QUICK.replace("2id", "2i")), "users:1: only argon2id will do"),
            (&format!("anna:operator:{}", QUICK.replace("m=8", "m=9999999")), "users:1: the hash wants more than"),
            (&format!("a:operator:{QUICK}\na:operator:{QUICK}"), "users:2: a is there twice"),
        ] {
            fs::write(&path, text).unwrap();
            let error = Users::read(&path).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert!(Users::read(&folder.path().join("none")).unwrap_err().to_string().contains("can't be read"));
        assert!(Users::default().set("anna", Role::Operator, "short").is_err());
    }

    #[test]
    fn a_bad_file_replaces_no_good_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        fs::write(&path, format!("anna:operator:{QUICK}\n")).unwrap();
        let file = users_file(&path);
        assert!(!file.look());
        fs::write(&path, "anna\n").unwrap();
        assert!(!file.look());
        assert!(file.trouble().is_some_and(|why| why.contains("users:1:")));
        assert_eq!(file.in_force().users.all().count(), 1);
        fs::write(&path, format!("anna:operator:{QUICK}\nbob:read-only:{QUICK}\n")).unwrap();
        assert!(file.look());
        assert_eq!((file.in_force().users.all().count(), file.trouble()), (2, None));
        fs::remove_file(&path).unwrap();
        assert!(!file.look() && file.in_force().users.all().count() == 2);
    }

    /// Who starts with nobody in it has made a mistake; who takes the last one out means it.
    #[test]
    fn a_file_without_users_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let admin = |token_file| {
            let plain = Admin::plain("127.0.0.1:0".parse().unwrap());
            Admin { users_file: Some(path.clone()), token_file, ..plain }
        };
        fs::write(&path, "# nobody yet\n").unwrap();
        let error = UsersFile::read(&admin(None)).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("users: there is no user in it") && error.contains("user add NAME --file /"), "{error}");
        assert!(UsersFile::read(&admin(Some("/token".into()))).is_ok_and(|file| file.is_some()));
        fs::write(&path, format!("anna:operator:{QUICK}\n")).unwrap();
        let file = UsersFile::read(&admin(None)).unwrap().unwrap();
        fs::write(&path, "# nobody any more\n").unwrap();
        assert!(file.look() && file.in_force().users.all().next().is_none());
    }

    /// Whoever gives a file its old times back, as `cp -p` and backups do, can't hide that it is another.
    #[test]
    fn a_file_of_the_same_size_and_time_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        fs::write(&path, format!("anna:operator:{QUICK}\n")).unwrap();
        let modified = path.metadata().unwrap().modified().unwrap();
        let file = users_file(&path);
        fs::write(&path, format!("anne:operator:{QUICK}\n")).unwrap();
        File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
        assert!(file.look());
        assert_eq!(file.in_force().users.all().next(), Some(("anne", Role::Operator)));
    }
}
