//! `Accept-Encoding` (RFC 9110 §12.5.3), as far as the codings this cache makes.

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use super::accept;

/// A content coding.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Coding {
    Identity,
    Gzip,
    Brotli,
}

impl Coding {
    pub const fn token(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }
}

/// The client's weights in thousandths; 0: not acceptable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AcceptEncoding {
    gzip: u16,
    brotli: u16,
    identity: u16,
}

impl AcceptEncoding {
    /// Without the field only identity is sent: it allows any coding, and means nothing by it.
    pub fn parse(request: &HeaderMap) -> Self {
        let (mut gzip, mut brotli, mut identity, mut any) = (None, None, None, None);
        for line in request.get_all(ACCEPT_ENCODING) {
            let Ok(line) = line.to_str() else { continue };
            for (name, quality) in accept::qualities(line) {
                let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
                if is("gzip") || is("x-gzip") {
                    gzip = Some(quality);
                } else if is("br") {
                    brotli = Some(quality);
                } else if is("identity") {
                    identity = Some(quality);
                } else if name == "*" {
                    any = Some(quality);
                }
            }
        }
        Self {
            gzip: gzip.or(any).unwrap_or(0),
            brotli: brotli.or(any).unwrap_or(0),
            // §12.5.3: identity is acceptable unless excluded by `identity;q=0` or `*;q=0`; when
            // it is not listed it is the last choice.
            identity: identity.unwrap_or_else(|| u16::from(any != Some(0))),
        }
    }

    pub const fn accepts(&self, coding: Coding) -> bool {
        self.weight(coding) > 0
    }

    /// The coding of the highest weight; of equals brotli, then gzip.
    pub fn prefers(&self, available: &[Coding]) -> Option<Coding> {
        [Coding::Brotli, Coding::Gzip, Coding::Identity]
            .into_iter()
            .filter(|coding| available.contains(coding) && self.accepts(*coding))
            .rev()
            .max_by_key(|coding| self.weight(*coding))
    }

    const fn weight(&self, coding: Coding) -> u16 {
        match coding {
            Coding::Identity => self.identity,
            Coding::Gzip => self.gzip,
            Coding::Brotli => self.brotli,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_coding_of_both_sides_is_chosen() {
        let all = [Coding::Brotli, Coding::Gzip, Coding::Identity];
        for (value, coding) in [
            (None, Some(Coding::Identity)),
            (Some(""), Some(Coding::Identity)),
            (Some("gzip, deflate, br, zstd"), Some(Coding::Brotli)),
            (Some("gzip"), Some(Coding::Gzip)),
            (Some("br;q=0.5, GZIP;q=0.9"), Some(Coding::Gzip)),
            (Some("*"), Some(Coding::Brotli)),
            (Some("br;q=0, *"), Some(Coding::Gzip)),
            (Some("identity, br;q=0.1"), Some(Coding::Identity)),
            (Some("gzip;q=0"), Some(Coding::Identity)),
            (Some("identity;q=0, gzip"), Some(Coding::Gzip)),
            (Some("*;q=0"), None),
        ] {
            let mut request = HeaderMap::new();
            if let Some(value) = value {
                request.insert(ACCEPT_ENCODING, value.parse().unwrap());
            }
            assert_eq!(
                AcceptEncoding::parse(&request).prefers(&all),
                coding,
                "{value:?}"
            );
        }
    }
}
