//! `[server]` and `[[certificate]]`: the sides that clients see.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::clients::clients;
use super::describe::{Presence, Sample, Style};
use super::lifecycle::Lifecycle;
use super::limits;
use super::reader::Files;
use super::section::{Section, Wrong, default, required};
use crate::route::HostPattern;
use crate::server::clients::Clients;
use crate::server::tls::{Certificate, Pem};
use crate::server::{HttpMode, Limits};

#[derive(Clone, Debug)]
pub struct Server {
    pub https: Vec<SocketAddr>,
    pub http: Vec<SocketAddr>,
    pub http_mode: HttpMode,
    pub clients: Clients,
    pub limits: Limits,
    /// Bytes.
    pub request_body_max: usize,
    /// Bytes.
    pub work_memory: usize,
    /// Tunnels of other protocols at a time, and how long nothing may move in one.
    pub upgrades_max: usize,
    pub upgrade_idle_timeout: Duration,
    /// 0: one per core.
    pub workers: usize,
    pub lifecycle: Lifecycle,
}

const SERVER: &str = "The public listeners and what a client may ask of them.";

impl Server {
    pub(super) fn read(parent: &Section<'_>) -> Self {
        let s = parent.section("server", SERVER);
        let (https, http, http_mode) = listeners(&s);
        Self {
            https,
            http,
            http_mode,
            clients: clients(&s),
            limits: limits::read(&s),
            request_body_max: s.size(
                "request_body_max",
                "16MiB",
                "0B"..="64GiB",
                "Bytes of a request's body that are passed on to the CMS; more is answered 413. \
                 Uploads of editors must fit in it.",
            ),
            work_memory: s.size(
                "work_memory",
                "512MiB",
                "16MiB"..="1TiB",
                "Bytes for work in progress, beside cache.memory: open connections (16KiB each) \
                 and what they hold, exchanges with the CMS (64KiB each), responses that are being \
                 fetched into the cache or wait for their client. From three quarters on nothing \
                 more is fetched into the cache: misses are answered stale or passed on. When it \
                 is used up, what needs the CMS is answered 503 and new connections are closed; \
                 hits are still served.",
            ),
            upgrades_max: s.count(
                "upgrades_max",
                1000,
                0..=1_000_000,
                "Tunnels (WebSocket) that may be open, all routes together; a request for one more \
                 is answered 503. They count as connections too, end with `drain`, and hold no place \
                 of an upstream's `concurrency`. 0: none, whatever the routes allow.",
            ),
            upgrade_idle_timeout: s.duration(
                "upgrade_idle_timeout",
                "5m",
                "100ms"..="24h",
                "How long nothing may move in a tunnel before it is closed; noticed up to a \
                 quarter late. Short: quiet sockets must send pings. Long: those whose clients \
                 have vanished keep their place.",
            ),
            workers: s.count(
                "workers",
                0,
                0..=1024,
                "Threads that serve requests. 0 is one per core; more only adds switching.",
            ),
            lifecycle: Lifecycle::read(&s),
        }
    }
}

fn listeners(s: &Section<'_>) -> (Vec<SocketAddr>, Vec<SocketAddr>, HttpMode) {
    let https = s.addresses(
        "https",
        &[],
        "Addresses with TLS (HTTP/2 and HTTP/1.1). Each needs a [[certificate]]. Empty: no TLS, \
         which is right only behind something that ends TLS.",
    );
    let http = s.addresses(
        "http",
        &["127.0.0.1:8080"],
        "Addresses without TLS. \"0.0.0.0:80\" is every interface; a loopback address is reached \
         from this machine only.",
    );
    let redirects = s.choice(
        "http_mode",
        false,
        &[("serve", false), ("redirect", true)],
        "What the addresses without TLS do: answer, or send every client to https (301 for GET \
         and HEAD, 308 otherwise). Webhooks and PURGE requests are answered in both cases: their \
         senders do not follow redirects.",
    );
    let redirect_port = s.integer(
        "redirect_port",
        443,
        1..=65_535,
        "The port in the redirect to https: the one that clients reach, which a port mapping may \
         make another than the listener's.",
    );
    let http_mode = if redirects {
        let port = bounded(redirect_port);
        HttpMode::Redirect { port }
    } else {
        HttpMode::Serve
    };
    (https, http, http_mode)
}

const CERTIFICATE: &str = "A certificate for the https listeners. The first is the default for \
    clients that name no host or an unknown one. A request for a host that another certificate \
    than its connection's is for is answered 421, and browsers try again.";

const FILE: &str = "the path of a PEM file";

/// In the order of the file.
pub(super) fn certificates(parent: &Section<'_>) -> Vec<Certificate> {
    let sections = parent.array("certificate", Style::OptionalArray, CERTIFICATE);
    let read = |s: &Section<'_>| Certificate {
        cert_pem: pem(
            s,
            "cert",
            "/etc/cms-edge/tls/fullchain.pem",
            Content::Certificate,
            "The certificate and its chain, leaf first.",
        ),
        key_pem: pem(
            s,
            "key",
            "/etc/cms-edge/tls/privkey.pem",
            Content::Key,
            "Its private key, readable by nobody else.",
        ),
        hosts: s.list(
            "hosts",
            Presence::Default(Sample::List(&[])),
            "a host name like \"www.example.org\" or \"*.example.org\"",
            "The names it is used for; empty is the names that stand in it.",
            |text| match HostPattern::parse(text) {
                Ok(HostPattern::Any) | Err(_) => Err(Wrong::default()),
                Ok(host) => Ok(host.to_string()),
            },
        ),
    };
    sections.iter().map(read).collect()
}

fn pem(
    s: &Section<'_>,
    name: &'static str,
    example: &'static str,
    content: Content,
    doc: &'static str,
) -> Pem {
    let path = s.text(name, required(example), FILE, doc, |text| {
        s.file(text, content)
    });
    Pem::File(path.unwrap_or_default())
}

/// What must be in a file that the settings name.
#[derive(Clone, Copy)]
pub(super) enum Content {
    Certificate,
    Key,
}

impl Section<'_> {
    /// The path from the folder of the settings, after a look into the file.
    pub(super) fn file(&self, text: &str, content: Content) -> Result<PathBuf, Wrong> {
        if text.is_empty() {
            return Err(Wrong::default());
        }
        let path = self.reader.folder.join(text);
        if self.reader.files == Files::Check && !self.reader.is_describing() {
            look_into(&path, content).map_err(Wrong::because)?;
        }
        Ok(path)
    }
}

/// A chain of certificates is some KiB; all roots of a system are some hundred.
const PEM_BYTES_MAX: u64 = 4 << 20;

fn look_into(path: &Path, content: Content) -> Result<(), String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(PEM_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(|error| super::reason(&error))?;
    let (is_there, lack) = match content {
        Content::Certificate => (
            CertificateDer::from_pem_slice(&bytes).is_ok(),
            "there is no certificate in it",
        ),
        Content::Key => (
            PrivateKeyDer::from_pem_slice(&bytes).is_ok(),
            "there is no private key in it",
        ),
    };
    if is_there {
        Ok(())
    } else {
        Err(lack.to_owned())
    }
}

/// A number that its key's range keeps within the type.
pub(super) fn bounded<T: TryFrom<u64> + Default>(number: u64) -> T {
    T::try_from(number).unwrap_or_default()
}

/// An optional path: "" is none.
pub(super) fn optional_file(
    s: &Section<'_>,
    name: &'static str,
    content: Content,
    doc: &'static str,
) -> Option<PathBuf> {
    let form = "\"\", or the path of a PEM file";
    let taken = s.text(name, default(""), form, doc, |text| match text {
        "" => Ok(None),
        text => s.file(text, content).map(Some),
    });
    taken.flatten()
}
