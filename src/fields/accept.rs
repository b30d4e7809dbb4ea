//! Preferences with quality values (RFC 9110 §12.4.2): the common part of `Accept`,
//! `Accept-Encoding` and `Accept-Language`, and `Accept` (§12.5.1) itself.

use super::list;

/// Elements of one field that are looked at; a browser sends about ten.
pub const ELEMENTS_MAX: usize = 64;

/// The highest quality, in thousandths.
pub const QUALITY_MAX: u16 = 1000;

/// Each element of a field line with its quality in thousandths, 1000 where none is given. A media
/// range keeps its own parameters: `text/html;level=1;q=0.4` gives `text/html;level=1` and 400.
///
/// An element whose quality cannot be read is left out: it says neither how much it is wanted nor
/// that it is not. A quality with more than three digits is cut, but not down to 0, which would
/// turn a faint wish into a refusal.
pub fn qualities(value: &str) -> impl Iterator<Item = (&str, u16)> {
    list::elements(value.as_bytes())
        .take(ELEMENTS_MAX)
        .filter_map(|element| {
            let (value, quality) = weighted(element)?;
            // Cut at ASCII characters, so always UTF-8.
            Some((std::str::from_utf8(value).ok()?, quality))
        })
}

/// One element: its value without the weight, and its quality.
pub(super) fn weighted(element: &[u8]) -> Option<(&[u8], u16)> {
    let mut start = 0;
    while let Some(offset) = element.get(start..)?.iter().position(|byte| *byte == b';') {
        let semicolon = start + offset;
        let (value, parameter) = element.split_at_checked(semicolon)?;
        let parameter = list::trim(parameter.get(1..)?);
        if let [b'q' | b'Q', b'=', quality @ ..] = parameter {
            let value = list::trim(value);
            // Whatever follows the weight was an accept-ext once, and is nothing today.
            let quality = quality.split(|byte| *byte == b';').next()?;
            return (!value.is_empty()).then_some((value, thousandths(list::trim(quality))?));
        }
        start = semicolon + 1;
    }
    Some((element, QUALITY_MAX))
}

/// `( "0" [ "." *3DIGIT ] ) / ( "1" [ "." *3"0" ] )`
fn thousandths(quality: &[u8]) -> Option<u16> {
    let (whole, fraction) = match quality {
        [whole @ (b'0' | b'1')] => (*whole, &b""[..]),
        [whole @ (b'0' | b'1'), b'.', fraction @ ..] => (*whole, fraction),
        _ => return None,
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let is_zero = fraction.iter().all(|digit| *digit == b'0');
    if whole == b'1' {
        return is_zero.then_some(QUALITY_MAX);
    }
    let digits = fraction.iter().chain(b"000").take(3);
    let thousandths = digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    Some(if is_zero { 0 } else { thousandths.max(1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(value: &str) -> Vec<(&str, u16)> {
        qualities(value).collect()
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        // RFC 9110 §12.5.1.
        assert_eq!(
            all("audio/*; q=0.2, audio/basic"),
            [("audio/*", 200), ("audio/basic", 1000)]
        );
        assert_eq!(
            all(
                "text/plain; q=0.5, text/html,\n       text/x-dvi; q=0.8, text/x-c"
                    .replace('\n', " ")
                    .as_str()
            ),
            [
                ("text/plain", 500),
                ("text/html", 1000),
                ("text/x-dvi", 800),
                ("text/x-c", 1000)
            ]
        );
        assert_eq!(
            all("text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, \
                 text/plain;format=fixed;q=0.4, */*;q=0.5"),
            [
                ("text/*", 300),
                ("text/plain", 700),
                ("text/plain;format=flowed", 1000),
                ("text/plain;format=fixed", 400),
                ("*/*", 500)
            ]
        );
        // RFC 9110 §12.5.4.
        assert_eq!(
            all("da, en-gb;q=0.8, en;q=0.7"),
            [("da", 1000), ("en-gb", 800), ("en", 700)]
        );
    }

    #[test]
    fn a_quality_is_read_in_thousandths() {
        for (quality, expected) in [
            ("0", Some(0)),
            ("0.", Some(0)),
            ("0.0", Some(0)),
            ("0.000", Some(0)),
            ("0.001", Some(1)),
            ("0.0001", Some(1)),
            ("0.5", Some(500)),
            ("0.8333333", Some(833)),
            ("0.999", Some(999)),
            ("0.9999", Some(999)),
            ("1", Some(1000)),
            ("1.", Some(1000)),
            ("1.0000", Some(1000)),
            ("1.001", None),
            ("1.5", None),
            ("2", None),
            ("10", None),
            ("-0.5", None),
            (".5", None),
            ("0,5", None),
            ("0.5x", None),
            ("", None),
            ("\"0.5\"", None),
        ] {
            assert_eq!(thousandths(quality.as_bytes()), expected, "{quality}");
        }
    }

    #[test]
    fn an_element_whose_weight_cannot_be_read_is_left_out() {
        for (value, expected) in [
            ("en;q=x, de", vec![("de", 1000)]),
            ("en;q=, de", vec![("de", 1000)]),
            (";q=1, de", vec![("de", 1000)]),
            ("en ; Q=0.3 ;ext=1, de", vec![("en", 300), ("de", 1000)]),
            ("en;q = 0.3", vec![("en;q = 0.3", 1000)]),
            (
                "a;x=\"1,2\";q=0.1, b",
                vec![("a;x=\"1,2\"", 100), ("b", 1000)],
            ),
            ("", vec![]),
        ] {
            assert_eq!(all(value), expected, "{value}");
        }
    }

    #[test]
    fn elements_are_bounded() {
        assert_eq!(all(&"a,".repeat(5000)).len(), ELEMENTS_MAX);
    }
}
