//! Honest readers: keep-alive clients of HTTP/1.1 that ask for pages at a steady pace and time each
//! answer. They have a thread of their own, so that an attack that keeps its own thread busy does
//! not slow them down.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::HOST;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::recorder::{PAGE, READERS, apart};

/// Readers, each with a connection, and how often one asks.
pub(crate) const READERS_COUNT: usize = 4;
const PACE: Duration = Duration::from_millis(10);

/// Every so many requests one is for a page that nobody has asked for.
const MISS_EVERY: usize = 8;

/// How long a reader waits for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What goes on while a reader asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Phase {
    WarmUp,
    Quiet,
    Attack,
    After,
    End,
}

/// Readers at work.
pub(crate) struct Readers {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    target: SocketAddr,
    host: String,
    /// The page to ask for where there is no recording origin.
    other: Option<String>,
    /// They ask for nothing that is not stored.
    hits_only: bool,
    phase: AtomicU8,
    /// Told after each answer.
    answered: Notify,
    answers: Mutex<Answers>,
}

/// What the readers got.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    /// The phase that a request began in, and how long its answer took, in microseconds.
    times: Vec<(u8, u64)>,
    pub(crate) failures: Vec<String>,
}

impl Answers {
    /// Requests of a phase.
    pub(crate) fn count(&self, phase: Phase) -> usize {
        self.times
            .iter()
            .filter(|(of, _)| *of == phase as u8)
            .count()
    }

    /// The time within which so many of a hundred requests of a phase were answered, in
    /// microseconds.
    pub(crate) fn percentile(&self, phase: Phase, percent: usize) -> u64 {
        let of_phase = self.times.iter().filter(|(of, _)| *of == phase as u8);
        let mut times: Vec<u64> = of_phase.map(|(_, time)| *time).collect();
        times.sort_unstable();
        let rank = (times.len() * percent).div_ceil(100).max(1);
        times.get(rank - 1).copied().unwrap_or_default()
    }
}

impl Readers {
    pub(crate) fn start(
        target: SocketAddr,
        host: &str,
        other: Option<&str>,
        hits_only: bool,
    ) -> Self {
        let shared = Arc::new(Shared {
            target,
            host: host.to_owned(),
            other: other.map(str::to_owned),
            hits_only,
            phase: AtomicU8::new(Phase::WarmUp as u8),
            answered: Notify::new(),
            answers: Mutex::default(),
        });
        let of_thread = Arc::clone(&shared);
        let thread = apart("readers", || async move {
            let readers = (0..READERS_COUNT).map(|number| read(&of_thread, number));
            futures_util::future::join_all(readers).await;
        });
        Self {
            shared,
            thread: Some(thread),
        }
    }

    /// What follows belongs to `phase`.
    pub(crate) fn enter(&self, phase: Phase) {
        self.shared.phase.store(phase as u8, SeqCst);
    }

    /// Waits until so many requests of a phase were answered.
    pub(crate) async fn answered(&self, phase: Phase, count: usize) {
        let reached = async {
            while self.shared.answers.lock().count(phase) < count {
                self.shared.answered.notified().await;
            }
        };
        let failures = || self.shared.answers.lock().failures.clone();
        let reached = timeout(ANSWER_MAX * 2, reached).await;
        assert!(reached.is_ok(), "readers wait in vain: {:?}", failures());
    }

    /// Ends them; what they got. The origin answers the last of them meanwhile.
    pub(crate) async fn end(mut self) -> Answers {
        self.enter(Phase::End);
        if let Some(thread) = self.thread.take() {
            let joined = tokio::task::spawn_blocking(|| thread.join()).await;
            joined.unwrap().unwrap();
        }
        self.shared.answers.lock().clone()
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        // They see it within a moment; nobody waits for them where a test has failed.
        self.enter(Phase::End);
    }
}

async fn read(shared: &Shared, number: usize) {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connection = None;
    let mut count = 0;
    loop {
        pace.tick().await;
        let phase = shared.phase.load(SeqCst);
        if phase == Phase::End as u8 {
            return;
        }
        count += 1;
        let path = match &shared.other {
            Some(path) => path.clone(),
            None if count % MISS_EVERY == 0 && !shared.hits_only => {
                format!("{READERS}{number}/{count}")
            }
            None => PAGE.to_owned(),
        };
        let begin = Instant::now();
        let outcome = timeout(ANSWER_MAX, ask(shared, &mut connection, &path)).await;
        let time = u64::try_from(begin.elapsed().as_micros()).unwrap();
        let mut answers = shared.answers.lock();
        match outcome {
            Ok(Ok(())) => answers.times.push((phase, time)),
            Ok(Err(error)) => answers.failures.push(format!("{path}: {error}")),
            Err(_) => answers.failures.push(format!("{path}: no answer")),
        }
        drop(answers);
        shared.answered.notify_one();
    }
}

/// One request over the connection, which is opened where there is none. A reader whose connection
/// is taken away has been hurt: that is a failure.
async fn ask(
    shared: &Shared,
    connection: &mut Option<SendRequest<Empty<Bytes>>>,
    path: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut sender = match connection.take() {
        Some(sender) => sender,
        None => {
            let stream = TcpStream::connect(shared.target).await?;
            stream.set_nodelay(true)?;
            let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(driver);
            sender
        }
    };
    let request = Request::get(path).header(HOST, &shared.host);
    let response = sender.send_request(request.body(Empty::new())?).await?;
    let status = response.status();
    let content = response.into_body().collect().await?.to_bytes();
    if status != 200 {
        return Err(format!("{status}").into());
    }
    let is_own = content.starts_with(path.as_bytes());
    if shared.other.is_none() && !is_own {
        let begin = String::from_utf8_lossy(&content[..content.len().min(80)]).into_owned();
        return Err(format!("another page: {begin}").into());
    }
    *connection = Some(sender);
    Ok(())
}
