//! What an answer must not be. Pure: no socket, no clock; whoever asks notes first what is known.
//!
//! Each page has a version, which grows with each publication that changes it. A publication changes
//! the origin, then purges what it has changed; its receipt says who has applied the purge, and when
//! it is complete. Asserted of every answer, of what was known before its request was sent:
//!
//! - **complete**: it is no older than the newest version of its page whose receipt was complete, by
//!   whichever instance it comes;
//! - **applied**: it is no older than the newest version of its page that a receipt, complete or
//!   not, named as applied by the instance that it comes from (in the log, that is: what is only
//!   spooled may have to wait for the log once more);
//! - **order**: so what a client has got from an instance never goes back behind what was complete,
//!   or applied there. Between publication and purge it may: nobody knows the order of what was
//!   fetched under the same fence. That is counted ([`Reader::went_back`]), not asserted;
//! - it is the page that was asked for, in the language that was asked for.

use std::collections::HashMap;
use std::fmt;

/// Grows with each publication; 0 is older than all.
pub(crate) type Version = u64;

/// What receipts have said so far.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    complete: Vec<Version>,
    applied: Vec<Vec<Version>>,
}

/// What was known of one page at one instance when a request was sent.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Floor {
    pub(crate) complete: Version,
    pub(crate) applied: Version,
}

/// A request, as it was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) page: usize,
    pub(crate) path: &'a str,
    pub(crate) language: &'a str,
    pub(crate) floor: Floor,
}

/// The first line of every page: `path language version`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Got<'a> {
    pub(crate) path: &'a str,
    pub(crate) language: &'a str,
    pub(crate) version: Version,
}

/// Why an answer must not be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Violation {
    /// Older than a version whose receipt was complete.
    Complete { version: Version, floor: Version },
    /// Older than a version that this instance had applied.
    Applied { version: Version, floor: Version },
    /// Another page, or another language.
    Another,
    /// No page at all.
    Senseless,
}

/// One client of one instance, who asks for one page after the other.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    seen: HashMap<usize, Version>,
    /// How often a version went back that was neither complete nor applied. That is allowed.
    pub(crate) went_back: u64,
}

impl Known {
    pub(crate) fn new(instances: usize, pages: usize) -> Self {
        Self {
            complete: vec![0; pages],
            applied: vec![vec![0; pages]; instances],
        }
    }

    /// The receipt of a publication is complete.
    pub(crate) fn complete(&mut self, pages: &[usize], version: Version) {
        raise(&mut self.complete, pages, version);
    }

    /// A receipt names an instance as one that has applied it.
    pub(crate) fn applied(&mut self, instance: usize, pages: &[usize], version: Version) {
        raise(&mut self.applied[instance], pages, version);
    }

    pub(crate) fn floor(&self, instance: usize, page: usize) -> Floor {
        Floor {
            complete: self.complete[page],
            applied: self.applied[instance][page],
        }
    }
}

impl<'a> Got<'a> {
    pub(crate) fn read(content: &'a str) -> Option<Self> {
        let mut words = content.lines().next()?.split(' ');
        let got = Self {
            path: words.next()?,
            language: words.next()?,
            version: words.next()?.parse().ok()?,
        };
        words.next().is_none().then_some(got)
    }
}

impl Reader {
    /// The version of a good answer.
    pub(crate) fn judge(&mut self, asked: &Asked<'_>, content: &str) -> Result<Version, Violation> {
        let got = Got::read(content).ok_or(Violation::Senseless)?;
        if got.path != asked.path || got.language != asked.language {
            return Err(Violation::Another);
        }
        let (version, floor) = (got.version, asked.floor);
        let seen = self.seen.entry(asked.page).or_default();
        let goes_back = version < *seen;
        *seen = version;
        if version < floor.complete {
            let floor = floor.complete;
            return Err(Violation::Complete { version, floor });
        }
        if version < floor.applied {
            let floor = floor.applied;
            return Err(Violation::Applied { version, floor });
        }
        self.went_back += u64::from(goes_back);
        Ok(version)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete { version, floor } => {
                write!(
                    f,
                    "version {version} after the receipt of {floor} was complete"
                )
            }
            Self::Applied { version, floor } => {
                write!(f, "version {version} where {floor} had been applied")
            }
            Self::Another => f.write_str("another page or language"),
            Self::Senseless => f.write_str("no page"),
        }
    }
}

fn raise(floors: &mut [Version], pages: &[usize], version: Version) {
    for page in pages {
        floors[*page] = floors[*page].max(version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(floor: Floor) -> Asked<'static> {
        Asked {
            page: 1,
            path: "/news/1",
            language: "de",
            floor,
        }
    }

    fn judged(floor: Floor, content: &str) -> Result<Version, Violation> {
        Reader::default().judge(&asked(floor), content)
    }

    #[test]
    fn nothing_older_than_what_was_complete_is_let_through() {
        let mut known = Known::new(2, 3);
        known.complete(&[1, 2], 7);
        // A receipt that comes late takes nothing back.
        known.complete(&[1], 5);
        let floor = known.floor(0, 1);
        assert_eq!(judged(floor, "/news/1 de 7\n"), Ok(7));
        assert_eq!(judged(floor, "/news/1 de 9\nmore"), Ok(9));
        let planted = Violation::Complete {
            version: 6,
            floor: 7,
        };
        assert_eq!(judged(floor, "/news/1 de 6\n"), Err(planted));
        // Of another page nothing is known.
        assert_eq!(judged(known.floor(0, 0), "/news/1 de 6\n"), Ok(6));
    }

    #[test]
    fn nothing_older_than_what_this_instance_has_applied_is_let_through() {
        let mut known = Known::new(2, 3);
        known.applied(1, &[1], 4);
        let planted = Violation::Applied {
            version: 3,
            floor: 4,
        };
        assert_eq!(judged(known.floor(1, 1), "/news/1 de 3\n"), Err(planted));
        assert_eq!(judged(known.floor(1, 1), "/news/1 de 4\n"), Ok(4));
        assert_eq!(judged(known.floor(0, 1), "/news/1 de 3\n"), Ok(3));
    }

    #[test]
    fn going_back_is_counted_before_the_purge_and_a_violation_after_it() {
        let mut reader = Reader::default();
        let before = asked(Floor::default());
        for (content, went_back) in [
            ("/news/1 de 5", 0),
            ("/news/1 de 4", 1),
            ("/news/1 de 5", 1),
        ] {
            assert!(reader.judge(&before, content).is_ok());
            assert_eq!(reader.went_back, went_back);
        }
        let after = asked(Floor {
            complete: 5,
            applied: 0,
        });
        assert!(reader.judge(&after, "/news/1 de 4").is_err());
        assert!(reader.judge(&after, "/news/1 de 5").is_ok());
        assert_eq!(reader.went_back, 1);
    }

    #[test]
    fn another_page_another_language_and_nonsense_are_violations() {
        let floor = Floor::default();
        for (content, planted) in [
            ("/news/2 de 9\n", Violation::Another),
            ("/news/1 en 9\n", Violation::Another),
            ("", Violation::Senseless),
            ("/news/1 de nine\n", Violation::Senseless),
            ("/news/1 de 9 9\n", Violation::Senseless),
            ("<html>502</html>", Violation::Senseless),
        ] {
            assert_eq!(judged(floor, content), Err(planted), "{content}");
        }
    }
}
