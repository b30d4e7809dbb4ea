//! `${NAME}` in a setting: a part that only the surroundings know, such as a port.

use std::collections::BTreeMap;

use super::section::{Wrong, quoted};

/// The names between `${` and `}`, in the order in which they stand.
pub(super) fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split("${").skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('}')?;
        Some(name)
    })
}

/// The text with the values in place of the names.
pub(super) fn fill(text: &str, environment: &BTreeMap<String, String>) -> Result<String, Wrong> {
    let refuse = |why: String| Wrong {
        found: Some(format!("{} ({why})", quoted(text))),
        ..Wrong::default()
    };
    let mut pieces = text.split("${");
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let Some((name, rest)) = piece.split_once('}') else {
            return Err(refuse("a ${ without its }".to_owned()));
        };
        let Some(value) = environment.get(name) else {
            return Err(refuse(format!("there is no variable {name}")));
        };
        filled.push_str(value.trim());
        filled.push_str(rest);
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_by_their_values() {
        let environment = BTreeMap::from([("PORT".to_owned(), " 81 ".to_owned())]);
        let filled = fill("http://a:${PORT}/${PORT}", &environment);
        assert_eq!(filled.ok().as_deref(), Some("http://a:81/81"));
        assert_eq!(names("x${A}y${B}").collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(fill("$5 {a}", &environment).ok().as_deref(), Some("$5 {a}"));
    }

    #[test]
    fn a_name_without_a_value_is_a_mistake() {
        let wrong = fill("http://a:${PORT}", &BTreeMap::new()).unwrap_err();
        let found = r#""http://a:${PORT}" (there is no variable PORT)"#;
        assert_eq!(wrong.found.as_deref(), Some(found));
        assert!(fill("${PORT", &BTreeMap::new()).is_err());
    }
}
