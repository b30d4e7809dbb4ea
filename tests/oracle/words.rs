//! What the model reads in fields. It knows well-formed values, and the broken ones that
//! `generate` has.

use super::script::Lines;

/// Directives that count for this cache.
pub(crate) struct Words {
    list: Vec<(String, Option<String>)>,
    pub(crate) is_targeted: bool,
}

/// RFC 9111 §1.2.2.
const SECONDS_MAX: u64 = 2_147_483_648;

pub(crate) fn all<'l>(fields: &'l Lines, name: &str) -> Vec<&'l str> {
    let lines = fields.iter().filter(|(other, _)| *other == name);
    lines.map(|(_, value)| value.as_str()).collect()
}

pub(crate) fn has(fields: &Lines, name: &str) -> bool {
    !all(fields, name).is_empty()
}

/// A field that has one line.
pub(crate) fn one<'l>(fields: &'l Lines, name: &str) -> Option<&'l str> {
    match all(fields, name)[..] {
        [line] => Some(line),
        _ => None,
    }
}

/// A date in seconds.
pub(crate) fn date(fields: &Lines, name: &str) -> Option<u64> {
    let date = httpdate::parse_http_date(one(fields, name)?).ok()?;
    let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

/// RFC 9111 §5.3: what is no date has expired. Lines that differ: the stale choice of §4.2.1.
pub(crate) fn expires(fields: &Lines) -> Option<u64> {
    let lines = all(fields, "expires");
    let first = *lines.first()?;
    if lines.iter().any(|line| *line != first) {
        return Some(0);
    }
    let single = vec![("expires", first.to_owned())];
    Some(date(&single, "expires").unwrap_or(0))
}

/// §5.1: the first member, or nothing.
pub(crate) fn age(fields: &Lines) -> u64 {
    let first = all(fields, "age").first().copied().unwrap_or("0");
    let member = first.split(',').next().unwrap_or_default().trim();
    member.parse::<u64>().map_or(0, |age| age.min(SECONDS_MAX))
}

/// Members of a list, by RFC 9110 §5.6.1: commas in quotes separate nothing.
pub(crate) fn members(lines: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for line in lines {
        let (mut member, mut quoted) = (String::new(), false);
        for character in line.chars() {
            quoted ^= character == '"';
            if character == ',' && !quoted {
                found.push(std::mem::take(&mut member));
            } else {
                member.push(character);
            }
        }
        found.push(member);
    }
    let trimmed = found.iter().map(|member| member.trim().to_owned());
    trimmed.filter(|member| !member.is_empty()).collect()
}

impl Words {
    pub(crate) fn plain(fields: &Lines, name: &str) -> Self {
        let directive = |member: String| match member.split_once('=') {
            None => (member.to_lowercase(), None),
            // §5.2 has no space there: the argument is nothing that can be read.
            Some((name, _)) if name.ends_with(' ') => {
                (name.trim().to_lowercase(), Some("?".to_owned()))
            }
            Some((name, value)) => (
                name.to_lowercase(),
                Some(value.trim_matches('"').to_owned()),
            ),
        };
        let members = members(&all(fields, name));
        Self {
            list: members.into_iter().map(directive).collect(),
            is_targeted: false,
        }
    }

    /// RFC 9213 §2.1: a Dictionary whose lifetimes are Integers. Nothing: invalid, or empty.
    pub(crate) fn targeted(fields: &Lines, name: &str) -> Option<Self> {
        let line = one(fields, name)?;
        let mut list: Vec<(String, Option<String>)> = Vec::new();
        for member in line.split(',') {
            let member = member.trim().split(';').next().unwrap_or_default();
            let (key, value) = match member.split_once('=') {
                Some((key, value)) => (key, Some(value.to_owned())),
                None => (member, None),
            };
            // RFC 9651 §3.1.2: keys are lower case; a comma at the end is an error.
            if key.is_empty() || key != key.to_lowercase() {
                return None;
            }
            let is_number = [
                "max-age",
                "s-maxage",
                "stale-while-revalidate",
                "stale-if-error",
            ];
            if is_number.contains(&key) && value.as_ref().is_none_or(|v| v.parse::<u64>().is_err())
            {
                return None;
            }
            // The last one stays, and false is as if it were not there.
            list.retain(|(other, _)| other != key);
            if value.as_deref() != Some("?0") {
                list.push((key.to_owned(), value));
            }
        }
        Some(Self {
            list,
            is_targeted: true,
        })
    }

    /// With whatever argument.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.list.iter().any(|(other, _)| other == name)
    }

    /// Without one.
    pub(crate) fn has_bare(&self, name: &str) -> bool {
        self.list.contains(&(name.to_owned(), None))
    }

    /// Of several the smallest.
    pub(crate) fn seconds(&self, name: &str, broken: Option<u64>) -> Option<u64> {
        let mut least = None;
        for (other, value) in &self.list {
            if other == name {
                let text = value.as_deref().unwrap_or("?");
                let Some(read) = text.parse::<u64>().ok().or(broken) else {
                    continue;
                };
                let read = read.min(SECONDS_MAX);
                least = Some(least.map_or(read, |least: u64| least.min(read)));
            }
        }
        least
    }
}

/// Ranges of `Accept-Language` in lower case, the best first, with their quality in thousandths.
pub(crate) fn languages(fields: &Lines) -> Vec<(String, u64)> {
    let members = members(&all(fields, "accept-language"));
    let range = |member: &String| match member.split_once(";") {
        None => (member.to_lowercase(), 1000),
        Some((range, weight)) => {
            let digits = weight.trim().trim_start_matches("q=0.");
            (range.to_lowercase(), digits.parse::<u64>().unwrap() * 100)
        }
    };
    let mut ranges: Vec<_> = members.iter().map(range).collect();
    ranges.sort_by_key(|(_, quality)| 1000 - quality);
    ranges
}

/// An entity tag's text, without weakness. Nothing if it is none.
pub(crate) fn entity_tag(fields: &Lines) -> Option<String> {
    let line = one(fields, "etag")?;
    let opaque = line.strip_prefix("W/").unwrap_or(line);
    let is_quoted = opaque.len() >= 2 && opaque.starts_with('"') && opaque.ends_with('"');
    is_quoted.then(|| opaque.to_owned())
}
