//! The bytes of one connection: counted, read along with, and drained before the end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::activity::Activity;
use super::frames::{Flood, Frames, Rates};
use super::head::HeadReader;
use crate::interim::Interims;

/// RFC 9113 §3.4.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long and how much is still read from a client whose request was answered before it was
/// read: a close with unread bytes would reset the connection and destroy the answer.
const LINGER_MAX: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 1024 * 1024;
/// Of a head that was too large; nobody has so many cookies by accident.
const LINGER_HEAD_BYTES_MAX: usize = 64 * 1024;
const LINGER_BUFFER_BYTES: usize = 4096;
/// How much of it at a time, before others have their turn.
const LINGER_TURN_BYTES: usize = 4 * LINGER_BUFFER_BYTES;

/// When so much has been read with heads of HTTP/2 in it, in bytes, those requests are served before
/// more is read. hyper would read all there is first, and heads take many times what they take on
/// the wire.
const HEADS_BYTES_MAX: usize = 4096;

/// How long an HTTP/2 connection is not read after a request was refused for what it is, so that
/// one client after the other refused does not keep all others waiting.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);

/// Several slices of no more bytes are written as one: to copy them costs less than what the system
/// takes to gather them.
const JOINED_BYTES_MAX: usize = 2048;

/// A connection's stream, with the bytes that were read ahead of it.
pub(super) struct Wire<S> {
    stream: S,
    ahead: Vec<u8>,
    ahead_read: usize,
    head: Option<HeadReader>,
    frames: Option<Box<Frames>>,
    /// The turn in which so much was read that it is to be served before more is.
    enough: Option<u64>,
    /// Until when nothing is read.
    pause: Option<Pin<Box<Sleep>>>,
    activity: Arc<Activity>,
    lingering: Option<Linger>,
    interims: Option<Arc<Interims>>,
    /// What is left to write of interim responses; nothing else may come before it.
    interim: Vec<u8>,
}

struct Linger {
    deadline: Pin<Box<Sleep>>,
    bytes: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            ahead: Vec::new(),
            ahead_read: 0,
            head: None,
            frames: None,
            enough: None,
            pause: None,
            activity,
            lingering: None,
            interims: None,
            interim: Vec::new(),
        }
    }

    /// From here on the connection speaks HTTP/1 and is read along with.
    pub(super) fn read_heads(&mut self, interims: Arc<Interims>) {
        self.head = Some(HeadReader::default());
        self.interims = Some(interims);
    }

    /// From here on the connection speaks another protocol.
    pub(super) fn end_http(&mut self) {
        self.head = None;
        self.interims = None;
    }

    /// From here on the connection speaks HTTP/2 and is read along with.
    pub(super) fn read_frames(&mut self, rates: Rates) {
        self.frames = Some(Box::new(Frames::new(rates)));
    }

    /// Reads ahead until it is certain whether the client speaks HTTP/2 without having been asked
    /// (RFC 9113 §3.3).
    pub(super) async fn speaks_http2(&mut self) -> io::Result<bool> {
        let mut piece = [0; HTTP2_PREFACE.len()];
        while let Some(missing) = HTTP2_PREFACE.strip_prefix(self.ahead.as_slice()) {
            if missing.is_empty() {
                return Ok(true);
            }
            let room = piece.get_mut(..missing.len()).unwrap_or_default();
            let count = self.stream.read(room).await?;
            if count == 0 {
                return Ok(false);
            }
            self.ahead.extend(piece.iter().take(count));
        }
        Ok(false)
    }

    fn note(&mut self, bytes: &[u8]) -> Result<(), Flood> {
        count(&self.activity.received, bytes.len());
        if let Some(head) = &mut self.head {
            head.read(bytes);
            self.activity.note(head);
        }
        let Some(frames) = &mut self.frames else {
            return Ok(());
        };
        let outcome = frames.received(bytes, self.activity.millis.load(Relaxed));
        self.activity
            .head_open
            .store(frames.is_head_open(), Relaxed);
        if frames.take_heads() > 0 && bytes.len() >= HEADS_BYTES_MAX {
            self.enough = Some(self.activity.turn.load(Relaxed));
        }
        outcome
    }

    /// Whether so many requests were refused that the client is not read any more.
    fn judge(&mut self) -> Result<(), Flood> {
        let Some(frames) = &mut self.frames else {
            return Ok(());
        };
        let refused = self.activity.take_refused();
        if frames.refused(refused, self.activity.millis.load(Relaxed))? {
            self.pause = Some(Box::pin(sleep(REFUSED_PAUSE)));
        }
        Ok(())
    }

    /// Tells a client that floods us so, where that can be done at once, and breaks off.
    fn break_off(&mut self, flood: Flood, cx: &mut Context<'_>) -> io::Error {
        self.activity.note_flood(flood);
        if let Some(goaway) = self.frames.as_ref().and_then(|frames| frames.farewell()) {
            // A socket that takes nothing now is that of a client that reads nothing.
            let _sent = Pin::new(&mut self.stream).poll_write(cx, &goaway);
            let _flushed = Pin::new(&mut self.stream).poll_flush(cx);
        }
        io::Error::other("the client floods us")
    }

    fn follow<'b>(&mut self, sent: usize, slices: impl Iterator<Item = &'b [u8]>) {
        let Some(frames) = &mut self.frames else {
            return;
        };
        let mut left = sent;
        for slice in slices {
            let (now, _) = slice.split_at_checked(left).unwrap_or((slice, &[]));
            frames.sent(now);
            left -= now.len();
        }
        if frames.has_oversize() {
            self.activity.has_oversize.store(true, Relaxed);
        }
    }

    fn note_sent(&self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.activity.blocked.store(outcome.is_pending(), Relaxed);
        if let Poll::Ready(Ok(sent)) = &outcome {
            count(&self.activity.sent, *sent);
        }
        outcome
    }

    /// hyper flushes when it has written all it has, so that what is taken here stands between two
    /// messages: no request has an answer while it is taken for it.
    fn take_interim(&mut self, cx: &Context<'_>) {
        let interims = self.interims.as_ref();
        if let Some(bytes) = interims.and_then(|interims| interims.take(cx)) {
            self.interim.extend(bytes);
        }
    }

    /// Before hyper's next bytes, if some are left that came together with them.
    fn poll_left_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let interims = self.interims.as_ref();
        if let Some(bytes) = interims.and_then(|interims| interims.take_left()) {
            self.interim.extend(bytes);
        }
        self.poll_interim(cx)
    }

    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.interim.is_empty() {
            let outcome = Pin::new(&mut self.stream).poll_write(cx, &self.interim);
            match ready!(self.note_sent(outcome))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => drop(self.interim.drain(..written)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads and drops what the client still sends, until it closes its side.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_head = self.head.as_ref().is_some_and(HeadReader::is_open);
        let most = match is_head {
            true => LINGER_HEAD_BYTES_MAX,
            false => LINGER_BYTES_MAX,
        };
        let mut room = [0; LINGER_BUFFER_BYTES];
        let linger = self.lingering.get_or_insert_with(|| Linger {
            deadline: Box::pin(sleep(LINGER_MAX)),
            bytes: 0,
        });
        let turn = linger.bytes + LINGER_TURN_BYTES;
        while linger.bytes < most && linger.deadline.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut room);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => linger.bytes += buffer.filled().len(),
                _ => break,
            }
            if linger.bytes >= turn {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

/// Slices that are small, in one piece.
fn joined<'r>(slices: &[io::IoSlice<'_>], room: &'r mut [u8]) -> Option<&'r [u8]> {
    let mut length = 0;
    for slice in slices {
        let end = length + slice.len();
        room.get_mut(length..end)?.copy_from_slice(slice);
        length = end;
    }
    room.get(..length)
}

/// Only the task that owns the wire counts its bytes, so that no read-modify-write is needed.
fn count(counter: &AtomicU64, bytes: usize) {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    counter.store(counter.load(Relaxed).wrapping_add(bytes), Relaxed);
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(turn) = this.enough {
            if turn == this.activity.turn.load(Relaxed) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            this.enough = None;
        }
        if let Err(flood) = this.judge() {
            return Poll::Ready(Err(this.break_off(flood, cx)));
        }
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(cx));
            this.pause = None;
        }
        let before = buffer.filled().len();
        let ahead = this.ahead.get(this.ahead_read..).unwrap_or_default();
        if ahead.is_empty() {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        } else {
            let (now, _) = ahead
                .split_at_checked(buffer.remaining())
                .unwrap_or((ahead, &[]));
            buffer.put_slice(now);
            this.ahead_read += now.len();
        }
        let outcome = this.note(buffer.filled().get(before..).unwrap_or_default());
        Poll::Ready(outcome.map_err(|flood| this.break_off(flood, cx)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_left_interim(cx))?;
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(sent)) = &outcome {
            self.follow(*sent, std::iter::once(bytes));
        }
        self.note_sent(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_left_interim(cx))?;
        let mut room = [0; JOINED_BYTES_MAX];
        let outcome = match joined(slices, &mut room) {
            Some(bytes) => Pin::new(&mut self.stream).poll_write(cx, bytes),
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, slices),
        };
        if let Poll::Ready(Ok(sent)) = &outcome {
            self.follow(*sent, slices.iter().map(|slice| &**slice));
        }
        self.note_sent(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.take_interim(cx);
        ready!(self.poll_interim(cx))?;
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.activity.blocked.store(outcome.is_pending(), Relaxed);
        outcome
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        if self
            .head
            .as_ref()
            .is_some_and(HeadReader::is_within_message)
        {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn sniff(pieces: &[&[u8]]) -> (bool, Vec<u8>) {
        let (mut client, server) = tokio::io::duplex(64);
        let mut wire = Wire::new(server, Arc::default());
        let write = async {
            for piece in pieces {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(client);
        };
        let (speaks, ()) = tokio::join!(wire.speaks_http2(), write);
        let mut rest = Vec::new();
        wire.read_to_end(&mut rest).await.unwrap();
        (speaks.unwrap(), rest)
    }

    #[tokio::test]
    async fn the_preface_is_known_in_pieces_and_is_not_lost() {
        let (speaks, rest) = sniff(&[b"PRI * HT", b"TP/2.0\r\n\r\nSM\r\n\r\nmore"]).await;
        assert!(speaks);
        assert_eq!(rest, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore");
    }

    #[tokio::test]
    async fn what_only_begins_like_the_preface_is_http1() {
        let (speaks, rest) = sniff(&[b"PR", b"OPFIND / HTTP/1.1\r\n"]).await;
        assert!(!speaks);
        assert_eq!(rest, b"PROPFIND / HTTP/1.1\r\n");
        let (speaks, rest) = sniff(&[b"PRI"]).await;
        assert!(!speaks);
        assert_eq!(rest, b"PRI");
    }

    #[test]
    fn small_slices_are_joined_in_their_order_and_large_ones_are_not() {
        let mut room = [0; 8];
        let slices = |texts: &[&'static str]| -> Vec<io::IoSlice<'static>> {
            let slice = |text: &&'static str| io::IoSlice::new(text.as_bytes());
            texts.iter().map(slice).collect()
        };
        let all = joined(&slices(&["head", "", "body"]), &mut room);
        assert_eq!(all, Some(b"headbody".as_slice()));
        assert_eq!(joined(&slices(&["head", "a", "body"]), &mut room), None);
        assert_eq!(joined(&[], &mut room), Some(b"".as_slice()));
    }

    #[tokio::test]
    async fn of_joined_slices_as_much_is_told_as_was_taken() {
        let (mut client, server) = tokio::io::duplex(5);
        let mut wire = Wire::new(server, Arc::default());
        let slices = [io::IoSlice::new(b"head"), io::IoSlice::new(b"body")];
        assert_eq!(wire.write_vectored(&slices).await.unwrap(), 5);
        drop(wire);
        let mut taken = Vec::new();
        client.read_to_end(&mut taken).await.unwrap();
        assert_eq!(taken, b"headb");
    }
}
