//! The articles: what there is in each language, how it looks as JSON, and what publishing changes.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

use parking_lot::RwLock;
use serde_json::Value;

use super::{
    compose,
    language::Language,
    texts::{STORIES, texts},
};

/// The ids an article can have: the stories of the start, and those that publishing may add.
pub(super) const IDS: RangeInclusive<u16> = 1..=1000;
/// Articles on one page of a list.
const PAGE_LENGTH: usize = 40;
/// Of the body, in a list.
const EXCERPT_CHARS: usize = 160;

/// One article in one language.
#[derive(Clone)]
pub(super) struct Article {
    pub(super) id: u16,
    pub(super) language: Language,
    pub(super) title: String,
    pub(super) summary: &'static str,
    pub(super) body: Arc<str>,
    /// Starts at 1; every publication adds 1.
    pub(super) version: u64,
    /// The number of its last publication; 0 for what was there from the start.
    publication: u64,
}

/// One page of a list, newest publication first.
pub(super) struct ListPage {
    pub(super) language: Language,
    pub(super) page: usize,
    pub(super) pages: usize,
    pub(super) articles: Vec<Article>,
}

/// All articles. A publication is seen by every request that comes after it.
pub(super) struct Articles {
    shelf: RwLock<Shelf>,
}

struct Shelf {
    articles: BTreeMap<(Language, u16), Article>,
    publications: u64,
}

impl Articles {
    /// The stories the newsroom starts with, each in every language.
    pub(super) fn new() -> Self {
        let articles = Language::ALL
            .into_iter()
            .flat_map(stories)
            .map(|article| ((article.language, article.id), article))
            .collect();
        Self {
            shelf: RwLock::new(Shelf {
                articles,
                publications: 0,
            }),
        }
    }

    /// The article with this id, if there is one in this language.
    pub(super) fn find(&self, id: u16, language: Language) -> Option<Article> {
        self.shelf.read().articles.get(&(language, id)).cloned()
    }

    /// A page of the list, counted from 1; `None` beyond the last page.
    pub(super) fn list(&self, language: Language, page: usize) -> Option<ListPage> {
        let mut articles = self.all(language);
        articles.sort_by_key(|article| (std::cmp::Reverse(article.publication), article.id));
        let pages = articles.len().div_ceil(PAGE_LENGTH);
        let start = page.checked_sub(1)?.checked_mul(PAGE_LENGTH)?;
        let articles: Vec<Article> = articles.into_iter().skip(start).take(PAGE_LENGTH).collect();
        (!articles.is_empty()).then_some(ListPage {
            language,
            page,
            pages,
            articles,
        })
    }

    /// Every article of a language by id.
    pub(super) fn all(&self, language: Language) -> Vec<Article> {
        let shelf = self.shelf.read();
        let of_language = shelf.articles.range((language, 0)..=(language, u16::MAX));
        of_language.map(|(_, article)| article.clone()).collect()
    }

    /// Gives the article a new title, or makes it in this language where it does not exist. Its version grows by 1.
    pub(super) fn publish(&self, id: u16, language: Language, title: String) -> Article {
        let mut shelf = self.shelf.write();
        shelf.publications += 1;
        let publication = shelf.publications;
        let article = shelf
            .articles
            .entry((language, id))
            .or_insert_with(|| created(id, language));
        article.title = title;
        article.version += 1;
        article.publication = publication;
        article.clone()
    }
}

impl Article {
    /// The detail of the API.
    pub(super) fn to_json(&self) -> String {
        format!(
            r#"{{"id":{},"language":"{}","title":{},"version":{},"summary":{},"body":{}}}"#,
            self.id,
            self.language.tag(),
            quoted(&self.title),
            self.version,
            quoted(self.summary),
            quoted(&self.body),
        )
    }

    fn to_list_item(&self) -> String {
        format!(
            r#"{{"id":{},"language":"{}","title":{},"version":{},"summary":{},"body":{}}}"#,
            self.id,
            self.language.tag(),
            quoted(&self.title),
            self.version,
            quoted(self.summary),
            quoted(&self.excerpt()),
        )
    }

    /// The beginning of the body, as lists show it.
    fn excerpt(&self) -> String {
        let mut excerpt: String = self.body.chars().take(EXCERPT_CHARS).collect();
        if excerpt.len() < self.body.len() {
            excerpt.push('…');
        }
        excerpt
    }
}

impl ListPage {
    /// The list of the API.
    pub(super) fn to_json(&self) -> String {
        let items: Vec<String> = self.articles.iter().map(Article::to_list_item).collect();
        format!(
            r#"{{"language":"{}","page":{},"pages":{},"items":[{}]}}"#,
            self.language.tag(),
            self.page,
            self.pages,
            items.join(","),
        )
    }
}

fn stories(language: Language) -> impl Iterator<Item = Article> {
    let ids = 1..=STORIES as u16;
    ids.zip(texts(language).stories)
        .map(move |(id, story)| Article {
            id,
            language,
            title: story.title.to_owned(),
            summary: story.summary,
            body: compose::body(id, language).into(),
            version: 1,
            publication: 0,
        })
}

/// An article before its first publication.
fn created(id: u16, language: Language) -> Article {
    Article {
        id,
        language,
        title: String::new(),
        summary: texts(language).created[compose::section(id)],
        body: compose::body(id, language).into(),
        version: 0,
        publication: 0,
    }
}

/// A JSON string with its quotation marks.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: RangeInclusive<usize> = 1024..=30 * 1024;

    #[test]
    fn every_article_and_every_list_is_json_of_1_to_30_kib() {
        let articles = Articles::new();
        let mut lengths = Vec::new();
        for language in Language::ALL {
            let list = articles.list(language, 1).unwrap();
            assert!(
                SIZES.contains(&list.to_json().len()),
                "{}",
                list.to_json().len()
            );
            let parsed: Value = serde_json::from_str(&list.to_json()).unwrap();
            assert_eq!(parsed["items"].as_array().unwrap().len(), STORIES);
            for article in list.articles {
                let json = article.to_json();
                lengths.push(json.len());
                assert!(
                    SIZES.contains(&json.len()),
                    "{}: {}",
                    article.id,
                    json.len()
                );
                let parsed: Value = serde_json::from_str(&json).unwrap();
                assert_eq!(parsed["body"], *article.body);
                assert_eq!(parsed["version"], 1);
            }
        }
        assert_eq!(lengths.len(), STORIES * Language::ALL.len());
        assert!(lengths.iter().any(|length| *length < 2048), "{lengths:?}");
        assert!(
            lengths.iter().any(|length| *length > 20 * 1024),
            "{lengths:?}"
        );
    }

    #[test]
    fn what_publishing_may_create_is_of_1_to_30_kib_too() {
        for id in IDS.skip(STORIES) {
            for language in Language::ALL {
                let length = created(id, language).to_json().len();
                assert!(SIZES.contains(&length), "{id}: {length}");
            }
        }
    }

    #[test]
    fn publishing_changes_one_language_and_leads_its_list() {
        let articles = Articles::new();
        let published = articles.publish(7, Language::De, "Neu".to_owned());
        assert_eq!(published.version, 2);
        assert_eq!(articles.find(7, Language::De).unwrap().title, "Neu");
        assert_eq!(articles.find(7, Language::En).unwrap().version, 1);
        let first = |language| articles.list(language, 1).unwrap().articles.remove(0).id;
        assert_eq!(first(Language::De), 7);
        assert_eq!(first(Language::En), 1);
    }

    #[test]
    fn publishing_an_unknown_id_creates_it_in_that_language_alone() {
        let articles = Articles::new();
        assert_eq!(
            articles
                .publish(41, Language::Fr, "Nouveau".to_owned())
                .version,
            1
        );
        assert!(articles.find(41, Language::En).is_none());
        let list = articles.list(Language::Fr, 1).unwrap();
        assert_eq!((list.articles[0].id, list.pages), (41, 2));
        assert_eq!(articles.list(Language::Fr, 2).unwrap().articles[0].id, 40);
        assert!(articles.list(Language::Fr, 3).is_none());
        assert!(articles.list(Language::Fr, usize::MAX).is_none());
    }
}
