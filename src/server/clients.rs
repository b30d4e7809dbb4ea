//! Whose request it is, where proxies stand in front of us: which of them are believed, and in what.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::HeaderMap;
use ipnet::IpNet;

use crate::connection::Connection;
use crate::fields::forwarders;

/// Whom the listeners believe. By default nobody: the client is the peer of the socket.
#[derive(Clone, Debug, Default)]
pub struct Clients {
    /// Peers whose every connection begins with a header of the PROXY protocol.
    pub proxy_protocol_from: Vec<IpNet>,
    /// Proxies whose word is taken for who the client is and which scheme it used.
    pub trusted_proxies: Vec<IpNet>,
    pub trusted_header: TrustedHeader,
}

/// In which fields trusted proxies say it. The others are ignored, whoever sent them: a proxy
/// that writes one manner passes on what its client sent in the other.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TrustedHeader {
    /// `X-Forwarded-For` and `X-Forwarded-Proto`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl Clients {
    /// Whether connections from this peer must begin with a PROXY header.
    pub(super) fn begins_with_header(&self, peer: SocketAddr) -> bool {
        contains(&self.proxy_protocol_from, peer.ip())
    }

    pub(super) fn is_trusted_proxy(&self, peer: SocketAddr) -> bool {
        contains(&self.trusted_proxies, peer.ip())
    }

    /// The connection as the trusted proxy that is its peer tells of it for this request.
    pub(super) fn told(&self, connection: &Connection, headers: &HeaderMap) -> Arc<Connection> {
        let is_trusted = |address| contains(&self.trusted_proxies, address);
        let told = match self.trusted_header {
            TrustedHeader::XForwarded => forwarders::x_forwarded(headers, is_trusted),
            TrustedHeader::Forwarded => forwarders::forwarded(headers, is_trusted),
        };
        let mut connection = connection.clone();
        if let Some(client) = told.client {
            connection.peer = SocketAddr::new(client, 0);
        }
        if let Some(scheme) = told.scheme {
            connection.scheme = scheme;
        }
        Arc::new(connection)
    }
}

fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    // On a socket for both families an IPv4 peer has a mapped address.
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(header: TrustedHeader, fields: &[(&'static str, &str)]) -> (String, &'static str) {
        let clients = Clients {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            trusted_header: header,
            ..Clients::default()
        };
        let connection = Connection {
            peer: "10.0.0.1:5000".parse().unwrap(),
            via: "10.0.0.1:5000".parse().unwrap(),
            local: "10.0.0.2:80".parse().unwrap(),
            scheme: "http",
            interims: Arc::default(),
            sni: None,
        };
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        let told = clients.told(&connection, &headers);
        assert_eq!(told.via, connection.via);
        (told.peer.to_string(), told.scheme)
    }

    #[test]
    fn only_the_chosen_fields_are_read() {
        let both = [
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
            ("forwarded", "for=198.51.100.1;proto=http"),
        ];
        let of_x = told(TrustedHeader::XForwarded, &both);
        assert_eq!(of_x, ("192.0.2.1:0".to_owned(), "https"));
        let of_forwarded = told(TrustedHeader::Forwarded, &both);
        assert_eq!(of_forwarded, ("198.51.100.1:0".to_owned(), "http"));
    }

    #[test]
    fn a_request_of_the_proxys_own_is_the_proxys() {
        let own = told(TrustedHeader::XForwarded, &[("forwarded", "for=192.0.2.1")]);
        assert_eq!(own, ("10.0.0.1:5000".to_owned(), "http"));
    }

    #[test]
    fn mapped_addresses_are_the_addresses_they_map() {
        let clients = Clients {
            proxy_protocol_from: vec!["10.0.0.0/8".parse().unwrap()],
            ..Clients::default()
        };
        assert!(clients.begins_with_header("[::ffff:10.1.2.3]:1".parse().unwrap()));
        assert!(!clients.begins_with_header("[::ffff:11.1.2.3]:1".parse().unwrap()));
        assert!(!clients.is_trusted_proxy("10.1.2.3:1".parse().unwrap()));
    }
}
