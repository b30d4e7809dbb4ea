//! What a drill has shown.

use std::fmt;
use std::time::Duration;

use super::figures::Figures;

/// See the module.
pub(super) struct Report {
    pub(super) before: Phase,
    pub(super) during: Phase,
    pub(super) recovering: Phase,
    pub(super) after: Phase,
    pub(super) store: bool,
    pub(super) purge_log: bool,
    /// Whether it was seen to go without Redis, and to serve nothing that is stored.
    pub(super) noticed: (bool, bool),
    /// How long after the end all was as before.
    pub(super) recovered: Option<Duration>,
}

/// What happened between two looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phase {
    seconds: f64,
    requests: f64,
    errors: f64,
    hits: f64,
    origin: f64,
    /// Until the head of a response, on average; nothing: there was none.
    mean_seconds: Option<f64>,
    deadlines: f64,
    trips: f64,
    fenced: f64,
}

/// More than this factor is said to have risen.
const RISEN: f64 = 1.2;

impl Phase {
    pub(super) fn between(start: &Figures, end: &Figures) -> Self {
        let timed = end.timed - start.timed;
        // What stood in for an error of the CMS was none to a reader.
        let passed_on =
            (end.origin_errors - start.origin_errors) - (end.stale_on_error - start.stale_on_error);
        Self {
            seconds: end.at.duration_since(start.at).as_secs_f64().max(0.001),
            requests: end.requests - start.requests,
            errors: (end.failed - start.failed) + passed_on.max(0.0),
            hits: end.hits - start.hits,
            origin: end.origin - start.origin,
            mean_seconds: (timed > 0.0).then(|| (end.seconds - start.seconds) / timed),
            deadlines: end.deadlines - start.deadlines,
            trips: end.trips - start.trips,
            fenced: end.fenced - start.fenced,
        }
    }

    fn rate(&self, count: f64) -> String {
        format!("{:.1}", count / self.seconds)
    }

    fn hit_ratio(&self) -> Option<f64> {
        (self.requests > 0.0).then(|| self.hits / self.requests)
    }
}

impl Report {
    pub(super) fn is_good(&self) -> bool {
        self.errors() < 1.0 && self.recovered.is_some() && self.noticed.0
    }

    /// Since Redis was gone.
    fn errors(&self) -> f64 {
        self.during.errors + self.recovering.errors + self.after.errors
    }

    fn row(&self, f: &mut fmt::Formatter<'_>, name: &str, cell: Cell) -> fmt::Result {
        let cells = [&self.before, &self.during, &self.recovering, &self.after].map(cell);
        let [before, during, recovering, after] = cells;
        writeln!(
            f,
            "{name:<24}{before:>11}{during:>11}{recovering:>11}{after:>11}"
        )
    }

    /// What was higher without Redis.
    fn risen(&self) -> Vec<String> {
        let mut risen = Vec::new();
        let (before, during) = (&self.before, &self.during);
        let rates = (
            before.origin / before.seconds,
            during.origin / during.seconds,
        );
        if rates.1 > rates.0 * RISEN {
            risen.push(format!(
                "requests to the CMS, {:.1} to {:.1} a second",
                rates.0, rates.1
            ));
        }
        if let (Some(was), Some(is)) = (before.mean_seconds, during.mean_seconds)
            && is > was * RISEN
        {
            let (was, is) = (was * 1000.0, is * 1000.0);
            risen.push(format!(
                "the mean time to an answer, {was:.1} to {is:.1} ms"
            ));
        }
        risen
    }
}

type Cell = fn(&Phase) -> String;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["before", "without", "recovering", "after"];
        let [before, without, recovering, after] = heads;
        writeln!(
            f,
            "{:<24}{before:>11}{without:>11}{recovering:>11}{after:>11}",
            ""
        )?;
        self.row(f, "requests/s", |phase| phase.rate(phase.requests))?;
        self.row(f, "errors to readers", |phase| {
            format!("{:.0}", phase.errors)
        })?;
        self.row(f, "hits", |phase| {
            let ratio = phase.hit_ratio();
            ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.1} %", ratio * 100.0))
        })?;
        self.row(f, "requests to the CMS/s", |phase| phase.rate(phase.origin))?;
        self.row(f, "mean time to an answer", |phase| {
            let mean = phase.mean_seconds;
            mean.map_or_else(|| "-".to_owned(), |mean| format!("{:.1} ms", mean * 1000.0))
        })?;
        if self.store {
            self.row(f, "waits for Redis in vain", |phase| {
                format!("{:.0}", phase.deadlines)
            })?;
            self.row(f, "times Redis was given up", |phase| {
                format!("{:.0}", phase.trips)
            })?;
        }
        if self.purge_log {
            self.row(f, "times fenced", |phase| format!("{:.0}", phase.fenced))?;
        }
        writeln!(f)?;
        self.verdict(f)
    }
}

impl Report {
    fn verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.noticed.0 {
            writeln!(
                f,
                "The instance was never seen without Redis: nothing was shown."
            )?;
        }
        if self.noticed.1 {
            writeln!(f, "Its lease ran out: it served nothing that is stored.")?;
        }
        if self.during.requests < 1.0 {
            writeln!(
                f,
                "No request came meanwhile: this shows nothing about readers."
            )?;
        }
        for risen in self.risen() {
            writeln!(f, "Rose: {risen}.")?;
        }
        match self.recovered {
            Some(after) => writeln!(f, "As before {:.1} s after the end.", after.as_secs_f64())?,
            None => writeln!(f, "NOT as before a minute after the end.")?,
        }
        let errors = self.errors();
        if self.is_good() {
            write!(f, "Passed: no reader got an error.")
        } else {
            write!(f, "FAILED: {errors:.0} error(s) to readers.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(errors: f64, origin: f64) -> Phase {
        Phase {
            seconds: 10.0,
            requests: 100.0,
            errors,
            hits: 50.0,
            origin,
            mean_seconds: Some(0.001),
            deadlines: 0.0,
            trips: 0.0,
            fenced: 0.0,
        }
    }

    fn report(errors: f64, recovered: Option<Duration>) -> Report {
        Report {
            before: phase(3.0, 10.0),
            during: phase(errors, 90.0),
            recovering: phase(0.0, 10.0),
            after: phase(0.0, 10.0),
            store: true,
            purge_log: true,
            noticed: (true, true),
            recovered,
        }
    }

    #[test]
    fn it_passes_without_an_error_and_with_all_as_before() {
        let second = Some(Duration::from_secs(1));
        let good = report(0.0, second);
        assert!(good.is_good(), "errors of before are not the drill's");
        let text = good.to_string();
        assert!(text.contains("50.0 %") && text.contains("Passed"), "{text}");
        assert!(text.contains("requests to the CMS, 1.0 to 9.0"), "{text}");
        assert!(!report(1.0, second).is_good());
        assert!(!report(0.0, None).is_good());
        assert!(report(2.0, second).to_string().contains("FAILED: 2 error"));
        let unseen = Report {
            noticed: (false, false),
            ..report(0.0, second)
        };
        assert!(!unseen.is_good());
    }
}
