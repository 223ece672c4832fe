//! How foreign text is put into a page: names asked, lines of lists and names of files are hostile input.

use askama::filters::{Escaper, Html};
use std::fmt;

/// Escapes for HTML, and shows control characters and changes of direction for what they are.
#[derive(Clone, Copy, Default, Debug)]
pub struct Shown;

impl Escaper for Shown {
    fn write_escaped_str<W: fmt::Write>(&self, dest: W, text: &str) -> fmt::Result {
        Html.write_escaped_str(dest, &crate::report::visible(text))
    }
}
