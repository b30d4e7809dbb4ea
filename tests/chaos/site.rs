//! The origin: pages that say which version they are, in every language, and change when somebody
//! publishes. It takes its time now and then, and answers with what was there when it was asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cms_edge::clock::{Clock, SystemClock};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, ETAG, HeaderMap,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, VARY,
};
use http::{Request, Response, StatusCode};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::check::Version;
use crate::random::Random;

pub(crate) const HOST: &str = "www.example.test";
pub(crate) const LANGUAGES: [&str; 4] = ["en", "de", "fr", "it"];
/// The first two have a table of languages in the configuration; the others vary without one.
const SECTIONS: [&str; 4] = ["news", "docs", "shop", "team"];
const PAGES_OF_SECTION: usize = 6;
/// No page is ever fetched anew because of its age.
const LIFETIME: &str = "max-age=86400";
const PADDING: usize = 3000;

/// What one publication changes, and how it says so.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope {
    Tag(usize),
    Url(usize),
    SectionTag(usize),
    Prefix(usize),
    Everything,
}

/// A publication, which the origin has and nobody else knows of yet.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) version: Version,
    pub(crate) pages: Vec<usize>,
    /// The body of `POST /purge`.
    pub(crate) command: String,
}

/// See the module.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pages: Arc<Pages>,
    accepting: AbortHandle,
}

struct Pages {
    paths: Vec<String>,
    now: Mutex<Now>,
    random: Mutex<Random>,
    asked: AtomicU64,
    not_modified: AtomicU64,
    /// Every answer takes so long besides, in milliseconds.
    pause: AtomicU64,
}

struct Now {
    newest: Version,
    /// Of each page its version and since when it is there, in seconds of the wall clock.
    of: Vec<(Version, u64)>,
}

type Content = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

impl Scope {
    /// Mostly one page, seldom many: as editors do.
    pub(crate) fn random(random: &mut Random) -> Self {
        let page = page(random);
        match random.below(100) {
            0..50 => Self::Tag(page),
            50..82 => Self::Url(page),
            82..90 => Self::SectionTag(page / PAGES_OF_SECTION),
            90..98 => Self::Prefix(page / PAGES_OF_SECTION),
            _ => Self::Everything,
        }
    }
}

/// A page; the first ones are asked for, and changed, more often than the last ones.
pub(crate) fn page(random: &mut Random) -> usize {
    let count = (SECTIONS.len() * PAGES_OF_SECTION) as u64;
    let place = random.below(count).min(random.below(count));
    // Each section has pages of all kinds.
    let (section, at) = (place % SECTIONS.len() as u64, place / SECTIONS.len() as u64);
    usize::try_from(section).unwrap() * PAGES_OF_SECTION + usize::try_from(at).unwrap()
}

impl Site {
    pub(crate) async fn start(seed: u64) -> Self {
        let sections = SECTIONS.iter();
        let paths = sections
            .flat_map(|section| (0..PAGES_OF_SECTION).map(move |at| format!("/{section}/{at}")));
        let paths: Vec<String> = paths.collect();
        let pages = Arc::new(Pages {
            now: Mutex::new(Now {
                newest: 1,
                of: vec![(1, 0); paths.len()],
            }),
            paths,
            random: Mutex::new(Random::new(seed)),
            asked: AtomicU64::new(0),
            not_modified: AtomicU64::new(0),
            pause: AtomicU64::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&pages))).abort_handle();
        Self {
            address,
            pages,
            accepting,
        }
    }

    /// The routes of an instance before it.
    pub(crate) fn routes(&self) -> String {
        let mut text = format!(
            "[upstream.origin]\nservers = [\"http://{}\"]\n",
            self.address
        );
        for section in &SECTIONS[..2] {
            text.push_str(&format!(
                "[[route]]\nname = \"{section}\"\npath = \"/{section}/*\"\nupstream = \"origin\"\n\
                 [route.language]\nsupported = {LANGUAGES:?}\ndefault = \"en\"\nsources = [\"header\"]\n"
            ));
        }
        text.push_str("[[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\n");
        text
    }

    pub(crate) fn count(&self) -> usize {
        self.pages.paths.len()
    }

    pub(crate) fn path(&self, page: usize) -> &str {
        &self.pages.paths[page]
    }

    pub(crate) fn version(&self, page: usize) -> Version {
        self.pages.now.lock().of[page].0
    }

    /// From now on every answer takes so long, after it was decided what it is.
    #[cfg(feature = "sabotage")]
    pub(crate) fn pause(&self, pause: Duration) {
        let millis = u64::try_from(pause.as_millis()).unwrap();
        self.pages.pause.store(millis, Ordering::SeqCst);
    }

    /// Requests that came, and how many of them were answered with 304.
    pub(crate) fn asked(&self) -> (u64, u64) {
        let of = |count: &AtomicU64| count.load(Ordering::SeqCst);
        (of(&self.pages.asked), of(&self.pages.not_modified))
    }

    /// Changes the pages of the scope, all at once.
    pub(crate) fn publish(&self, scope: Scope) -> Published {
        let section = |section: usize| {
            let first = section * PAGES_OF_SECTION;
            (first..first + PAGES_OF_SECTION).collect::<Vec<_>>()
        };
        let (pages, command): (Vec<usize>, Value) = match scope {
            Scope::Tag(page) => (vec![page], json!({"tags": [format!("page:{page}")]})),
            Scope::Url(page) => {
                let url = format!("http://{HOST}{}", self.path(page));
                (vec![page], json!({"urls": [url]}))
            }
            Scope::SectionTag(at) => (section(at), json!({"tags": [SECTIONS[at]]})),
            Scope::Prefix(at) => {
                let prefix = format!("http://{HOST}/{}", SECTIONS[at]);
                (section(at), json!({"prefixes": [prefix]}))
            }
            Scope::Everything => ((0..self.count()).collect(), json!({"everything": true})),
        };
        let mut now = self.pages.now.lock();
        now.newest += 1;
        let (version, since) = (now.newest, SystemClock.now().as_secs());
        for page in &pages {
            now.of[*page] = (version, since);
        }
        Published {
            version,
            pages,
            command: command.to_string(),
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, pages: Arc<Pages>) {
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_ended) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = stream else { return };
        let _delays = stream.set_nodelay(true);
        let pages = Arc::clone(&pages);
        connections.spawn(async move {
            let service = service_fn(|request| {
                let pages = Arc::clone(&pages);
                async move { Ok::<_, Infallible>(answer(&pages, request).await) }
            });
            let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // An instance that was killed broke it off.
            let _ended = serving.await;
        });
    }
}

async fn answer(pages: &Pages, request: Request<Incoming>) -> Response<Content> {
    pages.asked.fetch_add(1, Ordering::SeqCst);
    let path = request.uri().path();
    let Some(page) = pages.paths.iter().position(|known| known == path) else {
        return Response::builder()
            .status(StatusCode::NOT_FOUND)
            .body(content(Vec::new(), Duration::ZERO))
            .unwrap();
    };
    let (before, within) = delays(&mut pages.random.lock());
    // What it is, is decided here. It may be old when it arrives.
    let (version, since) = pages.now.lock().of[page];
    let language = language(request.headers());
    let path = path.to_owned();
    let pause = Duration::from_millis(pages.pause.load(Ordering::SeqCst));
    if !(before + pause).is_zero() {
        sleep(before + pause).await;
    }
    let mut response = Response::builder()
        .header(CACHE_CONTROL, LIFETIME)
        .header(CONTENT_TYPE, "text/plain")
        .header(CONTENT_LANGUAGE, language)
        .header(VARY, "Accept-Language")
        .header("cache-tag", format!("page:{page},{}", section_of(&path)));
    let etag = format!("\"{page}-{language}-{version}\"");
    let date = httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(since));
    // A third of the pages has no better validator than the second in which they changed.
    let (has_etag, has_date) = (page % 3 != 0, page % 3 != 1);
    if has_etag {
        response = response.header(ETAG, &etag);
    }
    if has_date {
        response = response.header(LAST_MODIFIED, &date);
    }
    let given = |name| request.headers().get(name).and_then(|v| v.to_str().ok());
    let is_known = match given(IF_NONE_MATCH) {
        Some(tags) => has_etag && tags.split(',').any(|tag| tag.trim() == etag),
        None => has_date && given(IF_MODIFIED_SINCE) == Some(&date),
    };
    if is_known {
        pages.not_modified.fetch_add(1, Ordering::SeqCst);
        let response = response.status(StatusCode::NOT_MODIFIED);
        return response.body(content(Vec::new(), Duration::ZERO)).unwrap();
    }
    let mut text = format!("{path} {language} {version}\n");
    if page % 4 == 0 {
        text.push_str(&"x".repeat(PADDING));
    }
    let half = text.len() / 2;
    let pieces = match within.is_zero() {
        true => vec![Bytes::from(text)],
        false => {
            let mut whole = Bytes::from(text);
            let first = whole.split_to(half);
            vec![first, whole]
        }
    };
    response.body(content(pieces, within)).unwrap()
}

fn section_of(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}

fn language(headers: &HeaderMap) -> &'static str {
    let asked = headers.get(ACCEPT_LANGUAGE).map(|value| value.as_bytes());
    let found = LANGUAGES.iter().find(|one| asked == Some(one.as_bytes()));
    found.copied().unwrap_or(LANGUAGES[0])
}

/// How long the head takes, and how long the content stops in the middle.
fn delays(random: &mut Random) -> (Duration, Duration) {
    let mut delay = |seldom, usual| match random.below(100) {
        chance if chance < seldom => Duration::from_millis(50 + random.below(250)),
        chance if chance < usual => Duration::from_millis(1 + random.below(20)),
        _ => Duration::ZERO,
    };
    (delay(5, 30), delay(3, 10))
}

/// These pieces, with a pause between them.
fn content(pieces: Vec<Bytes>, pause: Duration) -> Content {
    let pieces = stream::iter(pieces).enumerate();
    let frames = pieces.then(move |(at, piece)| async move {
        if at > 0 {
            sleep(pause).await;
        }
        Ok(Frame::data(piece))
    });
    StreamBody::new(frames.boxed())
}
