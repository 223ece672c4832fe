//! `cleandns lists export`: a program's rules in forms that others read.

use super::{Failure, Outcome};
use crate::{
    app,
    config::Config,
    lists::Lists,
    policy::{
        Mode, Policy,
        export::{self, Form, Wanted},
    },
    whole::{self, Whole},
};
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
    pub format: Format,
    pub program: Option<String>,
    pub services: Vec<String>,
    pub mode: Option<Mode>,
    pub output: Option<PathBuf>,
}

/// Compiles the lists from their files, writes what is asked for, and tells what it leaves out.
pub fn export(config: Config, asked: &Asked) -> Outcome {
    let form = asked.format.form();
    let outside = app::Outside::real().chance();
    let now = (outside.clock)();
    let lists = Lists::load(Arc::new(config), app::embedded_files(), outside)
        .map_err(|error| Failure::Configuration(error.to_string()))?;
    let published = lists.published();
    let policy = published.policy.load_full().ok_or_else(|| Failure::Other("no policy could be built".into()))?;
    let program = program(&policy, asked.program.as_deref(), form)?;
    for list in published.status.load().lists.iter().filter(|list| list.program == policy.programs()[program].name) {
        if let Some(trouble) = &list.trouble {
            tell(&format!("{}: unusable: {trouble}", list.path));
        }
    }
    // A firewall isn't asked through this resolver, so the modes here say nothing about it.
    let least = asked.mode.unwrap_or(if form.is_of_addresses() { Mode::Off } else { Mode::Enforce });
    let wanted = Wanted { program, least, services: &asked.services, now };
    let mut sink = Sink::open(asked.output.as_deref())?;
    let exported = export::export(&policy, &wanted, form, &mut |piece| sink.put(piece));
    let exported = exported.map_err(|error| Failure::Other(error.to_string()))?;
    sink.close()?;
    exported.left.iter().for_each(|left| tell(&left.to_string()));
    if exported.said == 0 {
        tell(&format!(
            "no rule of {} is in the export: its services may be below mode {least} (see `cleandns lists status`; \
             --mode off takes all)",
            policy.programs()[program].name
        ));
    }
    Ok(())
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

/// Where the text goes. A file is put in its place whole, for whoever reads it meanwhile; a pipe or a device stays what it
/// is.
enum Sink {
    Stdout(BufWriter<io::Stdout>, io::Result<()>),
    Device { writer: BufWriter<fs::File>, result: io::Result<()>, path: PathBuf },
    File { writer: BufWriter<Whole>, result: io::Result<()>, path: PathBuf },
}

impl Sink {
    fn open(output: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = output else { return Ok(Self::Stdout(BufWriter::new(io::stdout()), Ok(()))) };
        if path.metadata().is_ok_and(|there| !there.is_file()) {
            let file = fs::File::options().write(true).open(path).map_err(|error| unwritable(path, &error))?;
            return Ok(Self::Device { writer: BufWriter::new(file), result: Ok(()), path: path.to_owned() });
        }
        let file = Whole::begin(path, whole::USUAL).map_err(|error| unwritable(path, &error))?;
        Ok(Self::File { writer: BufWriter::new(file), result: Ok(()), path: path.to_owned() })
    }

    fn put(&mut self, piece: &str) {
        let (writer, result): (&mut dyn Write, _) = match self {
            Self::Stdout(writer, result) => (writer, result),
            Self::Device { writer, result, .. } => (writer, result),
            Self::File { writer, result, .. } => (writer, result),
        };
        if result.is_ok() {
            *result = writer.write_all(piece.as_bytes());
        }
    }

    fn close(self) -> Outcome {
        match self {
            Self::Stdout(mut writer, result) => super::said(result.and_then(|()| writer.flush())),
            Self::Device { mut writer, result, path } => {
                result.and_then(|()| writer.flush()).map_err(|error| unwritable(&path, &error))
            }
            Self::File { writer, result, path } => {
                let file = result.and_then(|()| writer.into_inner().map_err(|error| error.into_error()));
                file.and_then(Whole::finish).map_err(|error| unwritable(&path, &error))
            }
        }
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::Other(format!("--output {}: can't be written: {error}", path.display()))
}
