//! The dialect `token`: no signature, but a secret in a field, as senders have it that let the
//! operator add fields and nothing more (Directus flows, Strapi, ButterCMS).

use http::HeaderMap;
use http::header::HeaderName;

use super::signature::Rejected;
use crate::purge::secret::{Token, without_scheme};

/// Where the token is, and which are good.
#[derive(Clone, Debug)]
pub struct TokenRule {
    /// The token is the whole value, or follows the scheme `Bearer`.
    pub header: HeaderName,
    pub tokens: Vec<Token>,
}

pub(super) fn verify(rule: &TokenRule, headers: &HeaderMap) -> Result<(), Rejected> {
    let presented = headers.get(&rule.header).ok_or(Rejected::Missing)?;
    let presented = presented.as_bytes();
    let presented = without_scheme(presented).unwrap_or(presented);
    let mut known = false;
    for token in &rule.tokens {
        known |= token.is(presented);
    }
    if known {
        Ok(())
    } else {
        Err(Rejected::WrongToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &'static str, value: &str) -> Result<(), Rejected> {
        let rule = TokenRule {
            header: HeaderName::from_static(header),
            tokens: ["old", "new"]
                .map(|token| Token::new(token).unwrap())
                .into(),
        };
        let mut headers = HeaderMap::new();
        headers.insert(header, value.parse().unwrap());
        verify(&rule, &headers)
    }

    #[test]
    fn any_token_of_the_webhook_will_do() {
        assert_eq!(check("authorization", "Bearer new"), Ok(()));
        assert_eq!(check("authorization", "old"), Ok(()));
        assert_eq!(check("x-purge-token", "old"), Ok(()));
        for wrong in ["", "Bearer ", "Bearer other", "Basic old", "newer"] {
            assert_eq!(check("authorization", wrong), Err(Rejected::WrongToken));
        }
    }

    #[test]
    fn without_tokens_nobody_is_believed() {
        let rule = TokenRule {
            header: HeaderName::from_static("x-purge-token"),
            tokens: Vec::new(),
        };
        assert_eq!(verify(&rule, &HeaderMap::new()), Err(Rejected::Missing));
        let mut headers = HeaderMap::new();
        headers.insert("x-purge-token", "".parse().unwrap());
        assert_eq!(verify(&rule, &headers), Err(Rejected::WrongToken));
    }
}
