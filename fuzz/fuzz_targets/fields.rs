//! Every parser of `fields`: none panics, all keep their bounds, and what is read, written and read
//! again is the same. The first byte selects the parser.

#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use cms_edge::fields::*;
use cms_edge_fuzz::{add_lines, lines, selected};
use http::header::*;
use http::{HeaderMap, Version};
use libfuzzer_sys::fuzz_target;

const CDN: HeaderName = HeaderName::from_static("cdn-cache-control");
const OWN: HeaderName = HeaderName::from_static("cms-edge-cache-control");
const KEYS: HeaderName = HeaderName::from_static("surrogate-key");
const GROUPS: HeaderName = HeaderName::from_static("cache-groups");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

fuzz_target!(|data: &[u8]| {
    let Some((which, data)) = selected(data) else {
        return;
    };
    match which % 22 {
        0 => response_control(data),
        1 => request_control(data),
        2 => targeted(data),
        3 => dates(data),
        4 => entity_tags(data),
        5 => ranges(data),
        6 => content_ranges(data),
        7 => varies(data),
        8 => encodings(data),
        9 => languages(data),
        10 => cookies(data),
        11 => forwarded(data),
        12 => statuses(data),
        13 => tag_lists(data),
        14 => traces(data),
        15 => connections(data),
        16 => preconditions(data),
        17 => lists(data),
        18 => media_types(data),
        19 => vias(data),
        20 => upgrades(data),
        _ => lengths(data),
    }
});

fn is_bounded(seconds: Option<u64>) -> bool {
    seconds.is_none_or(|seconds| seconds <= DELTA_MAX)
}

fn response_control(data: &[u8]) {
    let headers = lines(data, &CACHE_CONTROL);
    let control = cache_control::ResponseControl::parse(&headers);
    for delta in [
        control.max_age,
        control.s_maxage,
        control.stale_while_revalidate,
        control.stale_if_error,
    ] {
        assert!(is_bounded(delta));
    }
    // RFC 9110 §5.3: several lines are one list.
    if !data.contains(&b'"') {
        let joined = data
            .iter()
            .map(|byte| if *byte == b'\n' { b',' } else { *byte });
        let is_same_count = headers.len() == data.split(|byte| *byte == b'\n').count();
        if let (Ok(value), true) = (
            HeaderValue::from_bytes(&joined.collect::<Vec<_>>()),
            is_same_count,
        ) {
            let one = HeaderMap::from_iter([(CACHE_CONTROL, value)]);
            assert_eq!(cache_control::ResponseControl::parse(&one), control);
        }
    }
}

fn request_control(data: &[u8]) {
    let control = cache_control::RequestControl::parse(&lines(data, &CACHE_CONTROL));
    assert!(is_bounded(control.max_age) && is_bounded(control.min_fresh));
    cache_control::RequestControl::parse(&lines(data, &PRAGMA));
}

fn targeted(data: &[u8]) {
    let half = data
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(data.len());
    let (one, other) = data.split_at(half);
    let mut headers = lines(one, &OWN);
    add_lines(other.get(1..).unwrap_or_default(), &CDN, &mut headers);
    if let Some((index, control)) = cache_control::ResponseControl::targeted(&headers, &[OWN, CDN])
    {
        assert!(index < 2 && is_bounded(control.max_age));
        assert!(headers.contains_key([OWN, CDN][index].clone()));
    }
    let headers = lines(data, &cache_control::surrogate::SURROGATE_CONTROL);
    if let Some(control) = cache_control::ResponseControl::surrogate(&headers) {
        assert!(control.no_store || control.max_age.is_some());
        assert!(is_bounded(control.max_age) && is_bounded(control.stale_if_error));
    }
}

fn dates(data: &[u8]) {
    let headers = lines(data, &EXPIRES);
    if let Some(moment) = date::of(&headers, &EXPIRES) {
        let written = date::format(moment);
        assert_eq!(date::parse(&written), Some(moment));
        assert!(httpdate::parse_http_date(written.to_str().unwrap()).is_ok());
    }
    if let Ok(Ok(reference)) = std::str::from_utf8(data).map(httpdate::parse_http_date) {
        let seconds = reference.duration_since(std::time::UNIX_EPOCH).ok();
        let ours = HeaderValue::from_bytes(data)
            .ok()
            .and_then(|value| date::parse(&value));
        // The reference does not look at what stands between the parts.
        if let (Some(seconds), Some(ours)) = (seconds, ours) {
            assert_eq!(ours, seconds.as_secs());
        }
    }
    date::expires(&headers);
    date::of_digits(data);
    assert!(age::age(&lines(data, &AGE)) <= DELTA_MAX);
}

fn entity_tags(data: &[u8]) {
    let own = entity_tag::EntityTag::strong("x");
    for name in [IF_MATCH, IF_NONE_MATCH] {
        let headers = lines(data, &name);
        if let Some(entity_tag::Condition::Tags(tags)) =
            entity_tag::Condition::parse(&headers, &name)
        {
            assert!(tags.count() <= data.len());
        }
        entity_tag::if_match(&headers, Some(&own));
        entity_tag::none_match(&headers, Some(&own));
    }
    if let Some(tag) = entity_tag::EntityTag::of(&lines(data, &ETAG)) {
        let again = entity_tag::EntityTag::parse(tag.to_value().as_bytes());
        assert_eq!(again.as_ref(), Some(&tag));
        assert!(tag.weak_eq(&tag.weakened()));
    }
    let made = entity_tag::EntityTag::strong(data);
    assert_eq!(
        entity_tag::EntityTag::parse(made.to_value().as_bytes()),
        Some(made)
    );
}

fn ranges(data: &[u8]) {
    let Some((length, data)) = data.split_first_chunk() else {
        return;
    };
    let length = u64::from_le_bytes(*length);
    let length = if length % 2 == 0 {
        length % 1000
    } else {
        length
    };
    let headers = lines(data, &RANGE);
    if let range::Ranges::One { first, last } = range::resolve(&headers, length) {
        assert!(first <= last && last < length);
        let written = range::content_range(first, last, length);
        let headers = HeaderMap::from_iter([(CONTENT_RANGE, written)]);
        let read = range::parse_content_range(&headers).unwrap();
        assert_eq!(
            (read.first, read.last, read.complete),
            (first, last, Some(length))
        );
    }
}

fn content_ranges(data: &[u8]) {
    if let Some(found) = range::parse_content_range(&lines(data, &CONTENT_RANGE)) {
        assert!(found.first <= found.last);
        assert!(found.complete.is_none_or(|complete| found.last < complete));
    }
}

fn varies(data: &[u8]) {
    if let Ok(vary) = vary::Vary::parse(&lines(data, &VARY)) {
        assert!(vary.names().len() <= vary::NAMES_MAX);
        let written = vary.to_value().map(|value| (VARY, value));
        let written = HeaderMap::from_iter(written);
        assert_eq!(vary::Vary::parse(&written), Ok(vary));
    }
}

fn encodings(data: &[u8]) {
    use accept_encoding::Coding::{Brotli, Gzip, Identity};
    let all = [Identity, Gzip, Brotli];
    let accepted = accept_encoding::AcceptEncoding::parse(&lines(data, &ACCEPT_ENCODING));
    match accepted.prefers(&all) {
        Some(coding) => assert!(accepted.accepts(coding)),
        None => assert!(!all.iter().any(|coding| accepted.accepts(*coding))),
    }
    let headers = lines(data, &CONTENT_ENCODING);
    content_encoding::ContentEncoding::parse(&headers);
    content_encoding::ContentEncoding::is_junk(&headers);
}

fn languages(data: &[u8]) {
    let headers = lines(data, &ACCEPT_LANGUAGE);
    if let Ok(text) = std::str::from_utf8(data) {
        let ranges = accept_language::ranges(text);
        assert!(ranges.is_sorted_by(|(_, one), (_, other)| one >= other));
        assert!(
            ranges
                .iter()
                .all(|(_, quality)| (1..=1000).contains(quality))
        );
        assert!(ranges.len() <= accept_language::LANGUAGE_RANGES_MAX);
        assert!(ranges.excluded.len() <= accept_language::LANGUAGE_RANGES_MAX);
        assert!(accept::qualities(text).count() <= accept::ELEMENTS_MAX);
    }
    let mut folded = String::new();
    accept_language::write_folded(&headers, &mut folded);
    accept_language::favourite(&headers);
    content_language::tags(&lines(data, &CONTENT_LANGUAGE)).for_each(drop);
}

fn cookies(data: &[u8]) {
    let headers = lines(data, &COOKIE);
    let is_kept = |name: &str| name.starts_with('a');
    let mut kept = headers.clone();
    cookie::keep_only(&mut kept, is_kept);
    let before: Vec<_> = cookie::pairs(&headers)
        .filter(|(name, _)| is_kept(name))
        .collect();
    assert_eq!(cookie::pairs(&kept).collect::<Vec<_>>(), before);
    let mut again = kept.clone();
    cookie::keep_only(&mut again, is_kept);
    assert_eq!(again, kept);
    cookie::get(&headers, "a");
}

fn forwarded(data: &[u8]) {
    let trusted = |address: IpAddr| matches!(address, IpAddr::V4(v4) if v4.octets()[0] == 10);
    let told = forwarders::forwarded(&lines(data, &FORWARDED), trusted);
    assert!(
        told.scheme
            .is_none_or(|scheme| ["http", "https"].contains(&scheme))
    );
    let mut headers = lines(data, &X_FORWARDED_FOR);
    add_lines(data, &X_FORWARDED_PROTO, &mut headers);
    let told = forwarders::x_forwarded(&headers, trusted);
    assert!(
        told.scheme
            .is_none_or(|scheme| ["http", "https"].contains(&scheme))
    );
    if let Ok(host) = std::str::from_utf8(data)
        && HeaderValue::from_str(host).is_ok()
    {
        // What we write about the client is read back as what we wrote.
        let mut headers = HeaderMap::new();
        let client = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        forwarded::set(&mut headers, client, "https", host);
        let told = forwarders::forwarded(&headers, trusted);
        assert_eq!(
            (told.client, told.scheme),
            (Some(client), Some("https")),
            "{headers:?}"
        );
    }
}

fn statuses(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let status = cache_status::CacheStatus {
        fwd: Some(cache_status::Fwd::Miss),
        key: Some(text.to_owned()),
        ..cache_status::CacheStatus::default()
    };
    for value in [
        status.to_value(text),
        cache_status::hit(text, i64::from(data.len() as u32)),
        proxy_status::error(text, text, Some(text)),
    ] {
        let list = sfv::Parser::new(value.as_bytes()).parse::<sfv::List>();
        assert!(list.is_ok_and(|list| list.len() == 1), "{value:?}");
    }
}

fn tag_lists(data: &[u8]) {
    let headers = lines(data, &KEYS);
    for tag in tags::declared(&headers, &[KEYS]) {
        assert!(tags::split(tag).eq([tag]));
    }
    tags::cache_groups(&lines(data, &GROUPS));
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(tags::split(text).all(|tag| !tag.is_empty()));
    }
}

fn traces(data: &[u8]) {
    use trace_context::{TRACEPARENT, TRACESTATE, TraceParent, state};
    if let Ok(Some(parent)) = TraceParent::parse(&lines(data, &TRACEPARENT)) {
        assert!(parent.trace_id != 0 && parent.parent_id != 0);
        let headers = HeaderMap::from_iter([(TRACEPARENT, parent.to_value())]);
        assert_eq!(TraceParent::parse(&headers), Ok(Some(parent)));
    }
    if let Some(one) = state(&lines(data, &TRACESTATE)) {
        let headers = HeaderMap::from_iter([(TRACESTATE, one.clone())]);
        assert_eq!(state(&headers), Some(one));
    }
}

fn connections(data: &[u8]) {
    let mut headers = lines(data, &CONNECTION);
    for line in data.split(|byte| *byte == b'\n').take(64) {
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    poisoning::strip_request(&mut headers);
    let mut trailers = headers.clone();
    connection::strip_hop_by_hop(&mut headers);
    assert!(!headers.contains_key(CONNECTION) && !headers.contains_key(TRANSFER_ENCODING));
    let before = headers.clone();
    connection::strip_hop_by_hop(&mut headers);
    assert_eq!(headers, before);
    trailer::strip(&mut trailers);
    assert!(!trailers.contains_key(CONTENT_LENGTH) && !trailers.contains_key(SET_COOKIE));
}

fn preconditions(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for (name, part) in conditional::CONDITIONAL
        .iter()
        .zip(data.split(|byte| *byte == 0))
    {
        add_lines(part, name, &mut headers);
    }
    let etag = entity_tag::EntityTag::strong("x");
    conditional::evaluate(&headers, true, Some(&etag), Some(784_111_777));
    conditional::evaluate(&headers, false, None, None);
    conditional::if_range_matches(&headers, Some(&etag), Some(784_111_777), Some(784_111_900));
    conditional::strip(&mut headers);
    assert_eq!(
        conditional::evaluate(&headers, true, None, None),
        conditional::Precondition::None
    );
}

fn lists(data: &[u8]) {
    for element in list::elements(data) {
        assert!(!element.is_empty());
        list::unquote(element);
    }
}

fn media_types(data: &[u8]) {
    let headers = lines(data, &CONTENT_TYPE);
    if let Some(essence) = media_type::essence(&headers) {
        assert!(!essence.contains(';'));
        media_type::matches(&["text/*".into(), "application/json".into()], essence);
    }
    media_type::is_event_stream(&headers);
}

fn vias(data: &[u8]) {
    let mut headers = lines(data, &VIA);
    via::append(&mut headers, Version::HTTP_2, "edge");
    assert!(via::loops(&headers, "EDGE"));
}

fn upgrades(data: &[u8]) {
    let mut headers = lines(data, &UPGRADE);
    headers.append(CONNECTION, HeaderValue::from_static("upgrade"));
    let known = ["websocket".into()];
    if let Some(wanted) = upgrade::wanted(&headers, &known) {
        assert_eq!(wanted, "websocket");
    }
    upgrade::is_to(&headers, b"websocket");
}

fn lengths(data: &[u8]) {
    let headers = lines(data, &CONTENT_LENGTH);
    if let Some(length) = content_length::of(&headers) {
        let written = HeaderMap::from_iter([(CONTENT_LENGTH, length.into())]);
        assert_eq!(content_length::of(&written), Some(length));
    }
}
