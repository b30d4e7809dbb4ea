//! Templates over a webhook's payload: `article:{data.id}`, `{keys[*]}`.
//!
//! Pure and strict: a field that is missing, empty or not a text or number is an error that names
//! it. A template never becomes "everything" and never "nothing". `{{` and `}}` are braces.

use std::collections::HashSet;

use serde_json::Value;
use thiserror::Error;

use super::SCOPES_MAX;
use super::target::TargetError;

/// A text with placeholders. A list in the payload (`[*]`) makes one text of each of its items;
/// placeholders that go through the same list go through it together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template {
    text: Box<str>,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Text(Box<str>),
    Field(Path),
}

/// Where a field is in a payload: `data.id`, `entry.tags[0]`, `items[*].id`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Path {
    text: Box<str>,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Step {
    Key(Box<str>),
    Index(usize),
    /// Each item of a list, each value of an object.
    Each,
}

/// A step whose list, if it goes through one, is bound to one item or not yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Bound<'a> {
    Key(&'a str),
    Index(usize),
    Each,
}

/// A template that cannot be: a mistake in the settings.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum TemplateError {
    #[error("it is empty")]
    Empty,
    #[error("it has a brace without its partner; a brace that stands for itself is doubled")]
    Brace,
    #[error("`{0}` is not a path such as `data.id`, `keys[0]` or `items[*].id`")]
    Path(Box<str>),
    #[error("`{0}` goes through a list, but only one value can be used here")]
    List(Box<str>),
    #[error("it has more than {PLACEHOLDERS_MAX} placeholders")]
    Placeholders,
    /// Whatever the payload is.
    #[error("it names nothing: {0}")]
    Target(#[from] TargetError),
}

/// A template that a payload does not fill.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("template `{template}`: {problem}")]
pub struct Unfilled {
    pub template: Box<str>,
    pub problem: Problem,
}

/// What is wrong with the payload. Each names the field.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Problem {
    #[error("the payload has no `{0}`")]
    Missing(Box<str>),
    #[error("`{0}` is empty")]
    Empty(Box<str>),
    #[error("`{0}` is neither a text nor an exact number")]
    NotScalar(Box<str>),
    #[error("`{0}` is not a list")]
    NotAList(Box<str>),
    #[error("`{0}` has a control character")]
    Control(Box<str>),
    #[error("it becomes longer than {TEXT_BYTES_MAX} bytes")]
    TooLong,
    #[error("it names more than {SCOPES_MAX} scopes")]
    TooMany,
}

impl Problem {
    /// The field that is at fault, where it is one.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Missing(field)
            | Self::Empty(field)
            | Self::NotScalar(field)
            | Self::NotAList(field)
            | Self::Control(field) => Some(field),
            Self::TooLong | Self::TooMany => None,
        }
    }
}

/// Bytes of a text that came of a template.
pub const TEXT_BYTES_MAX: usize = 1024;
/// Placeholders in a template.
const PLACEHOLDERS_MAX: usize = 16;
/// Steps in a path.
const STEPS_MAX: usize = 32;
/// Items that are looked at to fill one template, repetitions included.
const ITEMS_MAX: usize = 65_536;

impl Template {
    /// # Errors
    /// A brace without partner, and what is not a path.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::Empty);
        }
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            plain.push_str(before);
            if let Some(after) = brace.strip_prefix("{{") {
                plain.push('{');
                rest = after;
            } else if let Some(after) = brace.strip_prefix("}}") {
                plain.push('}');
                rest = after;
            } else {
                let inner = brace.strip_prefix('{').ok_or(TemplateError::Brace)?;
                let (path, after) = inner.split_once('}').ok_or(TemplateError::Brace)?;
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain).into()));
                }
                parts.push(Part::Field(Path::parse(path)?));
                rest = after;
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        let placeholders = parts.iter().filter(|part| matches!(part, Part::Field(_)));
        if placeholders.count() > PLACEHOLDERS_MAX {
            return Err(TemplateError::Placeholders);
        }
        Ok(Self {
            text: text.into(),
            parts,
        })
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is the same text for every payload.
    pub fn is_constant(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// The texts, at least one, each once, in the payload's order.
    ///
    /// # Errors
    /// When the payload does not give every placeholder a value; see [`Problem`].
    pub fn fill(&self, payload: &Value) -> Result<Vec<String>, Unfilled> {
        let fields: Vec<Vec<Bound<'_>>> = self
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::Field(path) => Some(path.steps.iter().map(Step::bound).collect()),
                Part::Text(_) => None,
            })
            .collect();
        let mut filled = Filled::default();
        match self.expand(&fields, payload, &mut filled) {
            Ok(()) => Ok(filled.texts),
            Err(problem) => Err(Unfilled {
                template: self.text.clone(),
                problem,
            }),
        }
    }

    /// Binds the first list that is not bound yet to each of its items in turn.
    fn expand<'a>(
        &self,
        fields: &[Vec<Bound<'a>>],
        payload: &'a Value,
        filled: &mut Filled,
    ) -> Result<(), Problem> {
        let unbound = fields.iter().find_map(|steps| {
            let at = steps.iter().position(|step| *step == Bound::Each)?;
            steps.get(..at)
        });
        let Some(list) = unbound else {
            return filled.add(self.text_for(fields, payload)?);
        };
        for item in items(list, payload)? {
            let bound: Vec<Vec<Bound<'a>>> = fields
                .iter()
                .map(|steps| with_item(steps, list, item))
                .collect();
            self.expand(&bound, payload, filled)?;
        }
        Ok(())
    }

    fn text_for(&self, fields: &[Vec<Bound<'_>>], payload: &Value) -> Result<String, Problem> {
        let mut text = String::new();
        let mut fields = fields.iter();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Field(_) => {
                    let steps = fields.next().map_or(&[][..], Vec::as_slice);
                    push_scalar(&mut text, steps, payload)?;
                }
            }
            if text.len() > TEXT_BYTES_MAX {
                return Err(Problem::TooLong);
            }
        }
        Ok(text)
    }
}

#[derive(Default)]
struct Filled {
    texts: Vec<String>,
    seen: HashSet<String>,
    looked_at: usize,
}

impl Filled {
    fn add(&mut self, text: String) -> Result<(), Problem> {
        self.looked_at += 1;
        if self.looked_at > ITEMS_MAX {
            return Err(Problem::TooMany);
        }
        if self.seen.insert(text.clone()) {
            if self.texts.len() == SCOPES_MAX {
                return Err(Problem::TooMany);
            }
            self.texts.push(text);
        }
        Ok(())
    }
}

impl Path {
    /// # Errors
    /// What is not a path.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let wrong = || TemplateError::Path(text.into());
        let mut steps = Vec::new();
        for segment in text.split('.') {
            let (name, mut rest) = segment.split_at(segment.find('[').unwrap_or(segment.len()));
            let is_name = |c: char| !c.is_control() && !c.is_whitespace() && c != ']';
            if name.is_empty() || !name.chars().all(is_name) {
                return Err(wrong());
            }
            steps.push(Step::Key(name.into()));
            while !rest.is_empty() {
                let inner = rest.strip_prefix('[').ok_or_else(wrong)?;
                let (index, after) = inner.split_once(']').ok_or_else(wrong)?;
                steps.push(match index {
                    "*" => Step::Each,
                    index if index.bytes().all(|b| b.is_ascii_digit()) => {
                        Step::Index(index.parse().map_err(|_| wrong())?)
                    }
                    _ => return Err(wrong()),
                });
                rest = after;
            }
        }
        if steps.len() > STEPS_MAX {
            return Err(wrong());
        }
        Ok(Self {
            text: text.into(),
            steps,
        })
    }

    /// A path that leads to one value.
    ///
    /// # Errors
    /// What is not a path, and a path through a list.
    pub fn parse_single(text: &str) -> Result<Self, TemplateError> {
        let path = Self::parse(text)?;
        if path.steps.contains(&Step::Each) {
            return Err(TemplateError::List(text.into()));
        }
        Ok(path)
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The value, unless a step of the path is not there or goes through a list.
    pub fn value<'a>(&self, payload: &'a Value) -> Option<&'a Value> {
        let steps: Vec<Bound<'_>> = self.steps.iter().map(Step::bound).collect();
        value_at(&steps, payload)
    }
}

impl Step {
    fn bound(&self) -> Bound<'_> {
        match self {
            Self::Key(name) => Bound::Key(name),
            Self::Index(index) => Bound::Index(*index),
            Self::Each => Bound::Each,
        }
    }
}

/// A text as it is, a number as it is written (without fraction where that is zero), a truth
/// value. `None` for a number too large to be exact: it would name something else.
pub(super) fn scalar(value: &Value) -> Option<String> {
    /// 2^53: up to here an `f64` is every integer.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.abs() >= EXACT_MAX => None,
            // 7.0 and 7 are one identifier.
            Some(float) if number.is_f64() && float.fract() == 0.0 => Some(format!("{float:.0}")),
            _ => Some(number.to_string()),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn push_scalar(text: &mut String, steps: &[Bound<'_>], payload: &Value) -> Result<(), Problem> {
    let value = match value_at(steps, payload) {
        None | Some(Value::Null) => return Err(Problem::Missing(shown(steps))),
        Some(value) => value,
    };
    let value = scalar(value).ok_or_else(|| Problem::NotScalar(shown(steps)))?;
    if value.trim().is_empty() {
        return Err(Problem::Empty(shown(steps)));
    }
    if value.chars().any(char::is_control) {
        return Err(Problem::Control(shown(steps)));
    }
    text.push_str(&value);
    Ok(())
}

/// The steps to the items of the list at `list`, which is not empty.
fn items<'a>(list: &[Bound<'a>], payload: &'a Value) -> Result<Vec<Bound<'a>>, Problem> {
    let items: Vec<Bound<'a>> = match value_at(list, payload) {
        None | Some(Value::Null) => return Err(Problem::Missing(shown(list))),
        Some(Value::Array(items)) => (0..items.len()).map(Bound::Index).collect(),
        Some(Value::Object(members)) => members.keys().map(|key| Bound::Key(key)).collect(),
        Some(_) => return Err(Problem::NotAList(shown(list))),
    };
    match items.len() {
        0 => Err(Problem::Empty(shown(list))),
        length if length > ITEMS_MAX => Err(Problem::TooMany),
        _ => Ok(items),
    }
}

/// `steps`, with the list at `list` bound to `item` if they go through it.
fn with_item<'a>(steps: &[Bound<'a>], list: &[Bound<'a>], item: Bound<'a>) -> Vec<Bound<'a>> {
    let mut bound = steps.to_vec();
    if steps.starts_with(list)
        && let Some(step @ Bound::Each) = bound.get_mut(list.len())
    {
        *step = item;
    }
    bound
}

fn value_at<'a>(steps: &[Bound<'_>], payload: &'a Value) -> Option<&'a Value> {
    steps
        .iter()
        .try_fold(payload, |value, step| match (step, value) {
            (Bound::Key(name), Value::Object(members)) => members.get(*name),
            (Bound::Index(index), Value::Array(items)) => items.get(*index),
            _ => None,
        })
}

fn shown(steps: &[Bound<'_>]) -> Box<str> {
    let mut text = String::new();
    for step in steps {
        match step {
            Bound::Key(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
            }
            Bound::Index(index) => text.push_str(&format!("[{index}]")),
            Bound::Each => text.push_str("[*]"),
        }
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fill(template: &str, payload: &Value) -> Result<Vec<String>, String> {
        Template::parse(template)
            .unwrap()
            .fill(payload)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn placeholders_take_texts_and_numbers_alike() {
        for id in [json!(211), json!("211"), json!(211.0)] {
            let payload = json!({"data": {"id": id, "language": "pt-BR"}});
            let texts = fill("article:{data.id}:{data.language}", &payload);
            assert_eq!(texts.unwrap(), ["article:211:pt-BR"]);
        }
        let large = json!({"id": 18_446_744_073_709_551_615_u64});
        assert_eq!(fill("{id}", &large).unwrap(), ["18446744073709551615"]);
    }

    #[test]
    fn a_list_makes_one_text_of_each_item() {
        let payload = json!({"collection": "articles", "keys": [1, "211", 1]});
        assert_eq!(
            fill("{collection}:{keys[*]}", &payload).unwrap(),
            ["articles:1", "articles:211"]
        );
        assert_eq!(fill("{keys[1]}", &payload).unwrap(), ["211"]);
    }

    #[test]
    fn placeholders_go_through_one_list_together_and_through_two_apart() {
        let payload = json!({
            "items": [{"id": 1, "locale": "de"}, {"id": 2, "locale": "fr"}],
            "sites": ["a", "b"],
        });
        assert_eq!(
            fill("{items[*].id}:{items[*].locale}", &payload).unwrap(),
            ["1:de", "2:fr"]
        );
        assert_eq!(
            fill("{sites[*]}:{items[*].id}", &payload).unwrap(),
            ["a:1", "a:2", "b:1", "b:2"]
        );
    }

    #[test]
    fn lists_in_lists_and_values_of_objects_are_gone_through() {
        let payload = json!({
            "n": [{"tags": ["a", "b"]}, {"tags": ["c"]}],
            "formats": {"small": {"url": "/s.png"}, "large": {"url": "/l.png"}},
        });
        assert_eq!(
            fill("t:{n[*].tags[*]}", &payload).unwrap(),
            ["t:a", "t:b", "t:c"]
        );
        let mut urls = fill("{formats[*].url}", &payload).unwrap();
        urls.sort();
        assert_eq!(urls, ["/l.png", "/s.png"]);
    }

    #[test]
    fn a_field_that_is_not_usable_is_an_error_that_names_template_and_field() {
        let payload = json!({
            "null": null, "empty": "", "blank": " ", "object": {"a": 1}, "list": [1], "none": [],
            "control": "a\nb", "long": "x".repeat(2000), "items": [{"id": 1}, {}],
            "huge": 1e300,
        });
        for (template, problem) in [
            ("t:{data.id}", "the payload has no `data.id`"),
            ("t:{null}", "the payload has no `null`"),
            ("t:{empty}", "`empty` is empty"),
            ("t:{blank}", "`blank` is empty"),
            (
                "t:{object}",
                "`object` is neither a text nor an exact number",
            ),
            ("t:{huge}", "`huge` is neither a text nor an exact number"),
            ("t:{list}", "`list` is neither a text nor an exact number"),
            ("t:{list.a}", "the payload has no `list.a`"),
            ("t:{none[*]}", "`none` is empty"),
            ("t:{null[*].id}", "the payload has no `null`"),
            ("t:{empty[*]}", "`empty` is not a list"),
            ("t:{items[*].id}", "the payload has no `items[1].id`"),
            ("t:{control}", "`control` has a control character"),
            ("t:{long}", "it becomes longer than 1024 bytes"),
        ] {
            let expected = format!("template `{template}`: {problem}");
            assert_eq!(fill(template, &payload), Err(expected));
        }
    }

    #[test]
    fn more_scopes_than_a_purge_takes_are_an_error() {
        let payload = json!({"keys": (0..=SCOPES_MAX).collect::<Vec<_>>()});
        assert!(fill("t:{keys[*]}", &payload).unwrap_err().contains("1024"));
        let repeated = json!({"keys": vec![7; SCOPES_MAX + 1]});
        assert_eq!(fill("t:{keys[*]}", &repeated).unwrap(), ["t:7"]);
        let square = json!({"keys": vec![7; 300]});
        assert!(fill("{keys[*]}", &square).is_ok());
        let endless = json!({"a": vec![7; 300], "b": vec![7; 300]});
        assert!(fill("{a[*]}{b[*]}", &endless).is_err(), "bounded work");
    }

    #[test]
    fn braces_are_doubled() {
        assert_eq!(fill("{{a}}", &json!({})).unwrap(), ["{a}"]);
        assert!(Template::parse("{{a}}").unwrap().is_constant());
        assert!(!Template::parse("a{b}").unwrap().is_constant());
    }

    #[test]
    fn mistakes_in_templates_are_found_at_once() {
        for (text, error) in [
            ("", TemplateError::Empty),
            ("a{b", TemplateError::Brace),
            ("a}b", TemplateError::Brace),
            ("{}", TemplateError::Path("".into())),
            ("{a..b}", TemplateError::Path("a..b".into())),
            ("{a b}", TemplateError::Path("a b".into())),
            ("{a[x]}", TemplateError::Path("a[x]".into())),
            ("{a[1}", TemplateError::Path("a[1".into())),
            ("{a[1]b}", TemplateError::Path("a[1]b".into())),
        ] {
            assert_eq!(Template::parse(text), Err(error), "{text}");
        }
        assert_eq!(
            Path::parse_single("a[*]"),
            Err(TemplateError::List("a[*]".into()))
        );
        let many = "{a}".repeat(PLACEHOLDERS_MAX + 1);
        assert_eq!(Template::parse(&many), Err(TemplateError::Placeholders));
    }
}
