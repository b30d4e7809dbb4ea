//! The PROXY protocol, versions 1 and 2 ("The PROXY protocol", HAProxy): what a load balancer that
//! passes on bytes says about its client before the client's first byte.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// §2.2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// §2.2: signature, version and command, family, length.
const V2_FIXED_BYTES: usize = 16;
/// What a version 2 header may have behind these, in bytes: addresses and the "TLV" fields.
const V2_BYTES_MAX: usize = 4096;
/// §2.1: "the worst case […] 107 chars", with CR LF.
const V1_BYTES_MAX: usize = 107;
/// How lines of version 1 begin, and what the shortest has in bytes.
const V1_BYTES_MIN: [(&[u8], usize); 3] = [
    (b"PROXY TCP4 ", b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n".len()),
    (b"PROXY TCP6 ", b"PROXY TCP6 :: :: 1 1\r\n".len()),
    (b"PROXY ", b"PROXY UNKNOWN\r\n".len()),
];

/// Why there is no header.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProxyProtocolError {
    #[error("the connection ended before its PROXY header did")]
    Ended,
    #[error("the connection was closed before a word was said")]
    Silent,
    #[error("the connection does not begin with a valid PROXY header")]
    Malformed,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Progress {
    /// At least so many more bytes belong to the header.
    Missing(usize),
    /// A whole header. `None`: the peer speaks for itself, or for somebody it does not name.
    Whole(Option<SocketAddr>),
}

/// Reads the header, and not one byte that is not its own. Returns the client it names.
pub(super) async fn read<S>(stream: &mut S) -> Result<Option<SocketAddr>, ProxyProtocolError>
where
    S: AsyncRead + Unpin,
{
    let mut header = Vec::with_capacity(V1_BYTES_MAX);
    loop {
        match parse(&header).ok_or(ProxyProtocolError::Malformed)? {
            Progress::Whole(client) => return Ok(client),
            Progress::Missing(bytes) => {
                let start = header.len();
                header.resize(start + bytes, 0);
                let room = header.get_mut(start..).unwrap_or_default();
                let read = stream.read(room).await?;
                header.truncate(start + read);
                match (read, start) {
                    (0, 0) => return Err(ProxyProtocolError::Silent),
                    (0, _) => return Err(ProxyProtocolError::Ended),
                    _ => {}
                }
            }
        }
    }
}

/// `None`: this will never be a header.
fn parse(bytes: &[u8]) -> Option<Progress> {
    if bytes.is_empty() {
        // The shortest header of either version has these.
        return Some(Progress::Missing(SIGNATURE.len()));
    }
    if SIGNATURE.starts_with(bytes) || bytes.starts_with(SIGNATURE) {
        return parse_v2(bytes);
    }
    parse_v1(bytes)
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 4711 443` and CR LF. It does not say how long it is: read a
/// byte at a time once it could end.
fn parse_v1(bytes: &[u8]) -> Option<Progress> {
    const BEGIN: &[u8] = b"PROXY ";
    if !(BEGIN.starts_with(bytes) || bytes.starts_with(BEGIN)) {
        return None;
    }
    let Some(line) = bytes.strip_suffix(b"\r\n") else {
        let has_end = bytes.contains(&b'\n');
        let shortest = V1_BYTES_MIN
            .iter()
            .find(|(begin, _)| bytes.starts_with(begin));
        let certain = shortest.map_or(BEGIN.len(), |(_, bytes)| *bytes);
        let end = if bytes.ends_with(b"\r") { 1 } else { 2 };
        let left = V1_BYTES_MAX.saturating_sub(bytes.len());
        let missing = certain.saturating_sub(bytes.len()).max(end).min(left);
        return (!has_end && missing > 0).then_some(Progress::Missing(missing));
    };
    let mut words = std::str::from_utf8(line).ok()?.split(' ').skip(1);
    let client = match words.next()? {
        // §2.1: "the receiver must ignore anything presented before the CRLF is found".
        "UNKNOWN" => return Some(Progress::Whole(None)),
        "TCP4" => {
            let client: Ipv4Addr = words.next()?.parse().ok()?;
            let _server: Ipv4Addr = words.next()?.parse().ok()?;
            IpAddr::V4(client)
        }
        "TCP6" => {
            let client: Ipv6Addr = words.next()?.parse().ok()?;
            let _server: Ipv6Addr = words.next()?.parse().ok()?;
            IpAddr::V6(client)
        }
        _ => return None,
    };
    let client = SocketAddr::new(client, port(words.next()?)?);
    let _server = port(words.next()?)?;
    words
        .next()
        .is_none()
        .then_some(Progress::Whole(Some(client)))
}

/// §2.1: 0 to 65535 without zeros in front.
fn port(text: &str) -> Option<u16> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_padded = text.len() > 1 && text.starts_with('0');
    (is_decimal && !is_padded).then(|| text.parse().ok())?
}

fn parse_v2(bytes: &[u8]) -> Option<Progress> {
    let Some((fixed, rest)) = bytes.split_at_checked(V2_FIXED_BYTES) else {
        return Some(Progress::Missing(V2_FIXED_BYTES - bytes.len()));
    };
    let [.., command, family, high, low] = fixed else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    // What is wrong already need not be waited for.
    let is_proxied = match command {
        0x20 => false,
        0x21 => true,
        _ => return None,
    };
    if length > V2_BYTES_MAX {
        return None;
    }
    let missing = length.saturating_sub(rest.len());
    if missing > 0 {
        return Some(Progress::Missing(missing));
    }
    if !is_proxied {
        return Some(Progress::Whole(None));
    }
    let client = match family {
        // TCP over IPv4: two addresses, two ports.
        0x11 => {
            let address: [u8; 4] = rest.get(..4)?.try_into().ok()?;
            Some((IpAddr::from(address), rest.get(8..12)?))
        }
        // TCP over IPv6.
        0x21 => {
            let address: [u8; 16] = rest.get(..16)?.try_into().ok()?;
            Some((IpAddr::from(address), rest.get(32..36)?))
        }
        // Unspecified, datagrams, Unix sockets: nobody whom we could name.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => None,
        _ => return None,
    };
    let client = client.map(|(address, ports)| {
        let port = ports.first_chunk().copied().map_or(0, u16::from_be_bytes);
        SocketAddr::new(address, port)
    });
    Some(Progress::Whole(client))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        header.extend([command, family]);
        header.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        header.extend(rest);
        header
    }

    fn tcp4() -> Vec<u8> {
        let mut rest = vec![192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x67, 0x01, 0xbb];
        // A TLV field: PP2_TYPE_NOOP with two bytes.
        rest.extend([0x04, 0, 2, 7, 7]);
        rest
    }

    fn tcp6() -> Vec<u8> {
        let mut rest = vec![0; 36];
        rest[..2].copy_from_slice(&[0x20, 0x01]);
        rest[32..34].copy_from_slice(&[0x12, 0x67]);
        rest
    }

    fn client(text: &str) -> Option<Progress> {
        Some(Progress::Whole(Some(text.parse().unwrap())))
    }

    #[test]
    fn headers_name_the_client_or_nobody() {
        let nobody = Some(Progress::Whole(None));
        for (header, expected) in [
            (
                b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\r\n".to_vec(),
                client("192.0.2.1:4711"),
            ),
            (
                b"PROXY TCP6 2001:db8::1 ::1 65535 0\r\n".to_vec(),
                client("[2001:db8::1]:65535"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), nobody),
            (b"PROXY UNKNOWN ffff:f::f 1 2 whatever\r\n".to_vec(), nobody),
            (v2(0x21, 0x11, &tcp4()), client("192.0.2.1:4711")),
            (v2(0x21, 0x21, &tcp6()), client("[2001::]:4711")),
            (v2(0x20, 0x00, &[]), nobody),
            (v2(0x20, 0x11, &tcp4()), nobody),
            (v2(0x21, 0x00, &[1, 2, 3]), nobody),
            (v2(0x21, 0x31, &[0; 216]), nobody),
        ] {
            let text = String::from_utf8_lossy(&header);
            assert_eq!(parse(&header), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for header in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY\r\n",
            b"PROXY  TCP4 192.0.2.1 198.51.100.1 4711 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 4711\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 443 \r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 04711 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 70000 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 +1 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1  443\r\n",
            b"PROXY TCP4 192.0.2 198.51.100.1 1 443\r\n",
            b"PROXY TCP4 ::1 ::1 1 443\r\n",
            b"PROXY TCP6 192.0.2.1 ::1 1 443\r\n",
            b"PROXY tcp4 192.0.2.1 198.51.100.1 1 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 1 443\n",
            b"PROXY TCP4 192.0.2.1 \xff 1 443\r\n",
            &v2(0x11, 0x11, &tcp4()),
            &v2(0x22, 0x11, &tcp4()),
            &v2(0x21, 0x13, &tcp4()),
            &v2(0x21, 0x11, &tcp4()[..11]),
            &v2(0x21, 0x21, &tcp6()[..35]),
            &v2(0x21, 0x00, &[0; V2_BYTES_MAX + 1]),
            b"\r\n\r\n\0\r\nQUIP\n",
        ] {
            let text = String::from_utf8_lossy(header);
            assert_eq!(parse(header), None, "{text}");
        }
        let endless = format!("PROXY UNKNOWN {}", "x".repeat(V1_BYTES_MAX));
        assert_eq!(parse(endless.as_bytes()), None);
    }

    /// In pieces of `piece` bytes.
    async fn read_in(header: &[u8], piece: usize) -> (Option<SocketAddr>, Vec<u8>) {
        let (mut client, mut server) = tokio::io::duplex(piece);
        let bytes = [header, b"first"].concat();
        let write = async move {
            tokio::io::AsyncWriteExt::write_all(&mut client, &bytes)
                .await
                .unwrap();
        };
        let read_all = async {
            let named = read(&mut server).await.unwrap();
            let mut rest = Vec::new();
            server.read_to_end(&mut rest).await.unwrap();
            (named, rest)
        };
        tokio::join!(read_all, write).0
    }

    #[tokio::test]
    async fn what_follows_the_header_is_left_to_be_read() {
        let v1 = b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\r\n";
        for header in [&v1[..], &v2(0x21, 0x11, &tcp4())] {
            for piece in [1, 2, 7, 1024] {
                let (named, rest) = read_in(header, piece).await;
                assert_eq!(named, Some("192.0.2.1:4711".parse().unwrap()), "{piece}");
                assert_eq!(rest, b"first");
            }
        }
    }

    proptest! {
        /// Whatever comes, there is an end to it.
        #[test]
        fn bytes_are_bounded(
            begin in prop::sample::select(vec![&b""[..], b"PROXY ", b"PROXY TCP4 1.2.3.4 ", SIGNATURE]),
            rest in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let bytes = [begin, &rest].concat();
            if let Some(Progress::Missing(missing)) = parse(&bytes) {
                prop_assert!(missing > 0);
                prop_assert!(bytes.len() + missing <= V2_FIXED_BYTES + V2_BYTES_MAX);
            }
        }

        /// A header is known at its last byte, never before and never after.
        #[test]
        fn a_header_ends_where_it_ends(
            address: [u8; 4], ports: [u8; 4], tlv in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let rest = [&address[..], &[0; 4], &ports, &tlv].concat();
            let header = v2(0x21, 0x11, &rest);
            for end in 0..header.len() {
                let progress = parse(&header[..end]);
                let is_missing = matches!(progress, Some(Progress::Missing(bytes)) if bytes <= header.len() - end);
                prop_assert!(is_missing, "{:?} at {}", progress, end);
            }
            let named = SocketAddr::new(address.into(), u16::from_be_bytes([ports[0], ports[1]]));
            prop_assert_eq!(parse(&header), Some(Progress::Whole(Some(named))));
        }
    }
}
