//! `Cache-Control` (RFC 9111 §5.2), in requests, in responses, and targeted at us (RFC 9213).

mod request;
mod response;
pub mod surrogate;
mod targeted;

pub use request::{MaxStale, RequestControl};
pub use response::ResponseControl;

use std::borrow::Cow;

use super::{DELTA_MAX, list, text};

const NAME_LENGTH_MAX: usize = "stale-while-revalidate".len();

/// One member of the list: `token [ "=" ( token / quoted-string ) ]`.
struct Directive<'a> {
    /// As written.
    name: &'a [u8],
    argument: Argument<'a>,
}

#[derive(Clone, Copy)]
enum Argument<'a> {
    None,
    /// As written, quotes and all.
    Some(&'a [u8]),
    /// There is whitespace around the `=`, where the grammar has none.
    Malformed,
}

impl<'a> Directive<'a> {
    fn parse(element: &'a [u8]) -> Self {
        let Some(equals) = element.iter().position(|byte| *byte == b'=') else {
            return Self {
                name: element,
                argument: Argument::None,
            };
        };
        let (written, rest) = element.split_at(equals);
        let argument = rest.get(1..).unwrap_or_default();
        // The name is recognised all the same: `private ="x"` must not pass for nothing.
        let name = list::trim(written);
        let well_formed =
            name.len() == written.len() && list::trim(argument).len() == argument.len();
        Self {
            name,
            argument: if well_formed {
                Argument::Some(argument)
            } else {
                Argument::Malformed
            },
        }
    }

    /// The name in lower case; empty if it is longer than every name known here.
    fn name<'b>(&self, buffer: &'b mut [u8; NAME_LENGTH_MAX]) -> &'b [u8] {
        let Some(name) = buffer.get_mut(..self.name.len()) else {
            return b"";
        };
        name.copy_from_slice(self.name);
        name.make_ascii_lowercase();
        name
    }
}

impl<'a> Argument<'a> {
    const fn is_none(self) -> bool {
        matches!(self, Self::None)
    }

    /// RFC 9111 §5.2: "For the directives defined below that define arguments, recipients ought to
    /// accept both forms, even if a specific form is required for generation."
    fn unquoted(self) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Some(argument) => Some(list::unquote(argument)),
            Self::None | Self::Malformed => None,
        }
    }

    /// RFC 9111 §1.2.2, in seconds, at most [`DELTA_MAX`]. `None` if it is anything else.
    fn delta_seconds(self) -> Option<u64> {
        let seconds = text::decimal(&self.unquoted()?)?;
        Some(seconds.min(DELTA_MAX))
    }
}
