//! Responses of real CMSs, recorded in `tests/fixtures/responses`: the head as it was, and content
//! of the length it had.

use super::origin::Reply;

/// One recorded exchange.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    pub(crate) target: String,
    /// What the request had besides what every request has.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    chunked: bool,
    pub(crate) content: Vec<u8>,
}

/// Fields of one connection, and the date, which is that of the replay.
const NOT_REPLAYED: [&str; 5] = [
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "date",
];

impl Recording {
    /// Reads `wagtail/api-detail` and its like.
    pub(crate) fn read(name: &str) -> Self {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/responses");
        let text = std::fs::read(format!("{folder}/{name}.txt")).unwrap();
        let text = String::from_utf8_lossy(&text).replace("\r\n", "\n");
        let (head, body) = text.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let mut words = lines.next().unwrap().split(" -H ");
        let request = words.next().unwrap().strip_prefix("> GET ").unwrap();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let all: Vec<(String, String)> = lines.filter_map(field).collect();
        let value = |name: &str| {
            let found = all.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        let length = body.strip_prefix("[body ").and_then(|rest| {
            let (length, _) = rest.split_once(' ')?;
            length.parse().ok()
        });
        let length = value("content-length")
            .map_or_else(|| length.unwrap_or(0), |length| length.parse().unwrap());
        let is_json = value("content-type").is_some_and(|media| media.contains("json"));
        Self {
            target: request.trim_end().to_owned(),
            fields: words.filter_map(field).collect(),
            status: status.parse().unwrap(),
            chunked: value("transfer-encoding").is_some(),
            content: content(length, is_json),
            headers: all
                .into_iter()
                .filter(|(name, _)| !NOT_REPLAYED.contains(&&**name))
                .collect(),
        }
    }

    pub(crate) fn reply(&self) -> Reply {
        let mut reply = if self.chunked {
            let text = String::from_utf8(self.content.clone()).unwrap();
            let chunks = [&*text];
            Reply::chunked(if text.is_empty() { &[] } else { &chunks })
        } else {
            Reply::ok(self.content.clone())
        };
        for (name, value) in &self.headers {
            reply = reply.header(name, value);
        }
        reply.with_status(self.status)
    }
}

fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_ascii_lowercase(), value.trim().to_owned()))
}

/// `length` bytes that are JSON if they should be.
fn content(length: usize, is_json: bool) -> Vec<u8> {
    let mut content = if is_json && length >= 8 {
        let mut content = b"{\"a\":\"".to_vec();
        content.resize(length - 2, b'x');
        content.extend_from_slice(b"\"}");
        content
    } else {
        Vec::new()
    };
    content.resize(length, b'x');
    content
}
