//! `HTTP-date` (RFC 9110 §5.6.7) and `Expires` (RFC 9111 §5.3), in whole seconds since the epoch.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use bytes::BytesMut;
use http::header::{self, EXPIRES};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{list, text};

/// The moment the value names, in seconds since the epoch: any of the three formats, 1970 to 9999.
///
/// RFC 9111 §4.2 asks caches to match without regard to case, and to take no zone but GMT. The day
/// of the week must be one, but need not be the right one. A leap second counts as the one before,
/// the "nearest time equal to or earlier than the received value".
pub fn parse(value: &HeaderValue) -> Option<u64> {
    parse_bytes(value.as_bytes())
}

/// As [`parse`], of a value's bytes.
pub fn parse_bytes(value: &[u8]) -> Option<u64> {
    let text = list::trim(value);
    // The 29 bytes of an IMF-fixdate, the form everybody generates.
    imf_fixdate(text)
        .or_else(|| rfc850_date(text))
        .or_else(|| asctime_date(text))
        .map(|date_time| date_time.seconds())
}

/// The moment a field names that has a single line. `None` if it is absent, repeated or invalid.
pub fn of(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    parse(list::single(headers, name)?)
}

/// What `Expires` says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expires {
    /// In seconds since the epoch.
    At(u64),
    AlreadyExpired,
}

/// `None` without the field. An invalid value is in the past, and so are lines that differ: RFC 9111
/// §4.2.1 leaves the choice between the first one and "the response should be considered stale".
pub fn expires(headers: &HeaderMap) -> Option<Expires> {
    let mut lines = headers.get_all(EXPIRES).into_iter();
    let first = lines.next()?;
    if lines.any(|line| line != first) {
        return Some(Expires::AlreadyExpired);
    }
    Some(parse(first).map_or(Expires::AlreadyExpired, Expires::At))
}

/// RFC 9110 §6.6.1: a recipient with a clock supplies the `Date` that is missing. `received` is in
/// seconds since the epoch.
pub fn supply(headers: &mut HeaderMap, received: u64) {
    if of(headers, &header::DATE).is_none() {
        headers.insert(header::DATE, format(received));
    }
}

/// The IMF-fixdate of a moment in seconds since the epoch; what lies after 9999 becomes its end.
pub fn format(seconds: u64) -> HeaderValue {
    let moment = UNIX_EPOCH + Duration::from_secs(seconds.min(SECONDS_MAX));
    let mut out = BytesMut::with_capacity(IMF_FIXDATE_LENGTH);
    // Writing to a buffer that grows cannot fail.
    let _ = write!(out, "{}", httpdate::HttpDate::from(moment));
    text::into_value(out)
}

/// 9999-12-31T23:59:59Z.
const SECONDS_MAX: u64 = 253_402_300_799;
const IMF_FIXDATE_LENGTH: usize = "Sun, 06 Nov 1994 08:49:37 GMT".len();

struct DateTime {
    year: u64,
    /// 1 to 12.
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(text: &[u8]) -> Option<DateTime> {
    let text: &[u8; IMF_FIXDATE_LENGTH] = text.try_into().ok()?;
    let (weekday, rest) = text.split_at(3);
    day_name(weekday)?;
    let [b',', b' ', d1, d2, b' ', m1, m2, m3, b' ', rest @ ..] = rest else {
        return None;
    };
    let [y1, y2, y3, y4, b' ', rest @ ..] = rest else {
        return None;
    };
    let (time, zone) = rest.split_at_checked(TIME_LENGTH)?;
    is_gmt(zone)?;
    date_time(
        number(&[*y1, *y2, *y3, *y4])?,
        month(&[*m1, *m2, *m3])?,
        number(&[*d1, *d2])?,
        time,
    )
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850_date(text: &[u8]) -> Option<DateTime> {
    let comma = text.iter().position(|byte| *byte == b',')?;
    let (weekday, rest) = text.split_at(comma);
    DAYS.iter()
        .any(|day| weekday.eq_ignore_ascii_case(day))
        .then_some(())?;
    let [
        b',',
        b' ',
        d1,
        d2,
        b'-',
        m1,
        m2,
        m3,
        b'-',
        y1,
        y2,
        b' ',
        rest @ ..,
    ] = rest
    else {
        return None;
    };
    let (time, zone) = rest.split_at_checked(TIME_LENGTH)?;
    is_gmt(zone)?;
    date_time(
        century(number(&[*y1, *y2])?),
        month(&[*m1, *m2, *m3])?,
        number(&[*d1, *d2])?,
        time,
    )
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime_date(text: &[u8]) -> Option<DateTime> {
    let (weekday, rest) = text.split_at_checked(3)?;
    day_name(weekday)?;
    let [b' ', m1, m2, m3, b' ', d1, d2, b' ', rest @ ..] = rest else {
        return None;
    };
    let (time, year) = rest.split_at_checked(TIME_LENGTH)?;
    let [b' ', y1, y2, y3, y4] = year else {
        return None;
    };
    let day = match d1 {
        b' ' => number(&[*d2])?,
        _ => number(&[*d1, *d2])?,
    };
    date_time(
        number(&[*y1, *y2, *y3, *y4])?,
        month(&[*m1, *m2, *m3])?,
        day,
        time,
    )
}

/// Seconds since the Unix epoch of `YYYYMMDDhhmmss` in UTC: the digits of a GeneralizedTime
/// (RFC 5280 §4.1.2.5.2). `None` for anything else, and for years before 1970.
pub fn of_digits(digits: &[u8]) -> Option<u64> {
    let [y1, y2, y3, y4, mo1, mo2, d1, d2, h1, h2, mi1, mi2, s1, s2] = digits else {
        return None;
    };
    let month = number(&[*mo1, *mo2])?;
    let time = [*h1, *h2, b':', *mi1, *mi2, b':', *s1, *s2];
    let year = number(&[*y1, *y2, *y3, *y4])?;
    let date = date_time(year, month, number(&[*d1, *d2])?, &time)?;
    (1..=12).contains(&month).then(|| date.seconds())
}

/// RFC 9110 §5.6.7: what "appears to be more than 50 years in the future" lies in the past instead.
/// Whoever reads this after 2020 has 2069 within 50 years, so a fixed pivot keeps the rule without a
/// clock; 70 to 99 are read as past, where a date can do no harm.
const fn century(two_digits: u64) -> u64 {
    if two_digits < 70 {
        2000 + two_digits
    } else {
        1900 + two_digits
    }
}

const TIME_LENGTH: usize = "08:49:37".len();

fn date_time(year: u64, month: u64, day: u64, time: &[u8]) -> Option<DateTime> {
    let [h1, h2, b':', m1, m2, b':', s1, s2] = time else {
        return None;
    };
    let (hour, minute) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
    let second = number(&[*s1, *s2])?;
    let exists = year >= 1970
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    exists.then_some(DateTime {
        year,
        month,
        day,
        hour,
        minute,
        second: second.min(59),
    })
}

impl DateTime {
    fn seconds(&self) -> u64 {
        let years_before = self.year - 1;
        let leap_days = years_before / 4 - years_before / 100 + years_before / 400;
        // 1969 / 4 - 1969 / 100 + 1969 / 400.
        let leap_days = leap_days - 477;
        let days_before_month: u64 = (1..self.month).map(|month| days_in(self.year, month)).sum();
        let days = (self.year - 1970) * 365 + leap_days + days_before_month + self.day - 1;
        ((days * 24 + self.hour) * 60 + self.minute) * 60 + self.second
    }
}

const fn days_in(year: u64, month: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    text::decimal(digits)
}

fn month(name: &[u8; 3]) -> Option<u64> {
    (1..)
        .zip(MONTHS)
        .find(|(_, month)| name.eq_ignore_ascii_case(*month))
        .map(|(number, _)| number)
}

fn day_name(name: &[u8]) -> Option<()> {
    DAYS.iter()
        .any(|day| {
            day.get(..3)
                .is_some_and(|short| name.eq_ignore_ascii_case(short))
        })
        .then_some(())
}

fn is_gmt(zone: &[u8]) -> Option<()> {
    zone.eq_ignore_ascii_case(b" GMT").then_some(())
}

const DAYS: [&[u8]; 7] = [
    b"Monday",
    b"Tuesday",
    b"Wednesday",
    b"Thursday",
    b"Friday",
    b"Saturday",
    b"Sunday",
];

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_formats_name_the_same_moment() {
        // RFC 9110 §5.6.7: "A recipient that parses a timestamp value in an HTTP field MUST accept
        // all three HTTP-date formats." The three are the RFC's own examples.
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parsed(text), Some(784_111_777), "{text}");
        }
    }

    #[test]
    fn digits_name_a_moment() {
        assert_eq!(of_digits(b"19700101000000"), Some(0));
        assert_eq!(of_digits(b"19941106084937"), Some(784_111_777));
        assert_eq!(of_digits(b"20240229235959"), Some(1_709_251_199));
        for wrong in [
            "19941306084937",
            "19940006084937",
            "20230229000000",
            "19691231235959",
            "1994110608493",
            "1994110608493Z",
        ] {
            assert_eq!(of_digits(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn case_does_not_matter() {
        // RFC 9111 §4.2: "Although all date formats are specified to be case-sensitive, a cache
        // recipient SHOULD match the field value case-insensitively."
        for text in [
            "SUN, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 NOV 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 gMT",
            "sunday, 06-nov-94 08:49:37 gmt",
            "sun nov  6 08:49:37 1994",
            " Sun, 06 Nov 1994 08:49:37 GMT\t",
        ] {
            assert_eq!(parsed(text), Some(784_111_777), "{text}");
        }
    }

    #[test]
    fn the_wrong_day_of_the_week_is_forgiven() {
        // RFC 9110 §5.6.7: "Recipients of timestamp values are encouraged to be robust".
        assert_eq!(parsed("Mon, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(parsed("Xyz, 06 Nov 1994 08:49:37 GMT"), None);
    }

    #[test]
    fn what_is_no_http_date_is_refused() {
        for text in [
            "",
            "0",
            "-1",
            "784111777",
            // RFC 9111 §4.2: "A cache recipient SHOULD consider a date with a zone abbreviation
            // other than "GMT" to be invalid for calculating expiration."
            "Thu, 18 Aug 2050 02:01:18 UTC",
            "Thu, 18 Aug 2050 02:01:18 AEST",
            "Thu, 18 Aug 2050 02:01:18 +0000",
            "Thu, 18 Aug 2050 02:01:18",
            "Thu, 18 Aug 50 02:01:18 GMT",
            "Thu 18 Aug 2050 02:01:18 GMT",
            "Thu, 18  Aug  2050 02:01:18 GMT",
            "Thu, 18-Aug-2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 02.01.18 GMT",
            "Thu, 18 Aug 2050 2:01:18 GMT",
            "Thu, 8 Aug 2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 24:01:18 GMT",
            "Thu, 18 Aug 2050 02:60:18 GMT",
            "Thu, 18 Aug 2050 02:01:61 GMT",
            "Thu, 00 Aug 2050 02:01:18 GMT",
            "Thu, 31 Jun 2050 02:01:18 GMT",
            "Tue, 29 Feb 2100 02:01:18 GMT",
            "Wed, 31 Dec 1969 23:59:59 GMT",
            "Sun Nov 6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn years_of_two_digits_lie_at_most_fifty_years_ahead() {
        // RFC 9110 §5.6.7: "MUST interpret a timestamp that appears to be more than 50 years in the
        // future as representing the most recent year in the past that had the same last two
        // digits."
        for (two_digits, four_digits) in [
            ("Thursday, 18-Aug-50", "Thu, 18 Aug 2050"),
            ("Sunday, 18-Aug-69", "Sun, 18 Aug 2069"),
            ("Tuesday, 18-Aug-70", "Tue, 18 Aug 1970"),
            ("Wednesday, 18-Aug-99", "Wed, 18 Aug 1999"),
        ] {
            let moment = parsed(&format!("{two_digits} 02:01:18 GMT"));
            assert!(moment.is_some());
            assert_eq!(moment, parsed(&format!("{four_digits} 02:01:18 GMT")));
        }
    }

    #[test]
    fn a_leap_second_is_the_one_before() {
        assert_eq!(
            parsed("Sat, 31 Dec 2016 23:59:60 GMT"),
            parsed("Sat, 31 Dec 2016 23:59:59 GMT")
        );
    }

    #[test]
    fn every_day_until_9999_survives_formatting_and_parsing() {
        for day in (0..=SECONDS_MAX / 86_400).step_by(31) {
            let moment = day * 86_400 + day % 86_400;
            assert_eq!(parse(&format(moment)), Some(moment));
        }
        assert_eq!(format(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(format(u64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn a_repeated_date_is_no_date() {
        let mut headers = HeaderMap::new();
        let name = header::LAST_MODIFIED;
        assert_eq!(of(&headers, &name), None);
        headers.append(&name, format(60));
        assert_eq!(of(&headers, &name), Some(60));
        headers.append(&name, format(60));
        assert_eq!(of(&headers, &name), None);
    }

    #[test]
    fn an_invalid_expires_is_in_the_past() {
        // RFC 9111 §5.3: "A cache recipient MUST interpret invalid date formats, especially the
        // value "0", as representing a time in the past (i.e., "already expired")."
        let at = "Sun, 06 Nov 1994 08:49:37 GMT";
        let later = "Sun, 06 Nov 1994 08:49:38 GMT";
        for (lines, expected) in [
            (&[][..], None),
            (&[at], Some(Expires::At(784_111_777))),
            (&["0"], Some(Expires::AlreadyExpired)),
            (&[""], Some(Expires::AlreadyExpired)),
            (&["never"], Some(Expires::AlreadyExpired)),
            (&[at, at], Some(Expires::At(784_111_777))),
            (&[at, later], Some(Expires::AlreadyExpired)),
            (&[later, "0"], Some(Expires::AlreadyExpired)),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(EXPIRES, line.parse().unwrap());
            }
            assert_eq!(expires(&headers), expected, "{lines:?}");
        }
    }

    fn parsed(text: &str) -> Option<u64> {
        parse(&text.parse().unwrap())
    }
}
