//! `Accept-Encoding` (RFC 9110 §12.5.3) and the content codings we speak.

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use super::accept::{self, ELEMENTS_MAX};
use super::list;

/// A content coding of ours (RFC 9110 §8.4.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Coding {
    Identity,
    Gzip,
    Brotli,
}

impl Coding {
    /// Its name in `Content-Encoding` and `Accept-Encoding`.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }

    /// §8.4: "All content codings are case-insensitive"; §8.4.1.3: 'A recipient SHOULD consider
    /// "x-gzip" to be equivalent to "gzip".'
    pub fn from_token(token: &[u8]) -> Option<Self> {
        let is = |name: &[u8]| token.eq_ignore_ascii_case(name);
        if is(b"gzip") || is(b"x-gzip") {
            Some(Self::Gzip)
        } else if is(b"br") {
            Some(Self::Brotli)
        } else {
            is(b"identity").then_some(Self::Identity)
        }
    }
}

/// How much a client wants each coding of ours, in thousandths; 0 is not at all.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct AcceptEncoding {
    gzip: u16,
    brotli: u16,
    identity: u16,
}

impl AcceptEncoding {
    /// What a client accepts that does not say. §12.5.3 lets a server send it any coding; but one
    /// that can decode asks for it, and one that cannot is helped by plain content.
    pub const IDENTITY_ONLY: Self = Self {
        gzip: 0,
        brotli: 0,
        identity: QUALITY_UNASKED,
    };

    /// Reads all lines. Of a coding that is named twice the first mention counts.
    pub fn parse(headers: &HeaderMap) -> Self {
        let (mut gzip, mut brotli, mut identity, mut any) = (None, None, None, None);
        for element in list::lines(headers, &ACCEPT_ENCODING).take(ELEMENTS_MAX) {
            let Some((token, quality)) = accept::weighted(element) else {
                continue;
            };
            let slot: &mut Option<u16> = match Coding::from_token(token) {
                Some(Coding::Gzip) => &mut gzip,
                Some(Coding::Brotli) => &mut brotli,
                Some(Coding::Identity) => &mut identity,
                // "The asterisk "*" symbol in an Accept-Encoding field matches any available
                // content coding not explicitly listed in the field."
                None if token == b"*" => &mut any,
                None => continue,
            };
            slot.get_or_insert(quality);
        }
        Self {
            gzip: gzip.or(any).unwrap_or(0),
            brotli: brotli.or(any).unwrap_or(0),
            // "If the representation has no content coding, then it is acceptable by default unless
            // specifically excluded": acceptable, but less than anything that was asked for.
            identity: identity.or(any).unwrap_or(QUALITY_UNASKED),
        }
    }

    pub const fn accepts(&self, coding: Coding) -> bool {
        self.quality(coding) > 0
    }

    /// The coding among `available` that is wanted most; among equals Brotli, then gzip, then none.
    /// `None` if none of them is acceptable.
    pub fn prefers(&self, available: &[Coding]) -> Option<Coding> {
        let mut best = None;
        let mut best_quality = 0;
        for coding in [Coding::Brotli, Coding::Gzip, Coding::Identity] {
            let quality = self.quality(coding);
            if quality > best_quality && available.contains(&coding) {
                (best, best_quality) = (Some(coding), quality);
            }
        }
        best
    }

    const fn quality(&self, coding: Coding) -> u16 {
        match coding {
            Coding::Identity => self.identity,
            Coding::Gzip => self.gzip,
            Coding::Brotli => self.brotli,
        }
    }
}

const QUALITY_UNASKED: u16 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use Coding::{Brotli, Gzip, Identity};

    const ALL: [Coding; 3] = [Identity, Gzip, Brotli];

    fn parsed(lines: &[&str]) -> AcceptEncoding {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT_ENCODING, line.parse().unwrap());
        }
        AcceptEncoding::parse(&headers)
    }

    #[test]
    fn the_coding_wanted_most_is_preferred() {
        for (line, all, without_brotli) in [
            ("gzip, deflate, br, zstd", Some(Brotli), Some(Gzip)),
            ("gzip", Some(Gzip), Some(Gzip)),
            ("x-gzip", Some(Gzip), Some(Gzip)),
            ("GZIP", Some(Gzip), Some(Gzip)),
            ("BR;Q=0.5", Some(Brotli), Some(Identity)),
            ("gzip;q=1.0, br;q=0.9", Some(Gzip), Some(Gzip)),
            ("gzip;q=0.001", Some(Gzip), Some(Gzip)),
            ("identity, gzip;q=0.5", Some(Identity), Some(Identity)),
            ("br;q=0, gzip;q=0", Some(Identity), Some(Identity)),
            ("zstd", Some(Identity), Some(Identity)),
            ("deflate, identity;q=0", None, None),
            ("br, identity;q=0", Some(Brotli), None),
            ("br;q=x, gzip", Some(Gzip), Some(Gzip)),
            ("gzip;q=0, gzip", Some(Identity), Some(Identity)),
            ("", Some(Identity), Some(Identity)),
        ] {
            let accept = parsed(&[line]);
            assert_eq!(accept.prefers(&ALL), all, "{line}");
            assert_eq!(accept.prefers(&[Gzip, Identity]), without_brotli, "{line}");
        }
        assert_eq!(parsed(&["gzip"]).prefers(&[]), None);
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        // RFC 9110 §12.5.3.
        for (line, gzip, brotli, identity) in [
            ("compress, gzip", true, false, true),
            ("", false, false, true),
            ("*", true, true, true),
            ("compress;q=0.5, gzip;q=1.0", true, false, true),
            ("gzip;q=1.0, identity; q=0.5, *;q=0", true, false, true),
        ] {
            let accept = parsed(&[line]);
            assert_eq!(accept.accepts(Gzip), gzip, "{line}");
            assert_eq!(accept.accepts(Brotli), brotli, "{line}");
            assert_eq!(accept.accepts(Identity), identity, "{line}");
        }
    }

    #[test]
    fn identity_is_acceptable_unless_it_is_excluded() {
        // RFC 9110 §12.5.3: "acceptable by default unless specifically excluded by the
        // Accept-Encoding header field stating either "identity;q=0" or "*;q=0" without a more
        // specific entry for "identity"."
        for (line, expected) in [
            ("gzip", true),
            ("identity;q=0", false),
            ("*;q=0", false),
            ("gzip, *;q=0", false),
            ("*;q=0, identity;q=0.1", true),
            ("identity;q=0, *", false),
        ] {
            assert_eq!(parsed(&[line]).accepts(Identity), expected, "{line}");
        }
    }

    #[test]
    fn a_client_that_says_nothing_gets_identity() {
        assert_eq!(parsed(&[]), AcceptEncoding::IDENTITY_ONLY);
        assert_eq!(parsed(&[]).prefers(&ALL), Some(Identity));
    }

    #[test]
    fn several_lines_make_one_list() {
        assert_eq!(
            parsed(&["gzip;q=0.5", "br;q=0.6"]).prefers(&ALL),
            Some(Brotli)
        );
    }

    #[test]
    fn tokens_are_read_back() {
        for coding in ALL {
            assert_eq!(Coding::from_token(coding.token().as_bytes()), Some(coding));
        }
    }
}
