//! From what the operator wrote to the settings that each room takes.

use std::path::Path;

use http::header::HeaderName;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use thiserror::Error;

use super::file::{self, Config};
use crate::admin;
use crate::fetch;
use crate::key;
use crate::policy;
use crate::proxy;
use crate::purge;
use crate::purge::secret::Token;
use crate::respond::head;
use crate::route::{self, Route, RouteTable};
use crate::server::{self, tls};
use crate::store;

/// What the checks of a configuration let pass and a room refuses all the same.
#[derive(Debug, Error)]
pub enum Refused {
    #[error("route `{route}`: {reason}")]
    Route { route: String, reason: String },
    #[error("upstream `{upstream}`: {reason}")]
    Upstream { upstream: String, reason: String },
}

impl Config {
    pub fn server(&self) -> server::Settings {
        let server = &self.server;
        let certificates: Vec<tls::Certificate> = self
            .certificates
            .iter()
            .map(|certificate| tls::Certificate {
                cert_pem: tls::Pem::File(certificate.cert.clone()),
                key_pem: tls::Pem::File(certificate.key.clone()),
                hosts: certificate.hosts.iter().map(ToString::to_string).collect(),
            })
            .collect();
        let tls = tls::Settings {
            certificates,
            min_version: match self.tls.min_version {
                file::TlsVersion::V12 => tls::MinVersion::Tls12,
                file::TlsVersion::V13 => tls::MinVersion::Tls13,
            },
        };
        server::Settings {
            https: server.https.clone(),
            http: server.http.clone(),
            http_mode: match server.http_mode {
                file::HttpMode::Serve => server::HttpMode::Serve,
                file::HttpMode::Redirect => server::HttpMode::Redirect {
                    port: server.redirect_port,
                },
            },
            tls: (!tls.certificates.is_empty()).then_some(tls),
            limits: server::Limits {
                drain: server.drain,
                tls_handshake_timeout: server.tls_handshake_timeout,
                header_timeout: server.header_timeout,
                idle_timeout: server.idle_timeout,
                connections_max: server.connections_max,
                streams_max: server.streams_max,
                headers_max: server.headers_max,
                header_bytes_max: server.header_bytes_max,
            },
        }
    }

    /// The admin listener: plaintext, with the public listeners' limits.
    pub fn admin_server(&self) -> server::Settings {
        server::Settings {
            https: Vec::new(),
            http: vec![self.admin.listen],
            http_mode: server::HttpMode::Serve,
            tls: None,
            limits: self.server().limits,
        }
    }

    pub fn admin(&self) -> admin::Settings {
        admin::Settings {
            token: self.admin.token.as_ref().and_then(token),
        }
    }

    pub const fn memory(&self) -> store::memory::Settings {
        store::memory::Settings {
            bytes_max: self.cache.memory,
            variants_max: self.cache.variants_max,
        }
    }

    /// `cores`: how many the machine gives us.
    pub const fn limits(&self, cores: usize) -> proxy::Limits {
        proxy::Limits {
            request_body_max: self.server.request_body_max as u64,
            fills_max: self.cache.fills_max,
            coders_max: cores,
        }
    }

    pub const fn purge_targets(&self) -> purge::target::Settings {
        purge::target::Settings {
            any_query: self.purge.any_query,
            slash_variants: self.purge.slash_variants,
        }
    }

    /// The purge protocols of the public listeners; nothing where they are off.
    pub fn protocol(&self) -> Option<purge::protocol::Settings> {
        self.purge.protocols.then(|| purge::protocol::Settings {
            allow_from: self.purge.allow_from.clone(),
            token: self.purge.token.as_ref().and_then(token),
        })
    }

    /// # Errors
    /// A file of certificates that cannot be read.
    pub fn upstreams(&self) -> Result<Vec<(String, fetch::Settings)>, Refused> {
        self.upstreams
            .iter()
            .map(|upstream| {
                let settings = fetch_settings(upstream).map_err(|reason| Refused::Upstream {
                    upstream: upstream.name.clone(),
                    reason,
                })?;
                Ok((upstream.name.clone(), settings))
            })
            .collect()
    }

    /// # Errors
    /// A rule that its room refuses.
    pub fn routes(&self) -> Result<RouteTable, Refused> {
        let routes: Result<Vec<Route>, Refused> = self
            .routes
            .iter()
            .map(|route| {
                self.route(route).map_err(|reason| Refused::Route {
                    route: route.name.clone(),
                    reason,
                })
            })
            .collect();
        Ok(RouteTable::new(routes?))
    }

    fn route(&self, route: &file::Route) -> Result<Route, String> {
        let path = route::PathPattern::parse(route.path.text()).map_err(text)?;
        let hosts: Result<_, _> = route
            .hosts
            .iter()
            .map(|host| route::HostPattern::parse(&host.to_string()))
            .collect();
        let upstream = self
            .upstreams
            .iter()
            .position(|upstream| upstream.name == route.upstream)
            .ok_or("its upstream does not exist")?;
        let language = route.language.as_ref().map(language).transpose()?;
        let mut ignored = head::handled_fields(language.is_some(), route.cookies.forward);
        ignored.extend(route.vary_ignore.iter().cloned());
        Ok(Route {
            name: route.name.as_str().into(),
            index: 0,
            hosts: hosts.map_err(text)?,
            methods: route.methods.clone(),
            upstream,
            cache: route.cache.then(|| cache_rule(route)),
            vary: key::VaryRule { ignored },
            bypass: route::BypassRule {
                query: route
                    .bypass
                    .query
                    .iter()
                    .map(|mark| {
                        let value = mark.value.as_deref().map(Into::into);
                        (mark.name.as_str().into(), value)
                    })
                    .collect(),
                headers: route.bypass.header.clone(),
            },
            forward_headers: route.forward_headers.clone(),
            forward_dropped: route.query.forward_dropped,
            tags: tag_rule(route, &path, language.is_some())?,
            compress: route::CompressRule {
                enabled: route.compress.enabled,
                types: boxed(&route.compress.types),
                size_min: route.compress.min_size,
                gzip: route.compress.gzip.into(),
                brotli: route.compress.brotli.into(),
            },
            key: key::KeyRule {
                query: key::QueryRule {
                    keep: patterns(&route.query.keep),
                    drop: patterns(&route.query.drop),
                    sort: route.query.sort,
                },
                language,
                cookies: key::CookieRule {
                    bypass: patterns(&route.cookies.bypass),
                    keep: patterns(&route.cookies.keep),
                    forward: route.cookies.forward,
                },
                fields: Vec::new(),
            },
            path,
        })
    }
}

fn fetch_settings(upstream: &file::Upstream) -> Result<fetch::Settings, String> {
    let servers: Result<_, _> = upstream
        .servers
        .iter()
        .map(|server| {
            http::Uri::builder()
                .scheme(server.scheme.clone())
                .authority(server.authority.clone())
                .path_and_query("/")
                .build()
        })
        .collect();
    Ok(fetch::Settings {
        servers: servers.map_err(text)?,
        host: match &upstream.host {
            file::UpstreamHost::Preserve => fetch::HostRule::Preserve,
            file::UpstreamHost::Upstream => fetch::HostRule::Upstream,
            file::UpstreamHost::Literal(name) => fetch::HostRule::Literal(name.clone()),
        },
        connect_timeout: upstream.connect_timeout,
        first_byte_timeout: upstream.first_byte_timeout,
        idle_timeout: upstream.idle_timeout,
        keepalive: upstream.keepalive,
        pool_idle_max: upstream.pool_idle_max,
        concurrency: upstream.concurrency,
        queue: upstream.queue,
        queue_timeout: upstream.queue_timeout,
        retries: upstream.retries,
        ca: upstream.ca.as_deref().map(certificates).transpose()?,
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable = |error| format!("`ca` {}: {error}", path.display());
    CertificateDer::pem_file_iter(path)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(unreadable)
}

fn cache_rule(route: &file::Route) -> policy::CacheRule {
    let lifetime = &route.lifetime;
    policy::CacheRule {
        ttl: lifetime.ttl,
        mode: match lifetime.ttl_mode {
            file::TtlMode::Default => policy::TtlMode::Default,
            file::TtlMode::Cap => policy::TtlMode::Cap,
            file::TtlMode::Floor => policy::TtlMode::Floor,
            file::TtlMode::Override => policy::TtlMode::Override,
        },
        ttl_max: lifetime.ttl_max,
        ttl_by_status: lifetime
            .ttl_by_status
            .iter()
            .map(|(status, ttl)| policy::StatusTtl {
                status: match status {
                    file::StatusPattern::Code(code) => *code,
                    file::StatusPattern::Class(class) => u16::from(*class),
                },
                ttl: *ttl,
            })
            .collect(),
        stale_while_revalidate: lifetime.stale_while_revalidate,
        stale_if_error: lifetime.stale_if_error,
        browser_ttl: lifetime.browser_ttl,
        hit_for_miss: lifetime.hit_for_miss,
        object_size_max: route.max_object_size,
        strict_private: route.strict_private,
        request_directives: true,
    }
}

fn language(language: &file::Language) -> Result<key::LanguageRule, String> {
    let sources = language.sources.iter().map(|source| match source {
        file::LanguageSource::Path => key::language::Source::Path,
        file::LanguageSource::Query(name) => key::language::Source::Query(name.as_str().into()),
        file::LanguageSource::Cookie(name) => key::language::Source::Cookie(name.as_str().into()),
        file::LanguageSource::Host => key::language::Source::Host,
        file::LanguageSource::Header => key::language::Source::Header,
    });
    let pairs = |pairs: &[(String, String)]| {
        let boxed = |(a, b): &(String, String)| (a.as_str().into(), b.as_str().into());
        pairs.iter().map(boxed).collect()
    };
    key::LanguageRule::new(key::language::LanguageSettings {
        supported: boxed(&language.supported),
        default: language.default.as_str().into(),
        sources: sources.collect(),
        aliases: pairs(&language.aliases),
        fallback: language
            .fallback
            .iter()
            .map(|(tag, chain)| (tag.as_str().into(), boxed(chain)))
            .collect(),
        hosts: pairs(&language.hosts),
        drift_guard: language.drift_guard,
    })
    .map_err(text)
}

fn tag_rule(
    route: &file::Route,
    path: &route::PathPattern,
    has_language: bool,
) -> Result<route::TagRule, String> {
    let captures: Vec<&str> = path.names().collect();
    let templates: Result<_, _> = route
        .tags
        .tags
        .iter()
        .chain(&route.tags.collections)
        .map(|template| route::tags::Template::parse(template.text(), &captures, has_language))
        .collect();
    Ok(route::TagRule {
        templates: templates.map_err(text)?,
        fields: route.tags.from_headers.clone(),
        body: route.tags.from_body.clone(),
        body_prefix: route.tags.from_body_prefix.as_str().into(),
    })
}

pub(super) fn token(secret: &file::Secret) -> Option<Token> {
    Token::new(secret.expose())
}

fn patterns(names: &[String]) -> Vec<key::query::Pattern> {
    names
        .iter()
        .map(|name| key::query::Pattern::new(name))
        .collect()
}

fn boxed(texts: &[String]) -> Vec<Box<str>> {
    texts.iter().map(|text| text.as_str().into()).collect()
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// The name by which receipts call this instance: the host's, if it says one.
pub fn instance_name(environment: Option<String>) -> String {
    let is_name = |name: &String| {
        !name.is_empty() && name.len() <= 64 && HeaderName::from_bytes(name.as_bytes()).is_ok()
    };
    environment
        .filter(is_name)
        .unwrap_or_else(|| "local".to_owned())
}
