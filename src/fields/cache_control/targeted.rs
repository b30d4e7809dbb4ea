//! `CDN-Cache-Control` and other targeted fields (RFC 9213). They are structured fields, so their
//! errors are handled otherwise than those of `Cache-Control`: a broken one counts for nothing.

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use super::ResponseControl;
use super::response::add_field_names;
use crate::fields::DELTA_MAX;

impl ResponseControl {
    /// RFC 9213 §2.2: "the cache MUST select the first (in target-list order) field with a valid,
    /// non-empty value". Returns its place in `names` and what it says.
    ///
    /// A field is valid if it is a Dictionary in which every lifetime is an Integer. A negative one
    /// is 0.
    pub fn targeted(headers: &HeaderMap, names: &[HeaderName]) -> Option<(usize, Self)> {
        names
            .iter()
            .enumerate()
            .find_map(|(index, name)| Some((index, parse(headers, name)?)))
    }
}

fn parse(headers: &HeaderMap, name: &HeaderName) -> Option<ResponseControl> {
    let mut members = Dictionary::new();
    for line in headers.get_all(name) {
        // RFC 9651 §4.2 joins the lines; of a key that comes twice the last value stays.
        members = Parser::new(line.as_bytes())
            .parse_dictionary_with_visitor(members)
            .ok()?;
    }
    if members.is_empty() {
        return None;
    }
    let mut control = ResponseControl::default();
    for (name, value) in &members {
        add(&mut control, name.as_str(), value)?;
    }
    Some(control)
}

/// `None` if the member makes the field invalid.
fn add(control: &mut ResponseControl, name: &str, value: &ListEntry) -> Option<()> {
    match name {
        "max-age" => control.max_age = Some(seconds(value)?),
        "s-maxage" => control.s_maxage = Some(seconds(value)?),
        "stale-while-revalidate" => control.stale_while_revalidate = Some(seconds(value)?),
        "stale-if-error" => control.stale_if_error = Some(seconds(value)?),
        "no-store" => control.no_store = forbids(value),
        "must-revalidate" => control.must_revalidate = forbids(value),
        "proxy-revalidate" => control.proxy_revalidate = forbids(value),
        "no-transform" => control.no_transform = forbids(value),
        "no-cache" => control.no_cache = forbids_fields(value, &mut control.no_cache_fields),
        "private" => control.private = forbids_fields(value, &mut control.private_fields),
        "public" => control.public = permits(value),
        "must-understand" => control.must_understand = permits(value),
        "immutable" => control.immutable = permits(value),
        _ => {}
    }
    Some(())
}

/// RFC 9213 §2.1: "a consuming implementation that coerces a max-age with a decimal value into an
/// integer would behave differently than other implementations".
fn seconds(value: &ListEntry) -> Option<u64> {
    let Some(BareItem::Integer(seconds)) = bare_item(value) else {
        return None;
    };
    let seconds = u64::try_from(i64::from(*seconds)).unwrap_or(0);
    Some(seconds.min(DELTA_MAX))
}

/// Everything but `?0` forbids, as everything forbids in `Cache-Control`.
fn forbids(value: &ListEntry) -> bool {
    bare_item(value) != Some(&BareItem::Boolean(false))
}

fn permits(value: &ListEntry) -> bool {
    bare_item(value) == Some(&BareItem::Boolean(true))
}

/// RFC 9213 §2.1: "no-cache [...] has a value that can be either Boolean true or a string
/// containing a comma-delimited list of field names".
fn forbids_fields(value: &ListEntry, fields: &mut Vec<HeaderName>) -> bool {
    match bare_item(value) {
        Some(BareItem::String(names)) => add_field_names(names.as_str().as_bytes(), fields),
        Some(BareItem::Token(name)) => add_field_names(name.as_str().as_bytes(), fields),
        _ => forbids(value),
    }
}

/// Its parameters "are to be ignored" (RFC 9213 §2.1).
const fn bare_item(value: &ListEntry) -> Option<&BareItem> {
    match value {
        ListEntry::Item(item) => Some(&item.bare_item),
        ListEntry::InnerList(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::SET_COOKIE;

    const OURS: HeaderName = HeaderName::from_static("cms-edge-cache-control");
    const CDN: HeaderName = HeaderName::from_static("cdn-cache-control");

    fn targeted(lines: &[(HeaderName, &str)]) -> Option<(usize, ResponseControl)> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value.parse().unwrap());
        }
        ResponseControl::targeted(&headers, &[OURS, CDN])
    }

    fn cdn(value: &str) -> Option<ResponseControl> {
        targeted(&[(CDN, value)]).map(|(_, control)| control)
    }

    fn max_age(seconds: u64) -> ResponseControl {
        ResponseControl {
            max_age: Some(seconds),
            ..Default::default()
        }
    }

    #[test]
    fn the_first_valid_field_in_target_list_order_is_selected() {
        let both = [(CDN, "max-age=60"), (OURS, "max-age=600")];
        assert_eq!(targeted(&both), Some((0, max_age(600))));
        let broken = [(CDN, "max-age=60"), (OURS, "max-age=600, &&&&&")];
        assert_eq!(targeted(&broken), Some((1, max_age(60))));
        let empty = [(CDN, "max-age=60"), (OURS, "")];
        assert_eq!(targeted(&empty), Some((1, max_age(60))));
        assert_eq!(targeted(&[]), None);
    }

    #[test]
    fn an_empty_or_broken_field_is_as_good_as_none() {
        // RFC 9213 §2.1: "If a targeted field in a given response is empty, or a parsing error is
        // encountered, that field MUST be ignored by the cache".
        for text in [
            "",
            "max-age=10000, &&&&&",
            "max-age=\"10000\"",
            "max-age=1.5",
            "max-age=abc",
            "max-age",
            "max-age=(1 2)",
            "max-age =100",
            "max-age= 100",
            "MaX-aGe=3600",
            "max-age=60,",
            "no-store, max-age=1234567890123456",
            "stale-if-error=x",
        ] {
            assert_eq!(cdn(text), None, "{text}");
        }
    }

    #[test]
    fn directives_mean_what_they_mean_in_cache_control() {
        let control = cdn(
            "no-store, no-cache=\"Set-Cookie\", private=Set-Cookie, public, must-revalidate, \
             proxy-revalidate, must-understand, no-transform, immutable, max-age=1;x=y, \
             s-maxage=2, stale-while-revalidate=3, stale-if-error=4, unknown=(a b)",
        );
        let expected = ResponseControl {
            no_store: true,
            no_cache: false,
            no_cache_fields: vec![SET_COOKIE],
            private: false,
            private_fields: vec![SET_COOKIE],
            public: true,
            must_revalidate: true,
            proxy_revalidate: true,
            must_understand: true,
            no_transform: true,
            immutable: true,
            max_age: Some(1),
            s_maxage: Some(2),
            stale_while_revalidate: Some(3),
            stale_if_error: Some(4),
        };
        assert_eq!(control, Some(expected));
    }

    #[test]
    fn odd_values_forbid_and_do_not_permit() {
        let control = cdn("no-store=1, private=(a), no-cache=5, public=1, immutable=?0").unwrap();
        assert!(control.no_store && control.private && control.no_cache);
        assert!(!control.public && !control.immutable);
        assert!(!cdn("no-store=?0").unwrap().no_store);
        assert!(cdn("private=\"\"").unwrap().private);
    }

    #[test]
    fn numbers_are_bounded() {
        for (text, expected) in [
            ("max-age=0", 0),
            ("max-age=-1", 0),
            ("max-age=2147483648", DELTA_MAX),
            ("max-age=99999999999", DELTA_MAX),
            ("foobar, max-age=3600", 3600),
        ] {
            assert_eq!(cdn(text), Some(max_age(expected)), "{text}");
        }
    }

    #[test]
    fn lines_are_joined_and_the_last_value_of_a_key_stays() {
        // RFC 9651 §4.2.2: "when duplicate Dictionary keys are encountered, all but the last
        // instance are ignored".
        let lines = [
            (CDN, "max-age=1, private"),
            (CDN, "max-age=9"),
            (CDN, "private=?0"),
        ];
        assert_eq!(targeted(&lines), Some((1, max_age(9))));
    }
}
