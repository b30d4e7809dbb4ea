//! The query of `POST /purge`: `wait=local` or `wait=all`, and `timeout=2s`.

use std::time::Duration;

use http::StatusCode;

use crate::purge::answer::Problem;
use crate::purge::log::Wait;

/// How long `wait=all` waits by default.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long it may wait.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// # Errors
/// Anything else than these two.
pub(super) fn parse(query: Option<&str>) -> Result<Wait, Problem> {
    let (mut all, mut most) = (false, TIMEOUT);
    let pairs = query.unwrap_or_default().split('&');
    for pair in pairs.filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("wait", "all")) => all = true,
            Some(("wait", "local")) => all = false,
            Some(("timeout", text)) => most = timeout(text).ok_or_else(|| mistake(pair))?,
            _ => return Err(mistake(pair)),
        }
    }
    Ok(if all { Wait::All(most) } else { Wait::Local })
}

fn timeout(text: &str) -> Option<Duration> {
    let timeout = humantime::parse_duration(text).ok()?;
    (timeout <= TIMEOUT_MAX).then_some(timeout)
}

fn mistake(pair: &str) -> Problem {
    let detail = format!(
        "`{pair}` in the query; allowed are wait=local, wait=all and timeout=0s to timeout=60s"
    );
    Problem::new(StatusCode::BAD_REQUEST, "query", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_for_this_instance_unless_told_otherwise() {
        assert_eq!(parse(None).unwrap(), Wait::Local);
        assert_eq!(parse(Some("wait=local")).unwrap(), Wait::Local);
        assert_eq!(parse(Some("wait=all")).unwrap(), Wait::All(TIMEOUT));
        let waited = parse(Some("timeout=250ms&wait=all")).unwrap();
        assert_eq!(waited, Wait::All(Duration::from_millis(250)));
    }

    #[test]
    fn everything_else_is_a_mistake() {
        for query in ["wait", "wait=some", "timeout=2", "timeout=61s", "x=1"] {
            assert!(parse(Some(query)).is_err(), "{query}");
        }
    }
}
