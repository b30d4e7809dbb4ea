//! An origin that records what it receives, byte for byte, and reads it as strictly as it can be
//! read: anything that two servers might take for two different things is a fault.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::origin::PATIENCE;

/// Where the readers' pages are.
pub(crate) const READERS: &str = "/readers/";

/// The page that all readers ask for.
pub(crate) const PAGE: &str = "/readers/page";

/// What is kept of requests that are no reader's; more would fill the memory of the test.
const KEPT_MAX: usize = 20_000;

/// The fault of a request that did not end.
const BROKEN_OFF: &str = "broken off";

type Answer = dyn Fn(&Seen) -> Reply + Send + Sync;

/// A request, or bytes that are none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Head and content as they came.
    pub(crate) raw: Vec<u8>,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
    /// Decoded where it was chunked.
    pub(crate) content: Vec<u8>,
    /// Why it is not one unambiguous request.
    pub(crate) fault: Option<String>,
}

impl Seen {
    /// The first value of a field, whose name is in lower case.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The exchange was given up in the middle of the content of a request for `target`: the
    /// origin hears of that at any time after the client.
    pub(crate) fn is_broken_off(&self, target: &str) -> bool {
        let is_for_it = self.raw.starts_with(format!("POST {target} ").as_bytes());
        is_for_it && self.fault.as_deref() == Some(BROKEN_OFF)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }
}

/// A response.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) content: Vec<u8>,
    /// How long it takes.
    pub(crate) delay: Duration,
}

impl Reply {
    pub(crate) fn ok(content: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            fields: vec![("content-type", "text/html; charset=utf-8".to_owned())],
            content: content.into(),
            delay: Duration::ZERO,
        }
    }

    pub(crate) fn field(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    fn bytes(&self, is_head: bool) -> Vec<u8> {
        let mut bytes = format!("HTTP/1.1 {} Answer\r\n", self.status).into_bytes();
        for (name, value) in &self.fields {
            bytes.extend(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend(format!("content-length: {}\r\n\r\n", self.content.len()).as_bytes());
        if !is_head {
            bytes.extend(&self.content);
        }
        bytes
    }
}

/// A running origin; dropping it closes its listener and every connection.
pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    /// Dropped with it: the end of its thread.
    _running: oneshot::Sender<()>,
}

struct Shared {
    answer: Box<Answer>,
    seen: Mutex<Vec<Seen>>,
    /// Requests for [`PAGE`].
    pages: AtomicUsize,
}

impl Recorder {
    /// Listens on `address`; `answer` answers all but the readers. It has a thread of its own: an
    /// attack that keeps its own thread busy is not to slow the origin down.
    pub(crate) async fn start(
        address: SocketAddr,
        answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = listen(address).await;
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            seen: Mutex::default(),
            pages: AtomicUsize::new(0),
        });
        let address = listener.local_addr().unwrap();
        let listener = listener.into_std().unwrap();
        let (running, ended) = oneshot::channel();
        let of_thread = Arc::clone(&shared);
        apart("origin", move || async {
            let listener = TcpListener::from_std(listener).unwrap();
            tokio::select! {
                () = accept(listener, of_thread) => {}
                _ = ended => {}
            }
        });
        Self {
            address,
            shared,
            _running: running,
        }
    }

    /// What came since this was last asked, the readers' good requests left out.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.shared.seen.lock())
    }

    /// How often [`PAGE`] was asked for.
    pub(crate) fn pages(&self) -> usize {
        self.shared.pages.load(SeqCst)
    }
}

/// Runs something to its end on a thread of its own, which has this name.
pub(crate) fn apart<F: Future<Output = ()>>(
    name: &str,
    work: impl FnOnce() -> F + Send + 'static,
) -> JoinHandle<()> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(work());
    };
    thread.spawn(run).unwrap()
}

/// The one before, in the same place, may be on its way out.
async fn listen(address: SocketAddr) -> TcpListener {
    let bind = async {
        loop {
            match TcpListener::bind(address).await {
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                bound => return bound.unwrap(),
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, bind).await.expect("a free address")
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut buffer = Vec::new();
    loop {
        let (seen, used) = match next(&mut stream, &mut buffer).await {
            Ok(found) => found,
            Err(fault) => {
                if !buffer.is_empty() {
                    let raw = std::mem::take(&mut buffer);
                    let (mut seen, _) = read(&raw).unwrap_or_default().unwrap_or_default();
                    seen.raw = raw;
                    seen.fault = Some(fault);
                    shared.record(seen);
                }
                return;
            }
        };
        buffer.drain(..used);
        shared.record(seen.clone());
        let reply = if seen.target.starts_with(READERS) {
            let content = format!("{}\n{}", seen.target, "read ".repeat(400));
            Reply::ok(content).field("cache-control", "max-age=600")
        } else {
            (shared.answer)(&seen)
        };
        if !reply.delay.is_zero() {
            sleep(reply.delay).await;
        }
        let bytes = reply.bytes(seen.method == "HEAD");
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

impl Shared {
    fn record(&self, seen: Seen) {
        if seen.target == PAGE {
            self.pages.fetch_add(1, SeqCst);
        }
        if seen.fault.is_some() || !seen.target.starts_with(READERS) {
            let mut all = self.seen.lock();
            if all.len() < KEPT_MAX {
                all.push(seen);
            }
        }
    }
}

/// The next request and how many bytes of the buffer it is.
async fn next(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<(Seen, usize), String> {
    loop {
        if let Some((mut seen, used)) = read(buffer)? {
            seen.raw = buffer[..used].to_vec();
            return Ok((seen, used));
        }
        match stream.read_buf(buffer).await {
            Ok(count) if count > 0 => {}
            _ => return Err(BROKEN_OFF.to_owned()),
        }
    }
}

/// The request at the start of `bytes`, if it is complete.
fn read(bytes: &[u8]) -> Result<Option<(Seen, usize)>, String> {
    let Some(end) = find(bytes, b"\r\n\r\n") else {
        let is_odd = bytes.split(|byte| *byte == b'\n').rev().skip(1);
        return match is_odd.into_iter().any(|line| !line.ends_with(b"\r")) {
            true => Err("a line that ends without CR".to_owned()),
            false => Ok(None),
        };
    };
    let mut seen = head(&bytes[..end])?;
    let body = &bytes[end + 4..];
    let lengths = seen
        .fields
        .iter()
        .filter(|(name, _)| name == "content-length");
    let codings = seen
        .fields
        .iter()
        .filter(|(name, _)| name == "transfer-encoding");
    let lengths: Vec<&str> = lengths.map(|(_, value)| value.as_str()).collect();
    let codings: Vec<&str> = codings.map(|(_, value)| value.as_str()).collect();
    let content = match (&lengths[..], &codings[..]) {
        ([], []) => Some((Vec::new(), 0)),
        ([length], []) if length.bytes().all(|c| c.is_ascii_digit()) && !length.is_empty() => {
            let length: usize = length.parse().map_err(|_| "a huge length")?;
            body.get(..length).map(|content| (content.to_vec(), length))
        }
        ([], ["chunked"]) => chunks(body)?,
        _ => return Err(format!("framing {lengths:?} {codings:?}")),
    };
    Ok(content.map(|(content, length)| {
        seen.content = content;
        (seen, end + 4 + length)
    }))
}

fn head(bytes: &[u8]) -> Result<Seen, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "a head that is no UTF-8")?;
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let words: Vec<&str> = line.split(' ').collect();
    let [method, target, "HTTP/1.1"] = words[..] else {
        return Err(format!("request line {line:?}"));
    };
    let is_token = |text: &str| {
        let is_of_token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
        !text.is_empty() && text.bytes().all(is_of_token)
    };
    let is_plain = |text: &str| !text.bytes().any(|c| c < b' ' && c != b'\t' || c == 0x7f);
    if !is_token(method) || target.is_empty() || !target.bytes().all(|c| c.is_ascii_graphic()) {
        return Err(format!("request line {line:?}"));
    }
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| format!("field line {line:?}"))?;
        if !is_token(name) || !is_plain(value) {
            return Err(format!("field line {line:?}"));
        }
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    if fields.iter().filter(|(name, _)| name == "host").count() != 1 {
        return Err("not one Host".to_owned());
    }
    Ok(Seen {
        method: method.to_owned(),
        target: target.to_owned(),
        fields,
        ..Seen::default()
    })
}

/// Chunked content and its length on the wire: no extension, no sign, no space.
fn chunks(body: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let (mut content, mut at) = (Vec::new(), 0);
    loop {
        let Some(end) = find(&body[at..], b"\r\n") else {
            return Ok(None);
        };
        let line = String::from_utf8_lossy(&body[at..at + end]).into_owned();
        if line.is_empty() || line.len() > 8 || !line.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err(format!("chunk size {line:?}"));
        }
        let size = usize::from_str_radix(&line, 16).map_err(|error| error.to_string())?;
        let data = at + end + 2;
        let Some(chunk) = body.get(data..data + size + 2) else {
            return Ok(None);
        };
        if !chunk.ends_with(b"\r\n") {
            return Err("a chunk without its end".to_owned());
        }
        at = data + size + 2;
        if size == 0 {
            return Ok(Some((content, at)));
        }
        content.extend(&chunk[..size]);
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[test]
fn the_origin_takes_nothing_for_a_request_that_might_be_another() {
    let good =
        b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nGET";
    let (seen, used) = read(good).unwrap().unwrap();
    assert_eq!(
        (seen.content.as_slice(), used),
        (&b"ab"[..], good.len() - 3)
    );
    assert!(
        read(b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nab")
            .unwrap()
            .is_none()
    );
    for text in [
        "GET /x HTTP/1.1\r\nhost: a\ncookie: b\r\n\r\n",
        "GET /x HTTP/1.1\nhost: a\n\n",
        "GET /x HTTP/1.1\r\nhost: a\r\nx: a\rb\r\n\r\n",
        "GET /x HTTP/1.1\r\nhost: a\r\nx: a\r\n b\r\n\r\n",
        "GET /x y HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /x HTTP/1.0\r\nhost: a\r\n\r\n",
        "GET /x HTTP/1.1\r\n\r\n",
        "GET /x HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length : 3\r\n\r\nabc",
        "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc",
        "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc",
        "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2;a=b\r\nab\r\n0\r\n\r\n",
        "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
    ] {
        assert!(read(text.as_bytes()).is_err(), "{text:?}");
    }
}
