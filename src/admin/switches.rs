//! `GET /switches` and `PUT /switches/…`: what is on, and turning it off.

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::purge::answer::Problem;
use crate::switches::{Standing, Which};

/// Bytes of `{"on": false}`.
pub(super) const BODY_MAX: usize = 1024;

/// The switch that a path below `/switches/` names.
pub(super) fn which(path: &str) -> Option<Which<'_>> {
    match path {
        "caching" => Some(Which::Caching),
        "compression" => Some(Which::Compression),
        path => path.strip_prefix("routes/").map(Which::Route),
    }
}

/// # Errors
/// The answer to what is not `{"on": true}` or `{"on": false}`.
pub(super) fn parse(body: &[u8]) -> Result<bool, Problem> {
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        let detail = format!("the body is not JSON: {error}");
        Problem::new(StatusCode::BAD_REQUEST, "not-json", detail)
    })?;
    let on = match &value {
        Value::Object(members) if members.len() == 1 => members.get("on").and_then(Value::as_bool),
        _ => None,
    };
    on.ok_or_else(|| {
        let detail = "nothing was switched: the body must be {\"on\": true} or {\"on\": false}";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "mistakes", detail)
    })
}

pub(super) fn to_json(standing: &Standing) -> Value {
    let routes: Map<String, Value> = standing
        .routes
        .iter()
        .map(|(name, on)| (name.to_string(), json!({"on": on})))
        .collect();
    json!({
        "caching": {"on": standing.caching},
        "compression": {"on": standing.compression},
        "routes": routes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_on_and_off_are_understood() {
        assert!(matches!(parse(b"{\"on\": true}"), Ok(true)));
        assert!(matches!(parse(b"{\"on\":false}"), Ok(false)));
        for body in ["", "true", "{}", r#"{"on":1}"#, r#"{"on":true,"off":1}"#] {
            assert!(parse(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn a_path_names_a_switch() {
        assert_eq!(which("caching"), Some(Which::Caching));
        assert_eq!(which("routes/a.b"), Some(Which::Route("a.b")));
        assert_eq!(which("routes"), None);
        assert_eq!(which("other"), None);
    }
}
