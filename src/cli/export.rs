//! `cleandns lists export`: a program's rules in forms that others read.

use super::{Failure, Outcome, say_json};
use crate::{
    app,
    config::Config,
    lists::Lists,
    policy::{
        Mode, Policy,
        export::{self, Exported, Form, Left, Wanted},
    },
    whole::{self, Whole},
};
use clap::ValueEnum as _;
use serde::Serialize;
use serde_json::Value;
use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Whose addresses are meant if nobody says.
const OF_ADDRESSES: &str = "bypass";

/// The forms, as they are typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// Addresses and networks, one a line, for a firewall.
    Text,
    /// The same as JSON, with service, list and line.
    Json,
    /// The same as sets of nftables, by service and family.
    Nftables,
    /// Names, one a line; `*.name` is everything below.
    Domains,
    /// A response policy zone, as BIND, Unbound, Knot and PowerDNS read it.
    Rpz,
    /// AdBlock's syntax for DNS, as AdGuard Home reads it.
    Adblock,
}

impl Format {
    fn form(self) -> Form {
        match self {
            Self::Text => Form::Text,
            Self::Json => Form::Json,
            Self::Nftables => Form::Nftables,
            Self::Domains => Form::Domains,
            Self::Rpz => Form::Rpz,
            Self::Adblock => Form::Adblock,
        }
    }
}

/// What is asked.
pub struct Asked {
    /// `None`: addresses as text; as JSON where JSON is asked for.
    pub format: Option<Format>,
    pub program: Option<String>,
    pub services: Vec<String>,
    pub mode: Option<Mode>,
    pub output: Option<PathBuf>,
    pub json: bool,
}

/// All that is told of an export, as JSON.
#[derive(Serialize)]
struct Told<'a> {
    program: &'a str,
    format: &'a str,
    /// Those asked for; none: all.
    services: &'a [String],
    /// The least mode of a service.
    mode: &'static str,
    /// Rules that are in the export.
    rules: usize,
    left_out: Vec<Left>,
    /// Lists of the program that can't be used.
    unusable: Vec<Unusable>,
    /// Why nothing is in the export, if nothing is.
    empty: Option<String>,
    /// The file that the export went to. Without one it stands below.
    output: Option<String>,
    text: Option<String>,
    /// In place of a text, of the format `json`.
    networks: Option<Value>,
}

#[derive(Serialize)]
struct Unusable {
    list: String,
    why: String,
}

/// Compiles the lists from their files, writes what is asked for, and tells what it leaves out.
pub fn export(config: Config, asked: &Asked) -> Outcome {
    let format = asked.format.unwrap_or(if asked.json { Format::Json } else { Format::Text });
    let form = format.form();
    let outside = app::Outside::real().chance();
    let now = (outside.clock)();
    let lists = Lists::load(Arc::new(config), app::embedded_files(), outside)
        .map_err(|error| Failure::Configuration(error.to_string()))?;
    let published = lists.published();
    let policy = published.policy.load_full().ok_or_else(|| Failure::Other("no policy could be built".into()))?;
    let program = program(&policy, asked.program.as_deref(), form)?;
    let name = &*policy.programs()[program].name;
    let status = published.status.load();
    let troubled = status.lists.iter().filter(|list| list.program == name);
    let unusable = troubled.filter_map(|list| {
        let why = list.trouble.as_ref()?.to_string();
        Some(Unusable { list: list.path.to_string(), why })
    });
    let unusable: Vec<Unusable> = unusable.collect();
    // A firewall isn't asked through this resolver, so the modes here say nothing about it.
    let least = asked.mode.unwrap_or(if form.is_of_addresses() { Mode::Off } else { Mode::Enforce });
    let wanted = Wanted { program, least, services: &asked.services, now };
    let mut sink = match &asked.output {
        Some(path) => Sink::into_file(path)?,
        None if asked.json => Sink::Text(String::new()),
        None => Sink::Stdout(BufWriter::new(io::stdout()), Ok(())),
    };
    let exported = export::export(&policy, &wanted, form, &mut |piece| sink.put(piece));
    let Exported { said, left } = exported.map_err(|error| Failure::Other(error.to_string()))?;
    let text = sink.close()?;
    let empty = (said == 0).then(|| {
        format!(
            "no rule of {name} is in the export: its services may be below mode {least} (see `cleandns lists status`; \
             --mode off takes all)"
        )
    });
    if !asked.json {
        unusable.iter().for_each(|Unusable { list, why }| tell(&format!("{list}: unusable: {why}")));
        left.iter().for_each(|left| tell(&left.to_string()));
        empty.iter().for_each(|why| tell(why));
        return Ok(());
    }
    let (text, networks) = match format {
        // As data, and not as a text that is data again.
        Format::Json => (None, text.map(|text| networks_of(&text)).transpose()?),
        _ => (text, None),
    };
    say_json(&Told {
        program: name,
        format: format.to_possible_value().as_ref().map_or("", |value| value.get_name()),
        services: &asked.services,
        mode: least.word(),
        rules: said,
        left_out: left,
        unusable,
        empty,
        output: asked.output.as_ref().map(|path| path.display().to_string()),
        text,
        networks,
    })
}

/// The networks in what the format `json` writes.
fn networks_of(text: &str) -> Result<Value, Failure> {
    let mut all: Value = serde_json::from_str(text).map_err(|error| Failure::Other(error.to_string()))?;
    Ok(all["networks"].take())
}

/// The index of the program that is meant.
fn program(policy: &Policy, name: Option<&str>, form: Form) -> Result<usize, Failure> {
    let known = || policy.programs().iter().map(|program| program.name.as_str()).collect::<Vec<_>>().join(", ");
    let name = match name {
        Some(name) => name,
        None if form.is_of_addresses() => OF_ADDRESSES,
        None => {
            let why = "--program is missing: each program has exceptions of its own, so each is a file of its own";
            return Err(Failure::Usage(format!("{why}; one of {}", known())));
        }
    };
    let at = policy.programs().iter().position(|program| program.name == name);
    at.ok_or_else(|| {
        let what = format!("the configuration has no program `{name}`, only {}", known());
        Failure::Usage(format!("{what}; name one by --program, or another file by --config"))
    })
}

fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Where the text goes: into what is told as JSON, or out. A file is put in its place whole, for whoever reads it meanwhile; a
/// pipe or a device stays what it is.
enum Sink {
    Text(String),
    Stdout(BufWriter<io::Stdout>, io::Result<()>),
    Device { writer: BufWriter<fs::File>, result: io::Result<()>, path: PathBuf },
    File { writer: BufWriter<Whole>, result: io::Result<()>, path: PathBuf },
}

impl Sink {
    fn into_file(path: &Path) -> Result<Self, Failure> {
        if path.metadata().is_ok_and(|there| !there.is_file()) {
            let file = fs::File::options().write(true).open(path).map_err(|error| unwritable(path, &error))?;
            return Ok(Self::Device { writer: BufWriter::new(file), result: Ok(()), path: path.to_owned() });
        }
        let file = Whole::begin(path, whole::USUAL).map_err(|error| unwritable(path, &error))?;
        Ok(Self::File { writer: BufWriter::new(file), result: Ok(()), path: path.to_owned() })
    }

    fn put(&mut self, piece: &str) {
        let (writer, result): (&mut dyn Write, _) = match self {
            Self::Text(text) => {
                text.push_str(piece);
                return;
            }
            Self::Stdout(writer, result) => (writer, result),
            Self::Device { writer, result, .. } => (writer, result),
            Self::File { writer, result, .. } => (writer, result),
        };
        if result.is_ok() {
            *result = writer.write_all(piece.as_bytes());
        }
    }

    /// Ends it. Returns the text, if it went nowhere.
    fn close(self) -> Result<Option<String>, Failure> {
        match self {
            Self::Text(text) => return Ok(Some(text)),
            Self::Stdout(mut writer, result) => super::said(result.and_then(|()| writer.flush()))?,
            Self::Device { mut writer, result, path } => {
                result.and_then(|()| writer.flush()).map_err(|error| unwritable(&path, &error))?;
            }
            Self::File { writer, result, path } => {
                let file = result.and_then(|()| writer.into_inner().map_err(|error| error.into_error()));
                file.and_then(Whole::finish).map_err(|error| unwritable(&path, &error))?;
            }
        }
        Ok(None)
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::Other(format!("--output {}: can't be written: {error}", path.display()))
}
