//! One file per header field: parse and format, and nothing else.
//!
//! Parsers take what arrives. None of them fails, none of them panics, and each says what it makes
//! of a value that its RFC does not allow. They borrow from the [`http::HeaderMap`] wherever they
//! can, and every list they build has a bound. What a value *means* for a cache is decided in
//! `policy`, `key` and `respond`.

pub mod accept;
pub mod accept_encoding;
pub mod accept_language;
pub mod age;
pub mod cache_control;
pub mod cache_status;
pub mod conditional;
pub mod connection;
pub mod content_encoding;
pub mod content_language;
pub mod content_length;
pub mod cookie;
pub mod date;
pub mod entity_tag;
pub mod forwarded;
pub mod forwarders;
pub mod list;
pub mod media_type;
pub mod no_vary_search;
pub mod poisoning;
pub mod proxy_status;
pub mod range;
pub mod tags;
pub mod text;
pub mod trace_context;
pub mod trailer;
pub mod upgrade;
pub mod vary;
pub mod via;

/// Seconds. RFC 9111 §1.2.2: a larger delta-seconds counts as this one.
pub const DELTA_MAX: u64 = 1 << 31;

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use http::{HeaderMap, HeaderName, HeaderValue, header};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use sfv::{List, Parser};

    use super::*;

    /// Bytes that a field value may have, and that parsers look for.
    fn hostile() -> impl Strategy<Value = Vec<HeaderValue>> {
        let bytes = prop_oneof![
            4 => prop::sample::select(&b"\",;=-*\\/ \t019aqQW.:[]()?"[..]),
            1 => any::<u8>(),
        ];
        let text = vec(bytes, 0..40);
        let words = prop::sample::select(WORDS).prop_map(|word| word.as_bytes().to_vec());
        let value = vec(prop_oneof![1 => text, 2 => words], 0..6);
        let value = value.prop_filter_map("not a field value", |parts| {
            HeaderValue::from_bytes(&parts.concat()).ok()
        });
        vec(value, 0..3)
    }

    const WORDS: &[&str] = &[
        "bytes=",
        "0-",
        "-5",
        "1-2,",
        "W/\"x\"",
        "\"x\", ",
        "*",
        "max-age=",
        "private=\"",
        "no-store",
        "de-CH;q=0.5, ",
        "gzip, ",
        ";q=",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun Nov  6 ",
        "a=b; ",
        "text/html;",
        "bytes 0-9/10",
        "max-stale",
        "1.1 edge, ",
        "18446744073709551615",
    ];

    fn everywhere(values: &[HeaderValue]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for name in [
            header::ACCEPT_ENCODING,
            header::AGE,
            header::CACHE_CONTROL,
            header::CONNECTION,
            header::CONTENT_ENCODING,
            header::CONTENT_LANGUAGE,
            header::CONTENT_LENGTH,
            header::CONTENT_RANGE,
            header::CONTENT_TYPE,
            header::COOKIE,
            header::ETAG,
            header::EXPIRES,
            header::IF_MATCH,
            header::IF_MODIFIED_SINCE,
            header::IF_NONE_MATCH,
            header::IF_RANGE,
            header::IF_UNMODIFIED_SINCE,
            header::PRAGMA,
            header::RANGE,
            header::VARY,
            header::VIA,
            SURROGATE_KEY,
            CDN_CACHE_CONTROL,
            CACHE_GROUPS,
        ] {
            for value in values {
                headers.append(&name, value.clone());
            }
        }
        headers
    }

    const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
    const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");
    const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn numbers_stay_in_their_bounds_whatever_is_sent(
            values in hostile(),
            length in prop_oneof![0..20_u64, any::<u64>()],
        ) {
            let headers = everywhere(&values);
            prop_assert!(age::age(&headers) <= DELTA_MAX);
            let control = cache_control::ResponseControl::parse(&headers);
            prop_assert!(control.max_age.is_none_or(|seconds| seconds <= DELTA_MAX));
            let targeted = cache_control::ResponseControl::targeted(&headers, &[CDN_CACHE_CONTROL]);
            prop_assert!(targeted.is_none_or(|(index, _)| index == 0));
            let request = cache_control::RequestControl::parse(&headers);
            prop_assert!(request.min_fresh.is_none_or(|seconds| seconds <= DELTA_MAX));
            if let range::Ranges::One { first, last } = range::resolve(&headers, length) {
                prop_assert!(first <= last && last < length);
            }
            if let Some(found) = range::parse_content_range(&headers) {
                prop_assert!(found.first <= found.last);
            }
            if let Some(moment) = date::of(&headers, &header::EXPIRES) {
                prop_assert_eq!(date::parse(&date::format(moment)), Some(moment));
            }
        }

        #[test]
        fn whatever_is_read_can_be_written_and_read_again(values in hostile()) {
            let headers = everywhere(&values);
            if let Some(tag) = entity_tag::EntityTag::of(&headers) {
                let again = entity_tag::EntityTag::parse(tag.to_value().as_bytes());
                prop_assert_eq!(again, Some(tag));
            }
            if let Ok(vary) = vary::Vary::parse(&headers) {
                let mut written = HeaderMap::new();
                written.extend(vary.to_value().map(|value| (header::VARY, value)));
                prop_assert_eq!(vary::Vary::parse(&written), Ok(vary));
            }
            let mut kept = headers.clone();
            cookie::keep_only(&mut kept, |name| name == "a");
            let expected: Vec<_> = cookie::pairs(&headers).filter(|(name, _)| *name == "a").collect();
            prop_assert_eq!(cookie::pairs(&kept).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn lists_keep_their_bounds_and_nothing_panics(values in hostile()) {
            let mut headers = everywhere(&values);
            for value in values.iter().filter_map(|value| value.to_str().ok()) {
                let ranges = accept_language::ranges(value);
                prop_assert!(ranges.is_sorted_by(|(_, one), (_, other)| one >= other));
                prop_assert!(ranges.iter().all(|(_, quality)| (1..=1000).contains(quality)));
                prop_assert!(accept::qualities(value).count() <= accept::ELEMENTS_MAX);
            }
            let tags = tags::declared(&headers, &[SURROGATE_KEY]);
            prop_assert!(tags.tags.iter().all(|tag| tags::split(tag).eq([*tag])));
            tags::cache_groups(&headers);
            let etag = entity_tag::EntityTag::strong("x");
            conditional::evaluate(&headers, true, Some(&etag), Some(0));
            conditional::if_range_matches(&headers, Some(&etag), Some(0), Some(60));
            content_encoding::ContentEncoding::parse(&headers);
            content_language::tags(&headers).for_each(drop);
            content_length::of(&headers);
            media_type::essence(&headers);
            via::loops(&headers, "edge");
            accept_encoding::AcceptEncoding::parse(&headers);
            connection::strip_hop_by_hop(&mut headers);
            prop_assert!(!headers.contains_key(header::CONNECTION));
        }

        #[test]
        fn what_is_written_is_a_structured_field(
            name in ".{0,12}", text in ".{0,30}", ttl in -999_999_999_999_999..=999_999_999_999_999_i64,
        ) {
            let status = cache_status::CacheStatus {
                fwd: Some(cache_status::Fwd::Miss),
                key: Some(text.clone()),
                ..cache_status::CacheStatus::default()
            };
            for value in [
                cache_status::hit(&name, ttl),
                status.to_value(&name),
                proxy_status::error(&name, &text, Some(&text)),
            ] {
                let list = Parser::new(value.as_bytes()).parse::<List>();
                prop_assert!(list.is_ok_and(|list| list.len() == 1), "{:?}", value);
            }
        }

        #[test]
        fn dates_are_read_as_the_reference_reads_them(text in DATE) {
            // Ours also takes what RFC 9111 §4.2 asks for; what the reference takes, ours does.
            let value: HeaderValue = text.parse().unwrap();
            if let Ok(moment) = httpdate::parse_http_date(&text) {
                let seconds = moment.duration_since(UNIX_EPOCH).ok().map(|age| age.as_secs());
                prop_assert_eq!(date::parse(&value), seconds);
            }
            if let Some(seconds) = date::parse(&value) {
                let moment: SystemTime = UNIX_EPOCH + Duration::from_secs(seconds);
                let text = httpdate::fmt_http_date(moment);
                prop_assert_eq!(date::format(seconds), text);
            }
        }
    }

    /// Nearly a date, and often one.
    const DATE: &str = "((Mon|Thu|Sun), [0-3][0-9] (Jan|Feb|Dec) (19[6-9]|20)[0-9]{2} [0-2][0-9]:[0-6][0-9]:[0-6][0-9] GMT\
        |(Monday|Thursday), [0-3][0-9]-(Jan|Feb|Dec)-[0-9]{2} [0-2][0-9]:[0-5][0-9]:[0-5][0-9] GMT\
        |(Mon|Thu) (Jan|Feb|Dec) [ 0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9] (19[6-9]|20)[0-9]{2})";
}
