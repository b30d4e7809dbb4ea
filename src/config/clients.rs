//! Of `[server]`: who the client is, where proxies stand in front.

use super::section::Section;
use crate::server::clients::{Clients, TrustedHeader};

pub(super) fn clients(s: &Section<'_>) -> Clients {
    Clients {
        proxy_protocol_from: s.networks(
            "proxy_protocol_from",
            &[],
            "Load balancers that begin every connection with a PROXY header (version 1 or 2) that \
             names the client. Their connections without one are closed; of all others it is no \
             valid request. Empty: off. A network that clients are in lets them say who they are.",
        ),
        trusted_proxies: s.networks(
            "trusted_proxies",
            &[],
            "Proxies that say in header fields whom they ask for: the client is the right-most \
             address there that is none of these, the scheme is the one it used to reach the \
             proxy. The client is what purge.allow_from and the access log go by. What others \
             send in these fields is dropped. A network that clients are in lets them say who \
             they are. The host is the one of the request, never X-Forwarded-Host.",
        ),
        trusted_header: s.choice(
            "trusted_header",
            TrustedHeader::XForwarded,
            &[
                ("x-forwarded", TrustedHeader::XForwarded),
                ("forwarded", TrustedHeader::Forwarded),
            ],
            "The fields that trusted proxies write: X-Forwarded-For and X-Forwarded-Proto, or \
             Forwarded (RFC 7239). Only these are read: the others may be what a client sent \
             through the proxy.",
        ),
    }
}
