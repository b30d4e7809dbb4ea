//! What is worth compressing on a route.

use http::HeaderMap;

use crate::fields::accept_encoding::Coding;
use crate::fields::media_type;

/// One route's compression.
#[derive(Clone, Debug)]
pub struct CompressRule {
    pub enabled: bool,
    /// Media types, as `text/*`, `application/json` or `*+json`.
    pub types: Vec<Box<str>>,
    /// Bytes of content below which nothing is gained.
    pub size_min: usize,
    /// 1–9.
    pub gzip: u32,
    /// 0–11.
    pub brotli: u32,
}

/// What holds while an operator has turned compression off.
pub static OFF: CompressRule = CompressRule::NOTHING;

impl CompressRule {
    const NOTHING: Self = Self {
        enabled: false,
        types: Vec::new(),
        size_min: 0,
        gzip: 1,
        brotli: 0,
    };

    /// Whether responses with these fields, and content of this length if it is known, are
    /// compressed for clients that accept it.
    pub fn suits(&self, response: &HeaderMap, length: Option<usize>) -> bool {
        self.enabled
            && length.is_none_or(|length| length >= self.size_min)
            && media_type::essence(response)
                .is_some_and(|essence| media_type::matches(&self.types, essence))
    }

    pub const fn level(&self, coding: Coding) -> u32 {
        match coding {
            Coding::Identity => 0,
            Coding::Gzip => self.gzip,
            Coding::Brotli => self.brotli,
        }
    }
}

/// What is text, or as good as text. Not `text/*`: a stream of events is not to be held up.
pub const TYPES: [&str; 15] = [
    "text/html",
    "text/css",
    "text/plain",
    "text/xml",
    "text/csv",
    "text/markdown",
    "text/calendar",
    "text/javascript",
    "application/javascript",
    "application/json",
    "*+json",
    "application/xml",
    "*+xml",
    "application/wasm",
    "font/ttf",
];

impl Default for CompressRule {
    fn default() -> Self {
        Self {
            enabled: true,
            types: TYPES.iter().map(|name| (*name).into()).collect(),
            size_min: 1024,
            gzip: 5,
            brotli: 4,
        }
    }
}
