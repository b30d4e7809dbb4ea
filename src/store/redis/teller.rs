//! What the log hears of a Redis that fails: the first failure at once, another one soon, the same one
//! now and then, and that it answers again. However fast it comes and goes: a few lines a minute.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// One Redis, as one of its users finds it.
#[derive(Debug, Default)]
pub struct Teller(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The failure that was said last; nothing: that it is well, or nothing at all.
    said: Option<Said>,
    /// What was said last is that it is well.
    is_said_well: bool,
    /// The first failure since it was well for [`CALM`], and the last one.
    trouble: Option<Trouble>,
    well_since: Option<Instant>,
    /// It was well lately, but not for long.
    comes_and_goes: bool,
}

#[derive(Debug)]
struct Said {
    text: String,
    at: Instant,
    /// Until the same is said again.
    pause: Duration,
}

/// Since when it has not been well, and how often it failed since.
#[derive(Clone, Debug)]
pub struct Trouble {
    since: Instant,
    pub failures: u64,
    pub last: String,
}

/// How long it has to be well until that is believed.
pub const CALM: Duration = Duration::from_secs(10);
/// Between words about different failures.
const OTHER_AFTER: Duration = Duration::from_secs(10);
/// Until a failure that goes on is told again: first, and at most.
const SAME_AFTER: Duration = Duration::from_secs(60);
const SAME_AFTER_MAX: Duration = Duration::from_secs(600);

impl Teller {
    /// It has failed in this way. Something: it is time to say so.
    pub fn fails(&self, text: &str) -> Option<Trouble> {
        let now = Instant::now();
        let mut state = self.0.lock();
        let trouble = state.note(text, now);
        let pause = match &state.said {
            None => SAME_AFTER,
            Some(said) => {
                let (is_same, before) = (said.text == text, now.duration_since(said.at));
                let needed = if is_same { said.pause } else { OTHER_AFTER };
                if before < needed {
                    return None;
                }
                (said.pause * 2).min(SAME_AFTER_MAX)
            }
        };
        state.is_said_well = false;
        state.said = Some(Said {
            text: text.to_owned(),
            at: now,
            pause,
        });
        Some(trouble)
    }

    /// It has failed in this way, which is not worth a word yet.
    pub fn notes(&self, text: &str) {
        self.0.lock().note(text, Instant::now());
    }

    /// It is well. True: it is time to say so. Who is told later asks [`Teller::stays_well`].
    pub fn is_well(&self) -> bool {
        let mut state = self.0.lock();
        let is_new = state.well_since.is_none();
        state.well_since.get_or_insert_with(Instant::now);
        if state.comes_and_goes {
            return false;
        }
        is_new && state.say_well()
    }

    /// It is still well. True: it was not believed before, and it is time to say so.
    pub fn stays_well(&self) -> bool {
        let mut state = self.0.lock();
        let is_calm = |since: Instant| since.elapsed() >= CALM;
        if !state.well_since.is_some_and(is_calm) {
            return false;
        }
        state.comes_and_goes = false;
        state.trouble = None;
        state.say_well()
    }

    /// What is wrong now; nothing: it is well, or was not asked yet.
    pub fn trouble(&self) -> Option<Trouble> {
        let state = self.0.lock();
        let is_ill = state.well_since.is_none() || state.comes_and_goes;
        state.trouble.clone().filter(|_| is_ill)
    }
}

impl State {
    /// Unless it was said already.
    fn say_well(&mut self) -> bool {
        self.said = None;
        !std::mem::replace(&mut self.is_said_well, true)
    }

    fn note(&mut self, text: &str, now: Instant) -> Trouble {
        if let Some(since) = self.well_since.take() {
            self.comes_and_goes = now.duration_since(since) < CALM;
            if !self.comes_and_goes {
                self.trouble = None;
            }
        }
        let trouble = self.trouble.get_or_insert_with(|| Trouble {
            since: now,
            failures: 0,
            last: String::new(),
        });
        trouble.failures += 1;
        text.clone_into(&mut trouble.last);
        trouble.clone()
    }
}

impl Trouble {
    /// Whole seconds.
    pub fn seconds(&self) -> u64 {
        self.since.elapsed().as_secs()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_at_once_and_again_less_and_less_often() {
        let teller = Teller::default();
        assert!(teller.is_well());
        advance(CALM).await;
        let mut told = Vec::new();
        for second in 0..3600 {
            if let Some(trouble) = teller.fails("refused") {
                assert_eq!(trouble.seconds(), second);
                told.push(second);
            }
            advance(SECOND).await;
        }
        assert_eq!(told, [0, 60, 180, 420, 900, 1500, 2100, 2700, 3300]);
        assert!(teller.is_well(), "it was told that it failed");
        assert!(!teller.is_well());
    }

    #[tokio::test(start_paused = true)]
    async fn another_failure_is_told_soon() {
        let teller = Teller::default();
        assert!(teller.fails("refused").is_some());
        assert!(teller.fails("loading").is_none());
        advance(OTHER_AFTER).await;
        assert!(teller.fails("loading").is_some());
        assert_eq!(teller.trouble().unwrap().last, "loading");
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_and_goes_is_told_as_failing_until_it_stays() {
        let teller = Teller::default();
        let mut lines = 0;
        for _ in 0..60 {
            lines += usize::from(teller.fails("late").is_some());
            advance(SECOND / 2).await;
            lines += usize::from(teller.is_well());
            lines += usize::from(teller.stays_well());
            advance(SECOND / 2).await;
        }
        assert!(lines <= 4, "{lines}");
        assert!(teller.trouble().is_some());
        assert!(!teller.is_well());
        advance(CALM).await;
        assert!(teller.stays_well());
        assert!(!teller.stays_well());
        assert!(teller.trouble().is_none());
    }
}
