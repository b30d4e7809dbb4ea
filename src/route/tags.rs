//! Which tags a route's responses carry: from the route's templates, from the response's fields,
//! and from the entries that its JSON body shows.

use http::HeaderMap;
use http::header::HeaderName;
use serde_json::Value;
use serde_json_path::JsonPath;
use thiserror::Error;

use super::pattern::Captures;
use crate::fields::tags;
use crate::key::TargetUri;
use crate::key::query;

/// One route's rule.
#[derive(Clone, Debug, Default)]
pub struct TagRule {
    /// Tags of every response, collections among them: an entry that *enters* a list is in no
    /// stored body of it.
    pub templates: Vec<Template>,
    /// Response fields that hold tags. They are not sent on.
    pub fields: Vec<HeaderName>,
    /// Where a JSON body holds identifiers.
    pub body: Vec<JsonPath>,
    /// Put before each identifier from the body.
    pub body_prefix: Box<str>,
}

/// Text with placeholders: `article:{id}:{language}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Text(Box<str>),
    Capture(Box<str>),
    Query(Box<str>),
    Language,
    Host,
}

/// What a template is filled with.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub target: &'a TargetUri,
    pub captures: &'a Captures<'a>,
    pub language: Option<&'a str>,
}

/// What is wrong with a template.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum BadTemplate {
    #[error("it is empty")]
    Empty,
    #[error("it has a space or a comma, which separate tags")]
    Separator,
    #[error("it has a brace without its partner")]
    Braces,
    #[error("`{{language}}` in a route that has no languages")]
    NoLanguage,
    #[error(
        "`{{{0}}}` is not a capture of the path, `{{language}}`, `{{host}}` or `{{query.NAME}}`"
    )]
    Placeholder(Box<str>),
}

/// Why a response's tags are not known. It is not stored then: a purge could not find it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Untagged {
    #[error("the body is not JSON")]
    NotJson,
    #[error("the response has more than 1,024 tags, or one of more than 1,024 bytes")]
    TooMany,
}

/// Tags of one response, and bytes of one tag.
const TAGS_MAX: usize = 1024;
const TAG_BYTES_MAX: usize = 1024;

impl TagRule {
    /// Whether the body must be read.
    pub const fn reads_body(&self) -> bool {
        !self.body.is_empty()
    }

    /// Parameters of the query that tags are made of.
    pub fn queries(&self) -> impl Iterator<Item = &str> {
        let parts = self.templates.iter().flat_map(|template| &template.0);
        parts.filter_map(|part| match part {
            Part::Query(name) => Some(&**name),
            _ => None,
        })
    }

    /// The tags of a response but for those in its body.
    ///
    /// # Errors
    /// There are too many, or too long ones.
    pub fn tags(
        &self,
        request: Request<'_>,
        response: &HeaderMap,
    ) -> Result<Vec<String>, Untagged> {
        let mut found: Vec<String> = self
            .templates
            .iter()
            .map(|template| template.fill(request))
            .collect();
        let declared = tags::declared(response, &self.fields);
        if declared.overflow {
            return Err(Untagged::TooMany);
        }
        found.extend(declared.tags.into_iter().map(str::to_owned));
        bounded(found)
    }

    /// The tags in a body, which is the decoded content. It takes time and memory in proportion to
    /// the body: up to some milliseconds a megabyte.
    ///
    /// # Errors
    /// The body cannot be read, or there are too many tags.
    pub fn tags_in(&self, body: &[u8]) -> Result<Vec<String>, Untagged> {
        let mut found: Vec<String> = Vec::new();
        if !self.reads_body() || body.is_empty() {
            return Ok(found);
        }
        let document: Value = serde_json::from_slice(body).map_err(|_| Untagged::NotJson)?;
        for path in &self.body {
            for node in path.query(&document) {
                let identifier = match node {
                    Value::String(text) => text.clone(),
                    Value::Number(number) => number.to_string(),
                    _ => continue,
                };
                let tag = format!("{}{identifier}", self.body_prefix);
                if !found.contains(&tag) {
                    found.push(tag);
                }
                if found.len() > TAGS_MAX {
                    return Err(Untagged::TooMany);
                }
            }
        }
        bounded(found)
    }
}

fn bounded(tags: Vec<String>) -> Result<Vec<String>, Untagged> {
    if tags.len() > TAGS_MAX || tags.iter().any(|tag| tag.len() > TAG_BYTES_MAX) {
        return Err(Untagged::TooMany);
    }
    Ok(tags)
}

impl Template {
    /// `captures` are the names that the route's path captures.
    ///
    /// # Errors
    /// A placeholder that nothing fills.
    pub fn parse(text: &str, captures: &[&str], has_language: bool) -> Result<Self, BadTemplate> {
        if text.is_empty() {
            return Err(BadTemplate::Empty);
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == ',') {
            return Err(BadTemplate::Separator);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            let (plain, after) = rest.split_at(open);
            let (name, behind) = after
                .strip_prefix('{')
                .and_then(|after| after.split_once('}'))
                .ok_or(BadTemplate::Braces)?;
            if !plain.is_empty() {
                parts.push(Part::Text(plain.into()));
            }
            parts.push(match name {
                "language" if has_language => Part::Language,
                _ if captures.contains(&name) => Part::Capture(name.into()),
                "language" => return Err(BadTemplate::NoLanguage),
                "host" => Part::Host,
                _ => match name.strip_prefix("query.") {
                    Some(parameter) if !parameter.is_empty() => Part::Query(parameter.into()),
                    _ => return Err(BadTemplate::Placeholder(name.into())),
                },
            });
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        Ok(Self(parts))
    }

    fn fill(&self, request: Request<'_>) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Capture(name) => text.push_str(&decoded(request.captures.get(name))),
                Part::Language => text.push_str(request.language.unwrap_or_default()),
                Part::Host => text.push_str(request.target.host()),
                Part::Query(name) => {
                    let value = query::parameter(request.target.query(), name);
                    text.push_str(&value.unwrap_or_default());
                }
            }
        }
        text
    }
}

/// A webhook names an entry as the CMS knows it, not as URLs spell it.
fn decoded(capture: Option<&str>) -> std::borrow::Cow<'_, str> {
    percent_encoding::percent_decode_str(capture.unwrap_or_default()).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::PathPattern;

    fn tags(rule: &TagRule, path: &str, body: &str) -> Result<Vec<String>, Untagged> {
        let pattern = PathPattern::parse("/api/articles/{id}").unwrap();
        let target = TargetUri::parse("https", "a.example", path, Some("page=2")).unwrap();
        let request = Request {
            target: &target,
            captures: &pattern.captures(target.path()),
            language: Some("de"),
        };
        let mut response = HeaderMap::new();
        response.insert("surrogate-key", "one two".parse().unwrap());
        let mut tags = rule.tags(request, &response)?;
        tags.extend(rule.tags_in(body.as_bytes())?);
        Ok(tags)
    }

    fn template(text: &str) -> Template {
        Template::parse(text, &["id"], true).unwrap()
    }

    #[test]
    fn templates_fields_and_body_add_up() {
        let rule = TagRule {
            templates: vec![
                template("article:{id}:{language}"),
                template("page:{query.page}@{host}"),
            ],
            fields: vec![HeaderName::from_static("surrogate-key")],
            body: vec![JsonPath::parse("$.data[*].documentId").unwrap()],
            body_prefix: "article:".into(),
        };
        assert_eq!(
            tags(
                &rule,
                "/api/articles/a%20b",
                r#"{"data":[{"documentId":"x"},{"documentId":7}]}"#
            )
            .unwrap(),
            [
                "article:a b:de",
                "page:2@a.example",
                "one",
                "two",
                "article:x",
                "article:7"
            ]
        );
    }

    #[test]
    fn a_body_that_cannot_be_read_is_an_error() {
        let rule = TagRule {
            body: vec![JsonPath::parse("$.id").unwrap()],
            ..TagRule::default()
        };
        assert_eq!(
            tags(&rule, "/api/articles/1", "<html>"),
            Err(Untagged::NotJson)
        );
    }

    #[test]
    fn a_placeholder_that_nothing_fills_is_refused() {
        assert_eq!(
            Template::parse("a:{slug}", &["id"], true),
            Err(BadTemplate::Placeholder("slug".into()))
        );
        assert_eq!(
            Template::parse("a:{language}", &["id"], false),
            Err(BadTemplate::NoLanguage)
        );
        let captured = Template::parse("a:{language}", &["language"], false);
        assert!(captured.is_ok(), "a capture of that name will do");
        for (text, error) in [
            ("", BadTemplate::Empty),
            ("a b", BadTemplate::Separator),
            ("a,b", BadTemplate::Separator),
            ("a:{id", BadTemplate::Braces),
            ("a}", BadTemplate::Braces),
        ] {
            assert_eq!(Template::parse(text, &["id"], true), Err(error), "{text}");
        }
    }
}
