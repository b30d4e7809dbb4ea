//! What the model keeps: stored responses, compared with what was presented, and purges, compared
//! with what is stored.

use cms_edge::entry::purges::Mode;
use cms_edge::policy::Profile;

use super::model::{Model, Stored};
use super::rules::Rule;
use super::script::{Lines, URLS, What};
use super::words;

impl Model {
    /// What is stored under a key, in the order in which it counts: behind the newest purges first,
    /// then by §4: "When more than one suitable response is stored, a cache MUST use the most recent
    /// one (as determined by the Date header field)", then what came last. A `Date` in the future is
    /// now.
    pub(super) fn under(&self, url: usize, language: Option<&str>) -> Vec<Stored> {
        let same = |stored: &&Stored| stored.url == url && stored.language == language;
        let mut all: Vec<Stored> = self.stored.iter().filter(same).cloned().collect();
        all.sort_by_key(|stored| {
            let received = stored.response.response_time / 1000;
            let date = words::date(&stored.response.fields, "date")
                .filter(|_| self.keeps(Rule::MostRecent));
            std::cmp::Reverse((stored.fence, date.unwrap_or(0).min(received), stored.put))
        });
        all
    }

    /// False: an older fence never replaces a newer one.
    pub(super) fn put(&mut self, mut new: Stored) -> bool {
        let is_same = |other: &Stored| {
            (other.url, other.language, &other.vary) == (new.url, new.language, &new.vary)
        };
        let replaced = self.stored.iter().find(|other| is_same(other));
        if replaced.is_some_and(|old| old.fence > new.fence) && self.keeps(Rule::CompareAndSet) {
            return false;
        }
        self.stored.retain(|other| !is_same(other));
        self.puts += 1;
        new.put = self.puts;
        let (url, language) = (new.url, new.language);
        self.stored.push(new);
        if self.keeps(Rule::VariantsMax) {
            let under_key = self.under(url, language);
            let gone = under_key.iter().skip(self.setup.variants_max);
            let gone: Vec<usize> = gone.map(|stored| stored.put).collect();
            self.stored.retain(|stored| !gone.contains(&stored.put));
        }
        true
    }

    /// §4.1.
    pub(super) fn select(&self, under_key: &[Stored], request: &Lines) -> Option<Stored> {
        let matching = under_key
            .iter()
            .find(|stored| self.matches(stored, request));
        if matching.is_some() || self.setup.profile == Profile::Cms {
            return matching.cloned();
        }
        // §4.1: "If … the cache has a mechanism for ranking preference": the response is in the
        // language that is wanted most, and varies by nothing else.
        let ranges = match words::one(request, "accept-language") {
            Some(_) => words::languages(request),
            None => return None,
        };
        let favourite = match &ranges[..] {
            [(range, _)] => range,
            [(range, best), (_, next), ..] if best > next => range,
            _ => return None,
        };
        let is_it = |stored: &&Stored| {
            let said = words::members(&words::all(&stored.response.fields, "content-language"));
            let by_language = matches!(&stored.vary[..], [(name, _)] if name == "accept-language");
            by_language && said.len() == 1 && said[0].eq_ignore_ascii_case(favourite)
        };
        under_key.iter().find(is_it).cloned()
    }

    /// §4.1: all nominated fields have the same values.
    pub(super) fn matches(&self, stored: &Stored, request: &Lines) -> bool {
        let same =
            |(name, value): &(String, Option<String>)| *value == self.presented(request, name);
        stored.vary.iter().all(same) || !self.keeps(Rule::VaryCompared)
    }

    /// The nominated fields that count: the coding and, where it is negotiated, the language are the
    /// cache's own matter, and `X-Forwarded-Host` no stranger can say.
    pub(super) fn nominated(
        &self,
        response: &Lines,
        request: &Lines,
    ) -> Vec<(String, Option<String>)> {
        let mut names = words::members(&words::all(response, "vary"));
        names
            .iter_mut()
            .for_each(|name| name.make_ascii_lowercase());
        names.sort();
        names.dedup();
        let own = ["accept-encoding", "x-forwarded-host", "*"];
        names.retain(|name| !own.contains(&&**name));
        names.retain(|name| name != "accept-language" || !self.setup.has_languages);
        let presented = |name: String| {
            let value = self.presented(request, &name);
            (name, value)
        };
        names.into_iter().map(presented).collect()
    }

    /// §4.1: normalised where that is known to change no meaning.
    fn presented(&self, request: &Lines, name: &str) -> Option<String> {
        let lines = words::all(request, name);
        if lines.is_empty() {
            return None;
        }
        let members = words::members(&lines);
        Some(match (name, self.setup.profile) {
            ("accept-language", Profile::Cms) => members.join(",").replace(' ', ""),
            ("accept-language", Profile::Rfc) => {
                let mut ranges = words::languages(request);
                ranges.sort_by_key(|(range, quality)| (1000 - quality, range.clone()));
                format!("{ranges:?}")
            }
            (_, Profile::Cms) => lines.join(", "),
            (_, Profile::Rfc) => members.join(","),
        })
    }

    /// The hardest purge since the stored response's exchange began that names it.
    pub(super) fn covered(&self, stored: &Stored) -> Option<Mode> {
        let since = self.purges.iter().skip(stored.fence);
        let named = since.filter(|(what, _)| self.names(*what, stored.url, &stored.tags));
        let modes: Vec<Mode> = named.map(|(_, mode)| *mode).collect();
        match modes.contains(&Mode::Hard) {
            true => Some(Mode::Hard),
            false => modes.first().copied(),
        }
    }

    pub(super) fn names(&self, what: What, url: usize, tags: &[String]) -> bool {
        let (authority, path, query) = URLS[url];
        // The design: a purge names the host without port; none is any.
        let host = authority.split(':').next().unwrap();
        let is_host = |named: &str| named.is_empty() || named == host;
        match what {
            What::Everything => true,
            What::Host(named) => named == host,
            What::Path(named, other) => is_host(named) && other == path,
            What::Url(named, other, with) => is_host(named) && other == path && with == query,
            What::Prefix(named, prefix) => {
                let prefix = prefix.trim_end_matches('/');
                let rest = path.strip_prefix(prefix);
                let aligned = |rest: &str| rest.is_empty() || rest.starts_with('/');
                let is_under =
                    rest.is_some_and(|rest| aligned(rest) || !self.keeps(Rule::PrefixAligned));
                is_host(named) && is_under
            }
            What::Tag(named) => tags.iter().any(|tag| match self.keeps(Rule::TagCase) {
                true => tag.eq_ignore_ascii_case(named),
                false => tag == named,
            }),
        }
    }
}
