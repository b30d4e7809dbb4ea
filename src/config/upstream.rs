//! `[upstream.NAME]`: the CMS, and how much of it is asked at once.

use std::path::PathBuf;
use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{HeaderValue, Uri};

use super::connecting::{self, ClientCertificate};
use super::describe::{Presence, Sample};
use super::interpolate;
use super::section::{Section, Wrong, default, hidden_text};
use super::server::{Content, bounded, optional_file};
use crate::fetch::{Address, Care, Connecting, HostRule, Settings};
use crate::route::pattern::is_host;

/// A CMS by its name.
#[derive(Clone, Debug)]
pub struct Upstream {
    pub name: String,
    /// Its `ca` and client certificate are not read yet.
    pub settings: Settings,
    /// `None`: the system's roots.
    pub ca: Option<PathBuf>,
    /// Not read yet.
    pub client_certificate: Option<ClientCertificate>,
}

const UPSTREAM: &str = "A CMS, by a name that routes use. Several servers are copies of one CMS.";

/// In the order of their names.
pub(super) fn upstreams(parent: &Section<'_>) -> Vec<Upstream> {
    let sections = parent.named_sections("upstream", "cms", UPSTREAM);
    sections
        .into_iter()
        .map(|(name, s)| {
            if !super::is_name(&name) {
                let found = format!("an upstream called {name:?}");
                s.reader.object(&s.path, &found, super::NAME);
            }
            read(name, &s)
        })
        .collect()
}

fn read(name: String, s: &Section<'_>) -> Upstream {
    let servers = servers(s);
    let host = host(s);
    let [
        connect_timeout,
        first_byte_timeout,
        idle_timeout,
        keepalive,
        queue_timeout,
    ] = patience(s);
    let mut settings = Settings {
        servers,
        host,
        connect_timeout,
        first_byte_timeout,
        idle_timeout,
        keepalive,
        queue_timeout,
        pool_idle_max: s.count(
            "pool_idle_max",
            64,
            0..=10_000,
            "Idle connections kept per server. 0: a new connection for each request.",
        ),
        concurrency: s.count(
            "concurrency",
            128,
            1..=100_000,
            "Requests that the CMS is asked at once, all servers together. Low: requests queue \
             while the CMS idles. High: a cold cache falls on the CMS all at once.",
        ),
        queue: s.count(
            "queue",
            1024,
            0..=1_000_000,
            "Requests that may wait for a place. Beyond it they are answered 503 (or stale) at \
             once; 0 never waits.",
        ),
        retries: bounded(s.integer(
            "retries",
            1,
            0..=10,
            "How often a request that may be repeated is sent to another server (or again) after \
             a failed connection. Each is load on a CMS in trouble.",
        )),
        ca: None,
        connecting: Connecting::default(),
        stale_wait: s.duration(
            "stale_wait",
            "5s",
            "0s"..="1h",
            "How long a visitor who could have a stale copy waits for the CMS; then that is served, \
             and the request to the CMS goes on. 0s: as long as anybody.",
        ),
        care: Care::default(),
    };
    let ca = authorities(s);
    let (connecting, client_certificate) = connecting::read(s);
    settings.connecting = connecting;
    settings.care = super::care::care(s, &mut settings.servers);
    Upstream {
        name,
        settings,
        ca,
        client_certificate,
    }
}

fn authorities(s: &Section<'_>) -> Option<PathBuf> {
    optional_file(
        s,
        "ca",
        Content::Certificate,
        "The authorities that may sign the certificates of https servers. Empty: those of the \
         system. A certificate that does not check out is never taken.",
    )
}

pub(super) const SERVER_FORM: &str =
    "a URL of scheme, host and port like \"http://127.0.0.1:8000\", or \"unix:/run/cms.sock\"";

fn servers(s: &Section<'_>) -> Vec<Address> {
    let servers = s.list(
        "servers",
        Presence::Either(Sample::List(&["http://127.0.0.1:8000"]), "server"),
        SERVER_FORM,
        "Where the CMS is. https servers must have a certificate for their host. unix: is a socket \
         in the file system; it is spoken to without TLS, and its name is localhost. ${NAME} is the \
         value of a variable. Servers with weights have tables instead, [[upstream.NAME.server]].",
        |text| filled_server(s, text),
    );
    if s.is_given("servers") {
        if servers.is_empty() {
            s.object("servers", "an empty list", "at least one server");
        }
        let twice = |(at, server): (usize, &Address)| {
            servers.iter().take(at).any(|earlier| earlier == server)
        };
        if servers.iter().enumerate().any(twice) {
            s.object("servers", "one server twice", "each server once");
        }
    }
    servers
}

/// A server in whose URL `${NAME}` is the value of a variable.
pub(super) fn filled_server(s: &Section<'_>, text: &str) -> Result<Address, Wrong> {
    server(&interpolate::fill(text, &s.reader.environment)?)
}

fn server(text: &str) -> Result<Address, Wrong> {
    if let Some(path) = text.strip_prefix("unix:") {
        return socket(path);
    }
    // A URL with a password in it must not be shown.
    if text.contains('@') {
        return Err(Wrong {
            found: Some(format!("{} with an @", hidden_text(text))),
            ..Wrong::default()
        });
    }
    let parts = text
        .parse::<Uri>()
        .map_err(|_| Wrong::default())?
        .into_parts();
    let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
        return Err(Wrong::default());
    };
    if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
        return Err(Wrong::because("the scheme is neither http nor https"));
    }
    let port = authority.as_str().strip_prefix(authority.host());
    let port = port.filter(|port| port.is_empty() || authority.port_u16().is_some());
    if port.is_none() || authority.port_u16() == Some(0) || !is_host(authority.host()) {
        return Err(Wrong::because("host or port is none"));
    }
    if parts.path_and_query.is_some_and(|path| path != "/") {
        return Err(Wrong::because("nothing may stand behind the port"));
    }
    Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query("/")
        .build()
        .map(Address::Url)
        .map_err(|error| Wrong::because(error.to_string()))
}

/// Bytes of a path that a socket address has room for (`sun_path` of Linux, with its last zero).
const SOCKET_PATH_BYTES_MAX: usize = 107;

fn socket(path: &str) -> Result<Address, Wrong> {
    if !path.starts_with('/') || path.starts_with("//") || path.ends_with('/') {
        return Err(Wrong::because("behind unix: stands an absolute path"));
    }
    if path.len() > SOCKET_PATH_BYTES_MAX || path.contains('\0') {
        return Err(Wrong::because("no socket can have this path"));
    }
    Ok(Address::Unix(path.into()))
}

fn host(s: &Section<'_>) -> HostRule {
    let host = s.text(
        "host",
        default("preserve"),
        "\"preserve\", \"upstream\" or a host like \"cms.example.org\"",
        "The Host that the CMS sees: the client's, that of the server's URL, or always this one. \
         With another than the client's, links that the CMS makes from Host point there.",
        |text| match text {
            "preserve" => Ok(HostRule::Preserve),
            "upstream" => Ok(HostRule::Upstream),
            name => match name.parse::<Authority>() {
                Ok(authority) if is_host(authority.host()) && !name.contains('@') => {
                    let value = HeaderValue::from_str(name).map_err(|_| Wrong::default())?;
                    Ok(HostRule::Literal(value))
                }
                _ => Err(Wrong::default()),
            },
        },
    );
    host.unwrap_or(HostRule::Preserve)
}

fn patience(s: &Section<'_>) -> [Duration; 5] {
    [
        s.duration(
            "connect_timeout",
            "2s",
            "10ms"..="10m",
            "How long a connection may take to open. Short: a busy server counts as failed. Long: \
             a dead one holds its clients up.",
        ),
        s.duration(
            "first_byte_timeout",
            "30s",
            "10ms"..="1h",
            "How long the CMS may take to begin its answer, and the client to send what it \
             uploads before (408). Short: slow pages fail (or are \
             answered stale). Long: a CMS that hangs fills `concurrency`.",
        ),
        s.duration(
            "idle_timeout",
            "30s",
            "10ms"..="1h",
            "How long the CMS may pause between two pieces of a body before it counts as broken. A \
             stream of server-sent events must say something, if only a comment, more often.",
        ),
        s.duration(
            "keepalive",
            "50s",
            "0s"..="1h",
            "How long an idle connection is kept. It must be shorter than the CMS keeps it, or \
             requests meet a connection that is just being closed.",
        ),
        s.duration(
            "queue_timeout",
            "10s",
            "0s"..="10m",
            "How long a request may wait for a place before it is answered 503 (or stale).",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_scheme_host_and_port() {
        for text in [
            "http://127.0.0.1:8000",
            "https://cms.example.org",
            "http://[::1]:80/",
            "unix:/run/cms.sock",
        ] {
            assert!(server(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "127.0.0.1:8000",
            "ftp://a",
            "http://a/b",
            "http://a?b",
            "http://a:0",
            "http://a:",
            "http://a:99999",
            "http://",
            "unix:",
            "unix:run/cms.sock",
            "unix:/run/",
            "unix://localhost",
        ] {
            assert!(server(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        let wrong = server("http://admin:hunter2@cms").unwrap_err();
        assert_eq!(
            wrong.found.as_deref(),
            Some("a text of 24 characters with an @")
        );
    }
}
