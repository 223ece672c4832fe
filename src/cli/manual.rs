//! What packages install beside the program, made from the command line itself: man pages and completions.

use super::{Args, Failure, Outcome, say};
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};
use std::{fs, io, path::Path};

/// Prints what a shell needs to complete the command line.
pub fn completions(shell: Shell) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "cleandns", &mut text);
    say(String::from_utf8_lossy(&text));
    Ok(())
}

/// Prints the man page; or writes those of all commands into a folder.
pub fn man(folder: Option<&Path>) -> Outcome {
    let main = main_page().map_err(|error| Failure::Other(error.to_string()))?;
    let Some(folder) = folder else {
        say(String::from_utf8_lossy(&main));
        return Ok(());
    };
    let write = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        clap_mangen::generate_to(Args::command(), folder)?;
        fs::write(folder.join("cleandns.1"), &main)
    };
    write().map_err(|error| Failure::Other(format!("{}: can't be written: {error}", folder.display())))
}

/// The page of the program itself: what its options don't tell stands there too.
fn main_page() -> io::Result<Vec<u8>> {
    let man = Man::new(Args::command());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    man.render_subcommands_section(&mut page)?;
    own_sections().to_writer(&mut page)?;
    man.render_version_section(&mut page)?;
    Ok(page)
}

/// Sections of a term and what is said of it.
const SECTIONS: [(&str, &[(&str, &str)]); 4] = [
    (
        "EXIT STATUS",
        &[
            ("0", "fine"),
            ("64", "wrong usage"),
            ("78", "wrong configuration, told by file, line and column"),
            ("1", "anything else"),
        ],
    ),
    (
        "SIGNALS",
        &[
            ("SIGHUP", "reads everything again that can be read again while it runs"),
            ("SIGTERM, SIGINT", "answers what has come, and leaves"),
        ],
    ),
    (
        "FILES",
        &[
            ("/etc/cleandns/cleandns.toml", "the configuration of an installed server"),
            ("/etc/cleandns/blocklists", "the lists that come with it"),
            ("/var/lib/cleandns", "the last texts of lists, the query log, pauses, what pages and API changed"),
        ],
    ),
    (
        "SEE ALSO",
        &[("/usr/share/doc/cleandns", "the documentation, where a package installed it; its README.md first")],
    ),
];

fn own_sections() -> Roff {
    let mut roff = Roff::new();
    for (title, terms) in SECTIONS {
        roff.control("SH", [title]);
        for (term, what) in terms {
            roff.control("TP", []);
            roff.text([bold(*term)]);
            roff.text([roman(*what)]);
        }
    }
    roff
}
