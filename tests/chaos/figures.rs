//! What happened, in numbers; and the last events, for whoever looks for the cause of a violation.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

/// Times of propagation that are kept; of more than that, the percentiles are of the first ones.
const TIMES_MAX: usize = 200_000;
/// Kinds of errors that are told apart.
const ERRORS_MAX: usize = 12;
/// Violations that are kept with their circumstances. All are counted.
const VIOLATIONS_MAX: usize = 20;
/// Events that are kept, the last ones.
const EVENTS_MAX: usize = 500;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) publishes: u64,
    /// Receipts that were complete in the answer to the purge, and afterwards.
    pub(crate) complete: u64,
    pub(crate) complete_later: u64,
    /// Of those: by the word of another process than the one that gave it.
    pub(crate) complete_elsewhere: u64,
    /// Those that were spooled at first, of all.
    pub(crate) spooled: u64,
    /// Those that no process knows any more: theirs was killed, and the log lost before others had
    /// read it.
    pub(crate) orphaned: u64,
    /// Those that were too many to be looked after.
    pub(crate) forgotten: u64,
    /// Purges that were sent to another instance because the first gave no receipt.
    pub(crate) repeated: u64,
    /// From when a purge was sent until its receipt was complete, if the answer said so.
    propagation: Vec<Duration>,
    /// Answers that were judged.
    pub(crate) answers: u64,
    pub(crate) hits: u64,
    pub(crate) went_back: u64,
    /// Answers with another status than 200, and requests without an answer.
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) faults: BTreeMap<String, u64>,
    pub(crate) violations: u64,
    pub(crate) kept: Vec<String>,
    events: VecDeque<String>,
}

impl Figures {
    pub(crate) fn propagated(&mut self, after: Duration) {
        self.complete += 1;
        if self.propagation.len() < TIMES_MAX {
            self.propagation.push(after);
        }
    }

    pub(crate) fn error(&mut self, what: impl Into<String>) {
        let mut what = what.into();
        if self.errors.len() >= ERRORS_MAX && !self.errors.contains_key(&what) {
            "others".clone_into(&mut what);
        }
        *self.errors.entry(what).or_default() += 1;
    }

    pub(crate) fn fault(&mut self, kind: &str) {
        *self.faults.entry(kind.to_owned()).or_default() += 1;
    }

    pub(crate) fn event(&mut self, at: Duration, what: &str) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events
            .push_back(format!("{:9.3} {what}", at.as_secs_f64()));
    }

    pub(crate) fn violation(&mut self, at: Duration, what: &str) {
        self.violations += 1;
        self.event(at, &format!("VIOLATION: {what}"));
        if self.kept.len() < VIOLATIONS_MAX {
            self.kept.push(format!("{:9.3} {what}", at.as_secs_f64()));
        }
    }

    /// The last events, one in a line.
    pub(crate) fn events(&self) -> String {
        let events: Vec<&str> = self.events.iter().map(String::as_str).collect();
        events.join("\n")
    }

    fn percentile(&self, percent: usize) -> Duration {
        let mut times = self.propagation.clone();
        times.sort_unstable();
        let rank = (times.len() * percent).div_ceil(100).max(1);
        times.get(rank - 1).copied().unwrap_or_default()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = self.hits as f64 / (self.answers.max(1)) as f64 * 100.0;
        writeln!(f, "publishes            {}", self.publishes)?;
        writeln!(
            f,
            "receipts             {} complete at once, {} later ({} of killed processes); {} lost with process and log, {} forgotten",
            self.complete,
            self.complete_later,
            self.complete_elsewhere,
            self.orphaned,
            self.forgotten
        )?;
        writeln!(
            f,
            "purges               {} spooled at first, {} sent once more",
            self.spooled, self.repeated
        )?;
        let (median, slow) = (self.percentile(50), self.percentile(99));
        writeln!(f, "propagation          p50 {median:.1?}, p99 {slow:.1?}")?;
        writeln!(
            f,
            "answers checked      {}, {} hits among them ({ratio:.1} %)",
            self.answers, self.hits
        )?;
        writeln!(
            f,
            "went back unpurged   {} (between publication and purge: allowed)",
            self.went_back
        )?;
        let total: u64 = self.faults.values().sum();
        writeln!(f, "faults               {total} {:?}", self.faults)?;
        writeln!(f, "without a page       {:?}", self.errors)?;
        write!(f, "violations           {}", self.violations)
    }
}
