//! Which rules apply to a request: the first route, in file order, that matches host, path and
//! method.

pub mod bypass;
pub mod compress;
pub mod pattern;
pub mod tags;

use http::Method;
use http::header::HeaderName;

pub use self::bypass::BypassRule;
pub use self::compress::CompressRule;
pub use self::pattern::{Captures, HostPattern, PathPattern};
pub use self::tags::TagRule;
use crate::key::{Fingerprint, KeyRule, TargetUri, VaryRule};
use crate::policy::CacheRule;
use crate::switches::{RouteSwitch, Switches};

/// One route with its rules.
#[derive(Clone, Debug)]
pub struct Route {
    pub name: Box<str>,
    /// Its place in the table; metrics are kept by it.
    pub index: usize,
    pub hosts: Vec<HostPattern>,
    pub path: PathPattern,
    /// Empty: all methods.
    pub methods: Vec<Method>,
    /// Index of the upstream.
    pub upstream: usize,
    /// Nothing: all requests are forwarded and nothing is stored.
    pub cache: Option<CacheRule>,
    pub key: KeyRule,
    pub vary: VaryRule,
    pub bypass: BypassRule,
    /// Request fields that reach the origin; empty: all but the known poisoning vectors.
    pub forward_headers: Vec<HeaderName>,
    /// Whether parameters that do not count reach the origin all the same.
    pub forward_dropped: bool,
    pub tags: TagRule,
    pub compress: CompressRule,
    /// Bytes of a request's content; nothing: what the server allows.
    pub request_body_max: Option<u64>,
    /// Protocols that clients may switch to (RFC 9110 §7.8); empty: none.
    pub upgrades: Vec<Box<str>>,
    /// Whether clients are told the cache key.
    pub cache_status_key: bool,
    /// What an operator turns off while the program runs.
    pub switch: RouteSwitch,
}

impl Route {
    /// Whether `Surrogate-Control` is meant for us here.
    pub fn hears_surrogate_control(&self) -> bool {
        self.cache
            .as_ref()
            .is_some_and(|rule| rule.surrogate_control)
    }

    /// How responses are compressed now.
    pub fn compression(&self) -> &CompressRule {
        if self.switch.compression() {
            &self.compress
        } else {
            &compress::OFF
        }
    }
}

impl Route {
    /// The rules that decide which request a stored response answers, how purges find it, what the
    /// origin was asked, and what is too private to be stored: a response that was stored by others
    /// must not be found. Lifetimes are not among them, nor is where the servers of the upstream are, whose name is given here.
    ///
    /// It is taken of the rules as they are written for debugging, which is the same text for the
    /// same rules in one build of the program. Instances of another build may not find what this one
    /// has put into a store that they share, and fetch it anew.
    pub fn fingerprint(&self, upstream: &str) -> Fingerprint {
        let tags = &self.tags;
        let bodies: Vec<String> = tags.body.iter().map(ToString::to_string).collect();
        // Templates name captures of the path.
        let path = (!tags.templates.is_empty()).then_some(&self.path);
        let KeyRule {
            rules: _,
            query,
            language,
            cookies,
            fields,
        } = &self.key;
        let key = (query, language, cookies, fields, &self.vary);
        let tags = (
            &tags.templates,
            &tags.fields,
            bodies,
            &tags.body_prefix,
            path,
        );
        let asked = (upstream, &self.forward_headers, self.forward_dropped);
        let cache = self.cache.as_ref();
        let strict = cache.map(|rule| (rule.strict_private, rule.surrogate_control, rule.profile));
        let private = (&self.bypass, strict);
        Fingerprint::of(&format!("{key:?} {tags:?} {asked:?} {private:?}"))
    }
}

/// All routes.
#[derive(Debug, Default)]
pub struct RouteTable {
    routes: Vec<Route>,
}

/// Why no route matched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoRoute {
    /// No route has this host: 421.
    Host,
    /// Routes have the host, none the path: 404.
    Path,
    /// Routes have host and path, none the method: 405.
    Method,
}

impl RouteTable {
    /// Routes in the order in which they are tried. Their `index` is set here.
    pub fn new(routes: impl IntoIterator<Item = Route>) -> Self {
        let routes = routes
            .into_iter()
            .enumerate()
            .map(|(index, route)| Route { index, ..route })
            .collect();
        Self { routes }
    }

    /// The same routes, which ask the process's switches instead of ones that are always on.
    #[must_use]
    pub fn with_switches(mut self, switches: &Switches) -> Self {
        let names = self.routes.iter().map(|route| &*route.name);
        let of_routes = switches.for_routes(names);
        for (route, switch) in self.routes.iter_mut().zip(of_routes) {
            route.switch = switch;
        }
        self
    }

    /// # Errors
    /// Says how far the nearest route matched.
    pub fn find(&self, target: &TargetUri, method: &Method) -> Result<&Route, NoRoute> {
        let mut nearest = NoRoute::Host;
        for route in &self.routes {
            if !route.hosts.iter().any(|host| host.matches(target.host())) {
                continue;
            }
            if !route.path.matches(target.path()) {
                if nearest == NoRoute::Host {
                    nearest = NoRoute::Path;
                }
                continue;
            }
            if route.methods.is_empty() || route.methods.contains(method) {
                return Ok(route);
            }
            nearest = NoRoute::Method;
        }
        Err(nearest)
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Route> {
        self.routes.iter()
    }

    /// The queries, normalised by every route that has this host and path, that a purge of
    /// `path?query` must name. An empty host means any.
    pub fn normal_queries(&self, host: &str, path: &str, query: &str) -> Vec<String> {
        let mut queries = Vec::new();
        for route in &self.routes {
            let is_host = host.is_empty() || route.hosts.iter().any(|rule| rule.matches(host));
            if is_host && route.path.matches(path) {
                let mut text = String::new();
                route.key.query.write(Some(query), &mut text);
                let normal = text.strip_prefix('?').unwrap_or(&text).to_owned();
                if !queries.contains(&normal) {
                    queries.push(normal);
                }
            }
        }
        queries
    }
}
