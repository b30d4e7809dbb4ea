//! What is wrong with the settings, told to a person: one line per mistake, in the order of the
//! file.

use std::fmt;

/// How many mistakes are listed. A file with more of them is not a configuration file.
pub const MISTAKES_MAX: usize = 500;

/// Where a mistake stands.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Place {
    /// The file as a whole.
    File { file: String },
    /// A line of the file, counted from 1.
    Line { file: String, line: usize },
    /// An environment variable.
    Variable { name: String },
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Problem {
    /// The file cannot be read, and the system's reason.
    Unreadable { reason: String },
    /// The file is not TOML. `column` counts characters from 1.
    Syntax { column: usize, message: String },
    /// A variable that stands for no single key.
    Variable { found: String, allowed: String },
    /// A key whose value (or name, or lack) is not allowed.
    Key {
        /// The way to the key, e.g. `route[1].ttl`; elements of lists count from 0.
        key: String,
        found: String,
        allowed: String,
        /// What was probably meant.
        meant: Option<String>,
    },
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mistake {
    pub place: Place,
    pub problem: Problem,
}

/// All mistakes of a configuration; never empty when it is given as an error.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mistakes {
    listed: Vec<Mistake>,
    omitted: usize,
}

impl Mistakes {
    /// Sorted by place; mistakes of one place stay in the order given. Those beyond
    /// [`MISTAKES_MAX`] are only counted.
    pub(super) fn new(mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by(|a, b| a.place.cmp(&b.place));
        let omitted = mistakes.len().saturating_sub(MISTAKES_MAX);
        mistakes.truncate(MISTAKES_MAX);
        Self {
            listed: mistakes,
            omitted,
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.listed.iter()
    }

    /// How many there are, with those that are not listed.
    pub fn count(&self) -> usize {
        self.listed.len() + self.omitted
    }
}

impl From<Mistake> for Mistakes {
    fn from(mistake: Mistake) -> Self {
        Self::new(vec![mistake])
    }
}

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.listed.iter().enumerate() {
            let newline = if at == 0 { "" } else { "\n" };
            write!(f, "{newline}{mistake}")?;
        }
        if self.omitted > 0 {
            write!(f, "\nand {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::Unreadable { reason } => write!(f, "cannot read {}: {reason}", self.place),
            Problem::Syntax { column, message } => {
                write!(f, "{}:{column}: not TOML: {message}", self.place)
            }
            Problem::Variable { found, allowed } => {
                write!(f, "{}: found {found}; allowed: {allowed}", self.place)
            }
            Problem::Key {
                key,
                found,
                allowed,
                meant,
            } => {
                write!(
                    f,
                    "{}: {key}: found {found}; allowed: {allowed}",
                    self.place
                )?;
                match meant {
                    Some(meant) => write!(f, "; did you mean {meant}?"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file } => f.write_str(file),
            Self::Line { file, line } => write!(f, "{file}:{line}"),
            Self::Variable { name } => f.write_str(name),
        }
    }
}

/// The known word that is nearest to `word`, if one is near enough to be a slip of the fingers:
/// at most a third of the letters, and at most three, differ.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    // Comparing costs the product of the lengths; no name is that long.
    if length > 64 {
        return None;
    }
    let limit = (length / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, with an exchange of two neighbours as one step.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX);
            let replaced = cell(&last, j).saturating_add(usize::from(from != to));
            let removed = cell(&last, j + 1).saturating_add(1);
            let added = cell(&row, j).saturating_add(1);
            let mut best = replaced.min(removed).min(added);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(to) && b.get(j - 1) == Some(from);
            if swapped {
                best = best.min(cell(&before, j - 1).saturating_add(1));
            }
            row.push(best);
        }
        before = last;
        last = row;
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_finds_its_word() {
        let known = ["connect_timeout", "queue_timeout", "host", "ca"];
        assert_eq!(nearest("conect_timeout", known), Some("connect_timeout"));
        assert_eq!(nearest("hsot", known), Some("host"));
        assert_eq!(nearest("HOST", known), Some("host"));
        assert_eq!(nearest("retries", known), None);
        assert_eq!(nearest("xy", known), None);
    }

    #[test]
    fn mistakes_stand_in_the_order_of_the_file_and_variables_come_last() {
        let at = |place| Mistake {
            place,
            problem: Problem::Unreadable {
                reason: "-".to_owned(),
            },
        };
        let line = |line| {
            at(Place::Line {
                file: "f".to_owned(),
                line,
            })
        };
        let name = "V".to_owned();
        let mistakes = Mistakes::new(vec![at(Place::Variable { name }), line(10), line(9)]);
        assert_eq!(
            mistakes.to_string(),
            "cannot read f:9: -\ncannot read f:10: -\ncannot read V: -"
        );
    }

    #[test]
    fn mistakes_beyond_the_limit_are_counted() {
        let one = Mistake {
            place: Place::Line {
                file: "f".to_owned(),
                line: 1,
            },
            problem: Problem::Unreadable {
                reason: "-".to_owned(),
            },
        };
        let mistakes = Mistakes::new(vec![one; MISTAKES_MAX + 7]);
        assert_eq!(mistakes.iter().count(), MISTAKES_MAX);
        assert_eq!(mistakes.count(), MISTAKES_MAX + 7);
        assert!(mistakes.to_string().ends_with("\nand 7 more"));
    }
}
