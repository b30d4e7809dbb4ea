//! What the demo's newsroom writes with: forty stories and a bank of sentences in each language.
//!
//! The four languages are translations of one another line by line, so that the same choice of sentences makes
//! the same article in each of them. Braces mark what [`compose`](super::compose) fills in: `{person}`,
//! `{place}`, `{day}` and `{month}` are whole phrases with their preposition, `{few}` is 3 to 12, `{n}` is 40 to
//! 480, `{sum}` is an amount in thousands of euros, written as the language groups its digits.

mod de;
mod de_stories;
mod en;
mod en_stories;
mod fr;
mod fr_stories;
mod pt_br;
mod pt_br_stories;

use super::language::Language;

/// How many articles the newsroom starts with; their ids are 1 to this.
pub(super) const STORIES: usize = 40;
/// Sections of the newspaper: council, culture, sport, business, in this order.
pub(super) const SECTIONS: usize = 4;

/// The headline and the lead of one story.
pub(super) struct Story {
    pub(super) title: &'static str,
    pub(super) summary: &'static str,
}

/// Everything that is written in one language.
pub(super) struct Texts {
    /// The language's own name for itself.
    pub(super) name: &'static str,
    /// The names of the sections.
    pub(super) sections: [&'static str; SECTIONS],
    /// The stories, by id from 1; story `id` belongs to section `(id - 1) % SECTIONS`.
    pub(super) stories: &'static [Story; STORIES],
    /// The lead of an article that came into being by publishing it, by section.
    pub(super) created: [&'static str; SECTIONS],
    /// Sentences by section, then one bank that suits every section.
    pub(super) sentences: [[&'static str; 12]; SECTIONS + 1],
    pub(super) places: [&'static str; 8],
    pub(super) days: [&'static str; 7],
    pub(super) months: [&'static str; 6],
    /// What stands between groups of three digits.
    pub(super) digit_separator: char,
    pub(super) euros: &'static str,
    /// The link back to the list.
    pub(super) all_articles: &'static str,
    /// The word before a version number.
    pub(super) version: &'static str,
    /// The 404 sentence; `{id}` is filled in.
    pub(super) no_article: &'static str,
}

/// People who are quoted, in every language alike.
pub(super) const PEOPLE: [&str; 16] = [
    "Helena Brandt",
    "Marc Delorme",
    "Ana Ribeiro",
    "Tom Whitfield",
    "Sofia Lindqvist",
    "Jonas Keller",
    "Claire Fontaine",
    "Paulo Mendes",
    "Ruth Adler",
    "Daniel Okafor",
    "Inês Carvalho",
    "Lukas Hoffmann",
    "Amélie Rousseau",
    "George Pembroke",
    "Miriam Vogel",
    "Rafael Duarte",
];

/// The texts of one language.
pub(super) fn texts(language: Language) -> &'static Texts {
    match language {
        Language::En => &en::TEXTS,
        Language::De => &de::TEXTS,
        Language::Fr => &fr::TEXTS,
        Language::PtBr => &pt_br::TEXTS,
    }
}
