//! The four languages of the demo, and the choice among them by `Accept-Language` (RFC 9110 section 12.5.4).

/// Ranges looked at in one `Accept-Language` field; browsers send fewer than ten.
const RANGES_MAX: usize = 64;

/// A language that articles are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Language {
    En,
    De,
    Fr,
    PtBr,
}

impl Language {
    pub(super) const ALL: [Self; 4] = [Self::En, Self::De, Self::Fr, Self::PtBr];
    /// What a request gets that names no language the CMS has.
    pub(super) const DEFAULT: Self = Self::En;

    /// The language tag (RFC 5646) in its usual spelling.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::Fr => "fr",
            Self::PtBr => "pt-BR",
        }
    }

    /// The language with this tag, in any case.
    pub(super) fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|language| language.tag().eq_ignore_ascii_case(tag))
    }

    /// The language that answers an `Accept-Language` field: the first range by falling weight whose primary
    /// subtag is one of ours. Malformed ranges and those of weight 0 are passed over.
    pub(super) fn accepted(field: &str) -> Self {
        let mut ranges: Vec<(&str, f32)> = field
            .split(',')
            .take(RANGES_MAX)
            .filter_map(weighted)
            .collect();
        ranges.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        ranges
            .into_iter()
            .find_map(|(range, _)| Self::matching(range))
            .unwrap_or(Self::DEFAULT)
    }

    fn matching(range: &str) -> Option<Self> {
        if range == "*" {
            return Some(Self::DEFAULT);
        }
        let primary = primary_subtag(range);
        Self::ALL
            .into_iter()
            .find(|language| primary_subtag(language.tag()).eq_ignore_ascii_case(primary))
    }
}

fn primary_subtag(tag: &str) -> &str {
    tag.split('-').next().unwrap_or(tag)
}

/// `de-CH;q=0.7` as range and weight; the weight is 1 where none is given (RFC 9110 section 12.4.2).
fn weighted(item: &str) -> Option<(&str, f32)> {
    let (range, parameters) = item.split_once(';').unwrap_or((item, ""));
    let weight = match parameters.trim() {
        "" => 1.0,
        parameter => {
            let (name, value) = parameter.split_once('=')?;
            let value = value.trim().parse().ok()?;
            (name.trim().eq_ignore_ascii_case("q") && (0.0..=1.0).contains(&value))
                .then_some(value)?
        }
    };
    let range = range.trim();
    (!range.is_empty() && weight > 0.0).then_some((range, weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_supported_range_by_weight_is_chosen() {
        for (field, expected) in [
            ("de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", Language::De),
            ("de,en-US;q=0.7,en;q=0.3", Language::De),
            ("en;q=0.3, fr-CA;q=0.8", Language::Fr),
            ("pt", Language::PtBr),
            ("PT-pt;q=0.9, es", Language::PtBr),
            ("it, nl;q=0.9, FR;Q=0.1", Language::Fr),
        ] {
            assert_eq!(Language::accepted(field), expected, "{field}");
        }
    }

    #[test]
    fn a_field_without_a_supported_range_gets_english() {
        for field in [
            "",
            "*",
            "ja",
            "it,*;q=0.1",
            ",;,",
            "de;q=0",
            "de;q=2",
            "de;q=x",
            "den",
            "*;q=0",
        ] {
            assert_eq!(Language::accepted(field), Language::En, "{field}");
        }
    }

    #[test]
    fn tags_are_found_in_any_case() {
        assert_eq!(Language::from_tag("pt-br"), Some(Language::PtBr));
        assert_eq!(Language::from_tag("pt"), None);
    }
}
