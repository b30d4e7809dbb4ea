//! `[server]`: what a client may ask of the public listeners, and how long it may take.

use std::time::Duration;

use ipnet::IpNet;

use super::section::Section;
use super::server::bounded;
use crate::server::Limits;

pub(super) fn read(s: &Section<'_>) -> Limits {
    let [drain, tls_handshake_timeout, header_timeout, idle_timeout] = patience(s);
    let (connections_max, connections_per_address, connections_per_address_exempt) = connections(s);
    let [
        resets_per_second,
        control_frames_per_second,
        empty_frames_per_second,
        refused_per_second,
    ] = frames(s);
    Limits {
        drain,
        tls_handshake_timeout,
        header_timeout,
        idle_timeout,
        connections_max,
        connections_per_address,
        connections_per_address_exempt,
        streams_max: bounded(s.integer(
            "streams_max",
            128,
            1..=10_000,
            "Requests that one HTTP/2 connection may have open. Low: browsers queue pictures. \
                 High: one connection may keep the whole server busy.",
        )),
        headers_max: s.count(
            "headers_max",
            100,
            10..=1000,
            "Header fields of a request; a request with more is answered 431.",
        ),
        header_bytes_max: s.size(
            "header_bytes_max",
            "32KiB",
            "8KiB"..="1MiB",
            "Bytes of a request's head. Low: long cookies are answered 431. High: memory for \
                 each connection, given to strangers.",
        ),
        target_bytes_max: s.size(
            "target_bytes_max",
            "8KiB",
            "1KiB"..="60KiB",
            "Bytes of a request's method and target; a request with more is answered 414. Low: \
             long queries of search and filters fail. High: memory and log lines for strangers.",
        ),
        connection_header_bytes_max: s.size(
            "connection_header_bytes_max",
            "1MiB",
            "64KiB"..="64MiB",
            "Bytes of heads that the requests of one HTTP/2 connection may hold while they are \
             being answered, 32 added for each field; one more is answered 431. Low: pages with \
             many pictures and long cookies. High: compressed heads take a hundred times what \
             they cost to send.",
        ),
        send_rate_min: s.integer(
            "send_rate_min",
            64,
            0..=1_048_576,
            "Bytes per second that a client must take of a response, over idle_timeout, while \
             there is something to take; it is cut off otherwise. 0: any. High: clients on bad \
             lines lose their downloads.",
        ),
        resets_per_second,
        control_frames_per_second,
        empty_frames_per_second,
        refused_per_second,
    }
}

fn connections(s: &Section<'_>) -> (usize, usize, Vec<IpNet>) {
    (
        s.count(
            "connections_max",
            10_000,
            1..=1_000_000,
            "Open connections of clients, all listeners together. Too low: new clients wait \
             for others to leave. Too high: more memory and file descriptors than the machine has; \
             half of work_memory should hold 16KiB for each.",
        ),
        s.count(
            "connections_per_address",
            256,
            0..=1_000_000,
            "Open connections of one client address (of one /64 network with IPv6); more are \
             closed at once. 0: any number. Low: offices and mobile networks that share an \
             address. High: one machine takes up connections_max.",
        ),
        s.networks(
            "connections_per_address_exempt",
            &["127.0.0.0/8", "::1/128"],
            "Networks whose addresses may have any number of connections. Whatever is in front, so \
             that all clients come from its address, must be in it; trusted_proxies always may, and \
             behind proxy_protocol_from it is the client's address that counts.",
        ),
    )
}

fn frames(s: &Section<'_>) -> [u32; 4] {
    [
        bounded(s.integer(
            "resets_per_second",
            100,
            1..=100_000,
            "Requests that an HTTP/2 connection may cancel per second for long, four times as \
             many at once. Low: readers who leave a page early are cut off. High: rapid-reset \
             attacks make the server work for nothing.",
        )),
        bounded(s.integer(
            "control_frames_per_second",
            500,
            10..=1_000_000,
            "Frames of HTTP/2 that carry no request (settings, pings, priorities, windows) per \
             second for long, four times as many at once, beyond those that belong to requests \
             and downloads. High: floods of them take CPU.",
        )),
        bounded(s.integer(
            "empty_frames_per_second",
            100,
            1..=1_000_000,
            "Frames of HTTP/2 with no content or only a few bytes, per second for long, four \
             times as many at once. Low: uploads in drops are cut off. High: each takes more \
             memory than it carries.",
        )),
        bounded(s.integer(
            "refused_per_second",
            2,
            1..=100_000,
            "Requests of an HTTP/2 connection that may be refused for what they are (target, \
             header fields, Host, framing) per second for long, four times as many at once; \
             connections of trusted_proxies may have any number. Low: a browser with too many \
             cookies is cut off instead of being told so. High: refusing takes CPU, too.",
        )),
    ]
}

fn patience(s: &Section<'_>) -> [Duration; 4] {
    [
        s.duration(
            "drain",
            "30s",
            "0s"..="10m",
            "How long requests that are being answered may take to end when the server stops. 0s \
             cuts them off; longer holds up a restart.",
        ),
        s.duration(
            "tls_handshake_timeout",
            "10s",
            "100ms"..="2m",
            "How long a TLS handshake may take. Short: clients far away fail. Long: silent \
             connections are held for nothing.",
        ),
        s.duration(
            "header_timeout",
            "10s",
            "100ms"..="2m",
            "How long a client may take to send the head of a request, from its first byte. Long: \
             slow-loris attacks hold connections.",
        ),
        s.duration(
            "idle_timeout",
            "75s",
            "1s"..="1h",
            "How long a connection without a request is kept. Short: more handshakes. Long: idle \
             clients use up connections_max.",
        ),
    ]
}
