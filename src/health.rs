//! `cms-edge health`: asks a running instance how it is, for container engines and scripts on
//! machines without curl.

use std::time::Duration;

use anyhow::{Context, bail};
use http::Uri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// For all of it: a server that does not say so within this time is not well.
const DEADLINE: Duration = Duration::from_secs(2);

/// Bytes of the answer that are read; its status is among the first twelve.
const ANSWER_BYTES_MAX: u64 = 256;

/// Asks `url`, and returns if the answer is 200.
///
/// # Errors
/// It is no `http://` URL, there is no answer within two seconds, or it is another one.
pub fn check(url: &str) -> anyhow::Result<()> {
    let url: Uri = url
        .parse()
        .with_context(|| format!("`{url}` is not a URL"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let answer = timeout(DEADLINE, ask(&url)).await;
        let answer = answer.with_context(|| format!("{url} does not answer"))?;
        let answer = answer.with_context(|| format!("{url} cannot be asked"))?;
        match status(&answer) {
            Some(200) => Ok(()),
            Some(status) => bail!("{url} answers {status}"),
            None => bail!("{url} does not speak HTTP"),
        }
    })
}

async fn ask(url: &Uri) -> anyhow::Result<Vec<u8>> {
    if url.scheme_str() != Some("http") {
        bail!("only http:// can be asked");
    }
    let authority = url.authority().context("the URL names no host")?;
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let mut stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream
        .take(ANSWER_BYTES_MAX)
        .read_to_end(&mut answer)
        .await?;
    Ok(answer)
}

/// The status in the first line of an answer (RFC 9112 §4).
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words.next()?.strip_prefix("HTTP/1.")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Answers one request with `answer`.
    fn server(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/healthz", listener.local_addr().unwrap());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).unwrap();
            assert!(request[..read].starts_with(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        url
    }

    #[test]
    fn only_200_is_well() {
        check(&server("HTTP/1.1 200 OK\r\n\r\nok\n")).unwrap();
        let sick = check(&server("HTTP/1.1 503 Service Unavailable\r\n\r\n")).unwrap_err();
        assert!(sick.to_string().ends_with("answers 503"), "{sick}");
        let noise = check(&server("SSH-2.0-x\r\n")).unwrap_err();
        assert!(noise.to_string().ends_with("does not speak HTTP"));
    }

    #[test]
    fn nobody_there_is_an_error_that_names_the_url() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/healthz", gone.local_addr().unwrap());
        drop(gone);
        assert!(check(&url).unwrap_err().to_string().contains(&url));
        assert!(check("https://127.0.0.1/healthz").is_err());
        assert!(check("not a url").is_err());
    }
}
