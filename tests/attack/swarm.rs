//! Many attackers at once, each with one connection at a time, until their time is over.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::arena::{is_strict, variable};
use super::recorder::apart;
use crate::support::origin::PATIENCE;

/// The most that an attack does where the environment does not ask for more.
const CONNECTIONS_MAX: usize = 300;
const SECONDS_MAX: u64 = 4;

/// How long an attacker pauses before its next connection.
const PAUSE: Duration = Duration::from_millis(20);

/// How many attack, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) connections: usize,
    pub(crate) time: Duration,
}

impl Bounds {
    /// What an attack asks for, unless the environment says otherwise.
    pub(crate) fn of(connections: usize, time: Duration) -> Self {
        let number = |name: &str| variable(name).map(|text| text.parse::<u64>().expect("a number"));
        let asked = number("ATTACK_CONNECTIONS").map(|count| usize::try_from(count).unwrap());
        let most = asked.unwrap_or(CONNECTIONS_MAX).max(1);
        let seconds = number("ATTACK_SECONDS").map(Duration::from_secs);
        Self {
            connections: connections.min(most),
            time: seconds.unwrap_or_else(|| time.min(Duration::from_secs(SECONDS_MAX))),
        }
    }
}

/// Each attacker does its work again and again, with connections of its own; what the
/// server does to it is not its failure.
pub(crate) async fn swarm<W, F>(target: SocketAddr, bounds: Bounds, work: W)
where
    W: Fn(SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = io::Result<()>> + Send,
{
    let (over, ended) = oneshot::channel();
    apart("attackers", move || async move {
        if is_strict() {
            yield_to_all();
        }
        attackers(target, bounds, work).await;
        let _gone = over.send(());
    });
    ended.await.expect("the attackers' thread ends by itself");
}

/// Attackers would have a machine of their own: what counts is the work that they make for the
/// server, not the time that they take from it and from the readers. So this thread runs when no
/// other does (SCHED_IDLE; with a low priority it would still keep others waiting for its turn to
/// end, which is some milliseconds).
fn yield_to_all() {
    let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
    let set = Command::new("chrt")
        .args(["--idle", "--pid", "0", &thread])
        .status();
    let is_set = set.is_ok_and(|status| status.success());
    assert!(
        is_set,
        "ATTACK_STRICT needs chrt: apt-get install util-linux"
    );
}

async fn attackers<W, F>(target: SocketAddr, bounds: Bounds, work: W)
where
    W: Fn(SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = io::Result<()>> + Send,
{
    let end = Instant::now() + bounds.time;
    let mut attackers = JoinSet::new();
    let count = u32::try_from(bounds.connections.max(1)).unwrap();
    for number in 0..count {
        let work = work.clone();
        attackers.spawn(async move {
            // They do not act in step: a burst of all at once is over before the next.
            sleep(PAUSE * number / count).await;
            while Instant::now() < end {
                let _whatever = timeout_at(end, work(target)).await;
                sleep(PAUSE).await;
            }
        });
    }
    while let Some(attacker) = attackers.join_next().await {
        attacker.unwrap();
    }
}

pub(crate) async fn connect(target: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection with a receive window as small as the system makes it.
pub(crate) async fn narrow(target: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(1)?;
    socket.connect(target).await
}

/// A connection from another address of this machine.
pub(crate) async fn from(address: Ipv4Addr, target: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((address, 0).into())?;
    socket.connect(target).await
}

/// Sends a byte at a time until the other side has enough.
pub(crate) async fn drip(stream: &mut TcpStream, text: &str, pause: Duration) -> io::Result<()> {
    for byte in text.bytes().cycle() {
        stream.write_all(&[byte]).await?;
        sleep(pause).await;
    }
    Ok(())
}

/// Reads until the other side closes; what came.
pub(crate) async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    // What came before a reset counts.
    let _closed = stream.read_to_end(&mut all).await;
    all
}

/// One GET with these field lines on a connection of its own; the whole answer.
pub(crate) async fn get(to: SocketAddr, host: &str, target: &str, fields: &str) -> String {
    let head = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    let exchange = async {
        let mut stream = connect(to).await.unwrap();
        let request = format!("{head}{fields}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&rest(&mut stream).await).into_owned()
    };
    timeout(PATIENCE, exchange).await.expect("an answer")
}

/// The status of an answer; empty where there is none.
pub(crate) fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or_default()
}
