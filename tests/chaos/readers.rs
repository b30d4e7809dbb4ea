//! Clients: each of one instance and one language, over a connection of its own. Every answer is
//! judged.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_LANGUAGE, CACHE_CONTROL, HOST};
use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::time::{MissedTickBehavior, interval};

use super::check::{Asked, Reader};
use super::line::Line;
use super::scene::Scene;
use super::site::{self, LANGUAGES};
use crate::random::Random;

/// How long a client waits. An instance that was stopped answers when it goes on: what was asked
/// meanwhile, too.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// So many of a hundred requests want what is stored to be validated.
const VALIDATING_PERCENT: u64 = 3;

/// Asks until the scene is over.
pub(crate) async fn read(
    scene: Arc<Scene>,
    instance: usize,
    language: usize,
    mut random: Random,
    pace: Duration,
) {
    let mut ticks = interval(pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut client = Client::new(instance, LANGUAGES[language]);
    while !scene.is_over() {
        ticks.tick().await;
        let page = site::page(&mut random);
        let validates = random.percent(VALIDATING_PERCENT);
        client.ask(&scene, page, validates).await;
    }
    scene.note(|figures| figures.went_back += client.reader.went_back);
}

/// Who reads one page after the other.
pub(crate) struct Client {
    instance: usize,
    language: &'static str,
    reader: Reader,
    line: Line,
}

impl Client {
    pub(crate) fn new(instance: usize, language: &'static str) -> Self {
        Self {
            instance,
            language,
            reader: Reader::default(),
            line: Line::default(),
        }
    }

    /// One request, and what to think of its answer; whether it was a hit with this version.
    pub(crate) async fn ask(
        &mut self,
        scene: &Scene,
        page: usize,
        validates: bool,
    ) -> Option<(bool, u64)> {
        let address = scene.fleet.address(self.instance)?;
        let path = scene.site.path(page);
        let mut request = Request::get(path)
            .header(HOST, site::HOST)
            .header(ACCEPT_LANGUAGE, self.language);
        if validates {
            request = request.header(CACHE_CONTROL, "no-cache");
        }
        let request = request.body(Full::<Bytes>::default()).unwrap();
        let sent = scene.elapsed();
        // What is known before the first byte leaves.
        let asked = Asked {
            page,
            path,
            language: self.language,
            floor: scene.known.lock().floor(self.instance, page),
        };
        let answer = match self.line.ask(address.http, request, ANSWER_MAX).await {
            Ok(answer) if answer.status == StatusCode::OK => answer,
            Ok(answer) => {
                let status = answer.status.as_u16().to_string();
                scene.note(|figures| figures.error(status));
                return None;
            }
            Err(error) => {
                scene.note(|figures| figures.error(error.to_string()));
                return None;
            }
        };
        let is_hit = answer.is_hit();
        let judged = self.reader.judge(&asked, &answer.text());
        scene.note(|figures| {
            figures.answers += 1;
            figures.hits += u64::from(is_hit);
        });
        match judged {
            Ok(version) => Some((is_hit, version)),
            Err(violation) => {
                let status = answer.cache_status();
                let who = self.instance;
                let language = self.language;
                scene.violation(&format!(
                    "edge-{who} {path} {language}, sent at {sent:.3?}: {violation} ({status})"
                ));
                None
            }
        }
    }
}
