//! Quality values (RFC 9110 §12.4.2), shared by the Accept fields.

/// Elements that are read of one field; what is behind them is ignored.
pub const ELEMENTS_MAX: usize = 64;

/// The elements of a list with their weights in thousandths. An element whose weight is malformed
/// is skipped: it would be a guess whether it was wanted.
pub fn qualities(value: &str) -> impl Iterator<Item = (&str, u16)> {
    value.split(',').take(ELEMENTS_MAX).filter_map(|element| {
        let mut parts = element.split(';');
        let name = parts.next()?.trim();
        if name.is_empty() {
            return None;
        }
        let mut quality = 1000;
        for parameter in parts {
            if let Some((key, value)) = parameter.split_once('=')
                && key.trim().eq_ignore_ascii_case("q")
            {
                quality = weight(value.trim())?;
            }
        }
        Some((name, quality))
    })
}

/// `qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )`; more digits are tolerated.
fn weight(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut thousandths = 0;
    for at in 0..3 {
        let digit = fraction.as_bytes().get(at).map_or(0, |byte| byte - b'0');
        thousandths = thousandths * 10 + u16::from(digit);
    }
    match whole {
        "0" => Some(thousandths),
        "1" => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_thousandths() {
        let found: Vec<_> =
            qualities("de, en;q=0.8,fr ; Q=0.75;x=1, it;q=1.000,,nl;q=0,es;q=x,pl;q=0.12345")
                .collect();
        assert_eq!(
            found,
            [
                ("de", 1000),
                ("en", 800),
                ("fr", 750),
                ("it", 1000),
                ("nl", 0),
                ("pl", 123)
            ]
        );
    }
}
