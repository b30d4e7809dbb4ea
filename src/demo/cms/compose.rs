//! Writes an article's body from the sentence banks: the same text for the same id, in every language the same
//! article.

use super::{
    language::Language,
    texts::{PEOPLE, SECTIONS, Texts, texts},
};

/// The long reads among the stories: records, programmes and reviews.
const LONG_READS: [u16; 7] = [9, 10, 15, 16, 29, 30, 31];
const PARAGRAPH_END: &str = "\n\n";

/// The section of the newspaper an article belongs to, an index into [`Texts::sections`].
pub(super) fn section(id: u16) -> usize {
    usize::from(id.wrapping_sub(1)) % SECTIONS
}

/// The body of article `id`: paragraphs with an empty line between them, 1 to 25 KiB.
pub(super) fn body(id: u16, language: Language) -> String {
    let texts = texts(language);
    let article = Dice::new(u64::from(id));
    let long_read = LONG_READS.contains(&id);
    let sentences = if long_read {
        275 + article.roll(1, 60)
    } else {
        18 + article.roll(1, 8) * article.roll(2, 12)
    };
    let mut body = String::new();
    let mut paragraph = 0;
    let mut left_in_paragraph = paragraph_length(article, paragraph);
    for number in 0..sentences {
        if left_in_paragraph == 0 {
            paragraph += 1;
            left_in_paragraph = paragraph_length(article, paragraph);
            body.push_str(PARAGRAPH_END);
        } else if number > 0 {
            body.push(' ');
        }
        left_in_paragraph -= 1;
        let section = paragraph_section(id, paragraph, long_read);
        let template = template(texts, section, article, number);
        fill(
            template,
            texts,
            id,
            Dice::new(u64::from(id) << 32 | number as u64),
            &mut body,
        );
    }
    body
}

fn paragraph_length(article: Dice, paragraph: usize) -> usize {
    3 + article.roll(100 + paragraph as u64, 4)
}

/// Short pieces keep to their section; in long reads every other paragraph looks at what else happened in town.
fn paragraph_section(id: u16, paragraph: usize, long_read: bool) -> usize {
    let own = section(id);
    if long_read && paragraph % 2 == 1 {
        (own + 1 + paragraph / 2 % (SECTIONS - 1)) % SECTIONS
    } else {
        own
    }
}

/// Walks the section's bank and the general one in a stride that meets every sentence before the first returns.
fn template(texts: &Texts, section: usize, article: Dice, number: usize) -> &'static str {
    let own = &texts.sentences[section];
    let general = &texts.sentences[SECTIONS];
    let both = own.len() + general.len();
    let stride = [5, 7, 11, 13][article.roll(3, 4)];
    let position = (article.roll(4, both) + number * stride) % both;
    if position < own.len() {
        own[position]
    } else {
        general[position - own.len()]
    }
}

/// Writes one sentence with its braces filled in and its first letter large.
fn fill(template: &str, texts: &Texts, id: u16, dice: Dice, out: &mut String) {
    let start = out.len();
    for (number, piece) in template.split(['{', '}']).enumerate() {
        if number % 2 == 0 {
            out.push_str(piece);
            continue;
        }
        match piece {
            "person" => {
                out.push_str(PEOPLE[(usize::from(id) * 5 + dice.roll(1, 5)) % PEOPLE.len()])
            }
            "place" => out.push_str(texts.places[dice.roll(2, texts.places.len())]),
            "day" => out.push_str(texts.days[dice.roll(3, texts.days.len())]),
            "month" => out.push_str(texts.months[dice.roll(4, texts.months.len())]),
            "few" => out.push_str(&(3 + dice.roll(5, 10)).to_string()),
            "n" => out.push_str(&(40 + dice.roll(6, 441)).to_string()),
            _ => {
                let thousands = 12 + dice.roll(7, 880);
                let separator = texts.digit_separator;
                out.push_str(&format!("{thousands}{separator}000 {}", texts.euros));
            }
        }
    }
    if let Some(first) = out
        .get(start..)
        .and_then(|sentence| sentence.chars().next())
    {
        out.replace_range(
            start..start + first.len_utf8(),
            &first.to_uppercase().to_string(),
        );
    }
}

/// Chance that falls the same way every time: rolls are a function of the seed and of what is rolled for.
#[derive(Clone, Copy)]
struct Dice {
    seed: u64,
}

impl Dice {
    fn new(seed: u64) -> Self {
        Self { seed: mix(seed) }
    }

    /// A number below `sides`; 0 where there are none.
    fn roll(self, purpose: u64, sides: usize) -> usize {
        let face = mix(self.seed ^ mix(purpose)) >> 33;
        (face as usize).checked_rem(sides).unwrap_or(0)
    }
}

/// The output function of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_brace_is_left_and_every_paragraph_starts_large() {
        for id in 1..=200 {
            for language in Language::ALL {
                let body = body(id, language);
                assert!(!body.contains(['{', '}']), "{id}");
                for paragraph in body.split(PARAGRAPH_END) {
                    let first = paragraph.chars().next().unwrap();
                    assert!(!first.is_lowercase(), "{id}: {paragraph}");
                }
            }
        }
    }

    #[test]
    fn the_languages_tell_the_same_story() {
        let numbers = |language| -> Vec<String> {
            let body = body(7, language);
            body.split(|c: char| !c.is_ascii_digit())
                .filter(|digits| !digits.is_empty())
                .map(str::to_owned)
                .collect()
        };
        assert!(!numbers(Language::En).is_empty());
        assert_eq!(numbers(Language::En).len(), numbers(Language::De).len());
        assert_eq!(body(7, Language::Fr), body(7, Language::Fr));
    }

    #[test]
    fn every_translation_has_the_same_blanks() {
        let blanks = |template: &str| {
            let mut names: Vec<String> = template
                .split(['{', '}'])
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect();
            names.sort();
            names
        };
        for (bank, sentences) in texts(Language::En).sentences.iter().enumerate() {
            for (number, english) in sentences.iter().enumerate() {
                for language in Language::ALL {
                    let translation = texts(language).sentences[bank][number];
                    assert_eq!(blanks(translation), blanks(english), "{translation}");
                }
            }
        }
    }
}
