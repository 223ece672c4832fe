//! `cleandns admin`: who may use the pages and the API. It works on files; the running server sees that they changed.

use super::{Absent, Failure, Outcome, say, say_json, to_ask, with_world};
use crate::{
    admin::{Role, Users, token, users::PASSWORD_BYTES},
    config::{self, Config, rights},
};
use clap::Subcommand;
use nix::{
    sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr},
    unistd::{User as Account, geteuid},
};
use serde::Serialize;
use std::{
    io::{self, BufRead, IsTerminal, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Octets that are read of what should be a password.
const INPUT_BYTES_MAX: u64 = 4096;

/// What is to be said of who may.
#[derive(Subcommand)]
pub enum Command {
    /// Users with passwords, in the file that [admin] users_file names.
    User {
        #[command(subcommand)]
        command: UserCommand,
        /// Another file than the configuration's.
        #[arg(long, global = true, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Tokens, for [admin] token_file and read_token_file.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
}

/// What is to be done with users.
#[derive(Subcommand)]
pub enum UserCommand {
    /// Add a user, or give one a new password, which is asked for at the terminal or read from standard input.
    Add {
        name: String,
        /// Who may look, and change nothing.
        #[arg(long)]
        read_only: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Remove a user, and end their sessions.
    Remove {
        name: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show names and roles.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What is to be done with tokens.
#[derive(Subcommand)]
pub enum TokenCommand {
    /// Write a new token into a new file, which only its owner can read: written by root, it is the server's.
    New {
        file: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the token by which one signs in, as its owner or as root. A start makes one where others can reach the pages.
    Show {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What became of a user, as JSON.
#[derive(Serialize)]
struct Changed<'a> {
    file: String,
    /// The file is new.
    is_new: bool,
    user: &'a str,
    /// `None`: no user any more.
    role: Option<&'static str>,
    done: Done,
}

/// What became of them.
#[derive(Serialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Done {
    Added,
    Changed,
    Removed,
}

/// All users, as JSON.
#[derive(Serialize)]
struct Listed<'a> {
    file: String,
    users: Vec<User<'a>>,
}

#[derive(Serialize)]
struct User<'a> {
    name: &'a str,
    role: &'static str,
}

/// Does it. Files are written before the configuration names them, so it is read only where it has to tell of one. `asked`:
/// its file, as far as somebody says so.
pub fn admin(command: Command, asked: Option<&Path>, config: impl FnOnce() -> Result<Config, Failure>) -> Outcome {
    match command {
        Command::Token { command: TokenCommand::New { file, json } } => new_token(&file, owner(&file, asked), json),
        Command::Token { command: TokenCommand::Show { json } } => show_token(&to_ask::find(asked)?.config, json),
        Command::User { command, file: Some(file) } => users(&file, asked, command),
        Command::User { command, file: None } => users(&users_file(&config()?)?, asked, command),
    }
}

/// Writes a new token into a file that isn't there yet.
fn new_token(path: &Path, owner: Option<(u32, u32)>, json: bool) -> Outcome {
    token::write_new(path, owner).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::Other(format!("{} is there already; remove it first, or name another file", path.display()))
        }
        _ => Failure::Other(format!("{} can't be written: {error}", path.display())),
    })?;
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if json {
        return say_json(&serde_json::json!({ "token_file": path.display().to_string() }));
    }
    say(format!(
        "wrote a new token to {0}, which {1} can read\n\nname it in the configuration, which a running server follows:\n\n  \
         [admin]\n  token_file = \"{0}\"\n\nwhoever has it can sign in at the page with it, and change things; named as read_token_file instead, they can look \
         and change nothing\n",
        path.display(),
        readers(owner),
    ));
    Ok(())
}

/// Who a secret is for that root writes: whoever the server runs as, as far as that shows. The user and the group; `None`:
/// whoever writes it.
fn owner(path: &Path, asked: Option<&Path>) -> Option<(u32, u32)> {
    if !geteuid().is_root() {
        return None;
    }
    // One that can't be used says all the same who and where, mostly.
    let config = with_world(Absent::Fine, |world| Ok(config::to_ask(asked, world).config)).ok();
    let of = |folder: &Path| {
        let about = folder.metadata().ok()?;
        (about.uid() != 0).then_some((about.uid(), about.gid()))
    };
    let named = config.as_ref().and_then(|config| config.process.user.as_ref());
    let user = || Account::from_name(named?).ok()?.map(|user| (user.uid.as_raw(), user.gid.as_raw()));
    let state = || config.as_ref().and_then(|config| to_ask::state_folders(config).find_map(|folder| of(&folder)));
    let path = std::path::absolute(path).ok()?;
    path.parent().and_then(of).or_else(user).or_else(state)
}

/// Who can read a secret of this owner's.
fn readers(owner: Option<(u32, u32)>) -> String {
    match owner {
        Some((user, _)) => format!("{} alone, besides root,", rights::user(user)),
        None => "only its owner".to_owned(),
    }
}

/// Prints the token that the running server asks for, or else the one that the configuration is about.
fn show_token(config: &Config, json: bool) -> Outcome {
    let failed = |why: String| Err(Failure::Other(why));
    let Some(admin) = &config.admin else {
        return failed("[admin] listen is empty: there are no pages, and no token for them".to_owned());
    };
    let Some(file) = &admin.token_file else {
        return failed(match &admin.users_file {
            Some(users) => format!(
                "there is no token: users sign in with passwords; {} has them, and `cleandns admin user list` shows who",
                users.display()
            ),
            None => format!("no token is asked for: only this machine reaches the pages, at {}", admin.listen),
        });
    };
    let token = match (&admin.token, &admin.token_unread, file.symlink_metadata()) {
        (Some(token), ..) => token,
        (None, Some(why), Ok(_)) => return failed(why.clone()),
        (None, _, Err(error)) if error.kind() != io::ErrorKind::NotFound => {
            return failed(rights::unreadable(file, &error));
        }
        (None, ..) => {
            let file = file.display();
            return failed(format!(
                "{file} isn't there yet: the next start of the server makes it, or `cleandns admin token new {file}`"
            ));
        }
    };
    if json {
        return say_json(&serde_json::json!({ "token_file": file.display().to_string(), "token": token }));
    }
    say(format!("{token}\n"));
    Ok(())
}

/// The file of users that is meant.
fn users_file(config: &Config) -> Result<PathBuf, Failure> {
    let named = config.admin.as_ref().and_then(|admin| admin.users_file.clone());
    named.ok_or_else(|| {
        Failure::Usage("[admin] users_file names no file; set it, or name one by --file FILE".to_owned())
    })
}

/// Changes a file of users, or shows it.
fn users(file: &Path, asked: Option<&Path>, command: UserCommand) -> Outcome {
    let failed = |error: &dyn std::fmt::Display| Failure::Other(error.to_string());
    let is_there = file.exists();
    let mut users = match is_there {
        true => Users::read(file).map_err(|error| failed(&error))?,
        false => Users::default(),
    };
    let shown_file = file.display().to_string();
    let (name, role, done, json) = match &command {
        UserCommand::List { .. } if !is_there => {
            return Err(Failure::Other(format!("{shown_file}: there is no such file")));
        }
        UserCommand::List { json: true } => {
            let all = users.all().map(|(name, role)| User { name, role: role.word() });
            return say_json(&Listed { file: shown_file, users: all.collect() });
        }
        UserCommand::List { json: false } => {
            users.all().for_each(|(name, role)| say(format!("{name}  {}\n", role.word())));
            return Ok(());
        }
        UserCommand::Remove { name, json } => match users.remove(name) {
            true => (name, None, Done::Removed, *json),
            false => return Err(Failure::Other(format!("{shown_file}: there is no user {name}"))),
        },
        UserCommand::Add { name, read_only, json } => {
            let role = if *read_only { Role::ReadOnly } else { Role::Operator };
            let password = password(name).map_err(|error| failed(&error))?;
            let is_new = users.set(name, role, &password).map_err(|error| failed(&error))?;
            (name, Some(role.word()), if is_new { Done::Added } else { Done::Changed }, *json)
        }
    };
    let owner = if is_there { None } else { owner(file, asked) };
    users.write(file, owner).map_err(|error| Failure::Other(format!("{shown_file} can't be written: {error}")))?;
    if json {
        return say_json(&Changed { file: shown_file, is_new: !is_there, user: name, role, done });
    }
    let role = role.unwrap_or_default();
    match done {
        Done::Added => say(format!("{name} is added, {role}\n")),
        Done::Changed => say(format!("{name} has a new password, and is {role}\n")),
        Done::Removed => say(format!("{name} is removed; their sessions end\n")),
    }
    if users.all().next().is_none() {
        say(format!("{shown_file} has no user any more: nobody can sign in by a password\n"));
    }
    if !is_there {
        say(format!("{shown_file} is new, and {} can read it: let that be whom cleandns runs as\n", readers(owner)));
    }
    Ok(())
}

/// Asks for a password: twice and unseen at a terminal, else one line of the input.
fn password(name: &str) -> io::Result<String> {
    let input = io::stdin();
    if !input.is_terminal() {
        return line(&mut input.lock());
    }
    let first = unseen(&format!("Password for {name} ({} signs or more): ", PASSWORD_BYTES.start()))?;
    match unseen("The same once more: ")? == first {
        true => Ok(first),
        false => Err(io::Error::other("they differ; nothing is changed")),
    }
}

/// Asks for something at the terminal that isn't shown there.
fn unseen(prompt: &str) -> io::Result<String> {
    let (input, mut screen) = (io::stdin(), io::stderr());
    write!(screen, "{prompt}")?;
    screen.flush()?;
    let before = tcgetattr(&input)?;
    let mut quiet = before.clone();
    quiet.local_flags.remove(LocalFlags::ECHO);
    quiet.local_flags.insert(LocalFlags::ECHONL);
    tcsetattr(&input, SetArg::TCSAFLUSH, &quiet)?;
    let typed = line(&mut input.lock());
    tcsetattr(&input, SetArg::TCSAFLUSH, &before)?;
    typed
}

fn line(input: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    input.take(INPUT_BYTES_MAX).read_line(&mut line)?;
    match line.trim_end_matches(['\r', '\n']) {
        "" => Err(io::Error::other("no password was given; write it to standard input")),
        password => Ok(password.to_owned()),
    }
}
