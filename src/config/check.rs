//! What must hold between sections. Each check speaks only where what it compares could be read:
//! one slip is one mistake.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::file::Config;
use super::key_path::KeyPath;
use super::reader::Reader;
use super::shadow::{Reach, covers};
use crate::route::Route;
use crate::server::HttpMode;

pub(super) fn check(config: &Config, reader: &Reader) {
    let check = Check {
        config,
        reader,
        root: KeyPath::root(),
    };
    check.certificates();
    check.redirect();
    check.addresses();
    check.admin();
    check.hsts();
    check.purge();
    check.memory();
    check.upstreams();
    check.route_names();
    check.shadows();
    check.webhooks();
}

/// What the list that browsers ship with asks for.
const PRELOAD_MIN: Duration = Duration::from_secs(365 * 24 * 3600);

/// Less memory would hold nothing worth while.
const MEMORY_MIN: usize = 1 << 20;

struct Check<'a> {
    config: &'a Config,
    reader: &'a Reader,
    root: KeyPath,
}

impl Check<'_> {
    fn certificates(&self) {
        let https = self.root.key("server").key("https");
        let certificate = self.root.key("certificate");
        if !self.are_sound(&[&https, &certificate]) {
            return;
        }
        let has_https = !self.config.server.https.is_empty();
        let has_certificates = !self.config.certificates.is_empty();
        if has_https && !has_certificates {
            let found = "https listeners without a certificate";
            let allowed = "no address, or at least one [[certificate]]";
            self.reader.object(&https, found, allowed);
        }
        if has_certificates && !has_https {
            let found = "a certificate without https listeners";
            let allowed = "no [[certificate]], or an address in server.https";
            self.reader.object(&certificate.index(0), found, allowed);
        }
    }

    fn memory(&self) {
        let memory = self.root.key("cache").key("memory");
        let url = self.root.key("redis").key("url");
        if !self.are_sound(&[&memory, &url]) {
            return;
        }
        match self.config.cache.memory.bytes_max {
            0 if self.config.redis.url().is_none() => {
                let found = "no memory and no Redis";
                self.reader
                    .object(&memory, found, "at least \"1MiB\", or a redis.url");
            }
            1..MEMORY_MIN => {
                let allowed = "\"0B\", or at least \"1MiB\"";
                self.reader.object(&memory, "less than \"1MiB\"", allowed);
            }
            _ => {}
        }
    }

    fn redirect(&self) {
        let server = self.root.key("server");
        let mode = server.key("http_mode");
        let https = server.key("https");
        let redirects = self.config.server.http_mode != HttpMode::Serve;
        if redirects && self.config.server.https.is_empty() && self.are_sound(&[&mode, &https]) {
            let found = "\"redirect\" without https listeners";
            let allowed = "\"serve\", or an address in server.https";
            self.reader.object(&mode, found, allowed);
        }
    }

    /// Two sockets on one address: the second cannot be bound.
    fn addresses(&self) {
        let server = self.root.key("server");
        let (https, http) = (server.key("https"), server.key("http"));
        let admin = self.root.key("admin").key("listen");
        if !self.are_sound(&[&https, &http, &admin]) {
            return;
        }
        let config = &self.config.server;
        if config.https.is_empty() && config.http.is_empty() {
            let allowed = "at least one address in server.http or server.https";
            self.reader
                .object(&http, "no address to listen on", allowed);
        }
        let listed = |key: &KeyPath, addresses: &[SocketAddr]| {
            let path = |(at, address): (usize, &SocketAddr)| (key.index(at), *address);
            addresses.iter().enumerate().map(path).collect::<Vec<_>>()
        };
        let mut all = listed(&https, &config.https);
        all.extend(listed(&http, &config.http));
        all.push((admin, self.config.admin.listen));
        for (at, (path, address)) in all.iter().enumerate() {
            let mut earlier = all.iter().take(at);
            if let Some((other, same)) = earlier.find(|(_, other)| collide(*other, *address)) {
                let found = format!("{address}, which collides with {same} of {other}");
                let allowed = "an address that no other listener has";
                self.reader.object(path, &found, allowed);
            }
        }
    }

    fn admin(&self) {
        let admin = self.root.key("admin");
        let (listen, token) = (admin.key("listen"), admin.key("token"));
        let address = self.config.admin.listen;
        let [cert, key, client_ca] = ["tls_cert", "tls_key", "client_ca"].map(|key| admin.key(key));
        let tls = &self.config.admin.tls;
        let is_guarded = self.config.admin.token.is_some() || tls.client_ca.is_some();
        let is_open = !address.ip().is_loopback() && !is_guarded;
        if is_open && self.are_sound(&[&listen, &token, &client_ca]) {
            let found = format!("{address}, which others reach, without a token");
            let allowed = "a loopback address like \"127.0.0.1:9090\", an admin.token, or an \
                admin.client_ca";
            self.reader.object(&listen, &found, allowed);
        }
        if !self.are_sound(&[&cert, &key, &client_ca]) {
            return;
        }
        match (&tls.cert, &tls.key) {
            (Some(_), None) => {
                let found = "a certificate without its key";
                self.reader
                    .object(&cert, found, "\"\", or also an admin.tls_key");
            }
            (None, Some(_)) => {
                let found = "a key without its certificate";
                self.reader
                    .object(&key, found, "\"\", or also an admin.tls_cert");
            }
            (None, None) if tls.client_ca.is_some() => {
                let found = "client certificates without TLS";
                let allowed = "\"\", or also an admin.tls_cert and an admin.tls_key";
                self.reader.object(&client_ca, found, allowed);
            }
            _ => {}
        }
    }

    /// The terms of the list that browsers ship with (hstspreload.org).
    fn hsts(&self) {
        let tls = self.root.key("tls");
        let [hsts, subdomains, preload] =
            ["hsts", "hsts_include_subdomains", "hsts_preload"].map(|key| tls.key(key));
        let Some(hsts_is) = self.config.tls.hsts else {
            return;
        };
        let is_met = hsts_is.include_subdomains && hsts_is.max_age >= PRELOAD_MIN;
        if hsts_is.preload && !is_met && self.are_sound(&[&hsts, &subdomains, &preload]) {
            let found = "true, without what the list asks for";
            let allowed = "false, or tls.hsts of at least \"365d\" and hsts_include_subdomains";
            self.reader.object(&preload, found, allowed);
        }
    }

    fn purge(&self) {
        let purge = self.root.key("purge");
        let protocols = purge.key("protocols");
        let paths = [&protocols, &purge.key("allow_from"), &purge.key("token")];
        let rule = &self.config.purge;
        let nobody = rule.allow_from.is_empty() && rule.token.is_none();
        if rule.protocols && nobody && self.are_sound(&paths) {
            let found = "true, with nobody in allow_from and no token";
            let allowed = "false, or a network in purge.allow_from, or a purge.token";
            self.reader.object(&protocols, found, allowed);
        }
    }

    fn upstreams(&self) {
        let upstream = self.root.key("upstream");
        if self.config.upstreams.is_empty() {
            let allowed = "at least one [upstream.NAME]";
            self.reader.object(&upstream, "no upstream", allowed);
        }
    }

    fn route_names(&self) {
        let route = self.root.key("route");
        if self.config.routes.is_empty() {
            let allowed = "at least one [[route]]";
            self.reader.object(&route, "no route", allowed);
        }
        let names = self.config.routes.iter().map(|route| &*route.name);
        self.unique(&route, "name", names);
    }

    fn shadows(&self) {
        let route = self.root.key("route");
        let is_readable = |index: usize| {
            let route = route.index(index);
            let keys = ["hosts", "path", "methods"].map(|key| route.key(key));
            keys.iter().all(|key| self.reader.is_sound(key))
        };
        let routes = &self.config.routes;
        let readable: Vec<(usize, &Route)> = routes
            .iter()
            .enumerate()
            .filter(|(index, _)| is_readable(*index))
            .collect();
        for (at, (index, later)) in readable.iter().enumerate() {
            let mut earlier = readable.iter().take(at);
            let wider = earlier.find(|(_, earlier)| covers(reach(earlier), reach(later)));
            if let Some((other, wider)) = wider {
                let found = format!(
                    "a route that never matches: route[{other}] {:?} takes its requests",
                    wider.name
                );
                let allowed = "a route before the wider one, or for other requests";
                let path = route.index(*index);
                self.reader.report(&path, found, allowed.to_owned(), None);
            }
        }
    }

    fn webhooks(&self) {
        let webhook = self.root.key("webhook");
        let names = self.config.webhooks.iter().map(|one| &*one.name);
        self.unique(&webhook, "name", names);
        let paths = self.config.webhooks.iter().map(|one| &*one.path);
        self.unique(&webhook, "path", paths);
    }

    fn unique<'a>(&self, list: &KeyPath, key: &str, values: impl Iterator<Item = &'a str>) {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, value) in values.enumerate() {
            let path = list.index(index).key(key);
            if !self.reader.is_sound(&path) {
                continue;
            }
            match seen.get(value) {
                Some(first) => {
                    let found = format!("{value:?}, as in {list}[{first}]");
                    self.reader
                        .object(&path, &found, "a text that no other has");
                }
                None => {
                    seen.insert(value, index);
                }
            }
        }
    }

    fn are_sound(&self, paths: &[&KeyPath]) -> bool {
        paths.iter().all(|path| self.reader.is_sound(path))
    }
}

fn reach(route: &Route) -> Reach<'_> {
    Reach {
        hosts: &route.hosts,
        path: &route.path,
        methods: &route.methods,
    }
}

/// One port, and one address or every address of the same family. Port 0 is a new one each time.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let every = |ip: IpAddr| ip.is_unspecified();
    let same_family = a.is_ipv4() == b.is_ipv4();
    a.port() == b.port()
        && a.port() != 0
        && same_family
        && (a.ip() == b.ip() || every(a.ip()) || every(b.ip()))
}
