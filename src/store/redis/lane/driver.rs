//! The task behind a lane: writes what was asked, reads what is answered, and watches the
//! deadlines, with one timer for all.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::redis::{RedisError, RedisResult, Value};
use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::io::poll_read_buf;

use super::stream::Stream;
use super::wire::{self, Read, Shape, Values};
use super::{Asked, Missed, Queue, Reply, closed, late};
use crate::store::redis::asking::senseless;

/// See the module.
pub(super) struct Driver {
    stream: Box<dyn Stream>,
    queue: Arc<Mutex<Queue>>,
    /// What was taken from the queue, and how much of it is written.
    commands: Vec<u8>,
    written: usize,
    is_flushed: bool,
    /// In the order of their commands.
    asked: VecDeque<Asked>,
    /// Replies that the queue was not told of.
    answered: usize,
    read: BytesMut,
    /// The first reply in `read` is so large that the buffer is its own: it is that, and little more.
    is_large: bool,
    /// When the connection is given up because a large reply takes too long; nothing: nobody had to
    /// go without because of one.
    blocked_until: Option<Instant>,
    /// Rings at the earliest deadline, if there is one, or before.
    alarm: Pin<Box<Sleep>>,
    alarm_at: Option<Instant>,
}

/// Bytes that are read at once.
const READ_BYTES: usize = 128 << 10;
/// With less room than this, the buffer is made large again before the next read.
const READ_BYTES_MIN: usize = 32 << 10;
/// Bytes of a reply that gets a buffer of its own.
const LARGE_BYTES: usize = READ_BYTES;
/// How long a large reply may still take once somebody had to go without because of it.
const LARGE_PATIENCE: Duration = Duration::from_secs(5);

impl Driver {
    pub(super) fn new(stream: Box<dyn Stream>, queue: Arc<Mutex<Queue>>) -> Self {
        Self {
            stream,
            queue,
            commands: Vec::new(),
            written: 0,
            is_flushed: true,
            asked: VecDeque::new(),
            answered: 0,
            read: BytesMut::with_capacity(READ_BYTES),
            is_large: false,
            blocked_until: None,
            alarm: Box::pin(sleep_until(Instant::now())),
            alarm_at: None,
        }
    }

    /// Until the connection ends, which those who wait are told.
    pub(super) async fn run(mut self) {
        let Err(error) = self.drive().await;
        tracing::debug!(%error, "a connection to Redis has ended");
        if let Some(mut first) = self.asked.pop_front() {
            first.tell(Err(Missed::Failed(error)));
        }
        // To the others it is closed: see `Drop`.
    }

    async fn drive(&mut self) -> RedisResult<Infallible> {
        loop {
            poll_fn(|cx| self.poll(cx)).await?;
            // All others that are ready to run go first: what they ask leaves in the same write.
            yield_now().await;
            self.take();
        }
    }

    /// Ready: something new was asked.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<RedisResult<()>> {
        // Both, whichever has to wait: a server that cannot send does not read either.
        if let Poll::Ready(Err(error)) = self.poll_write(cx) {
            return Poll::Ready(Err(error));
        }
        if let Poll::Ready(Err(error)) = self.poll_read(cx) {
            return Poll::Ready(Err(error));
        }
        if let Poll::Ready(Err(error)) = self.poll_alarm(cx) {
            return Poll::Ready(Err(error));
        }
        let mut queue = self.queue.lock();
        queue.is_blocked = self.blocked_until.is_some();
        queue.outstanding = queue.outstanding.saturating_sub(self.answered);
        self.answered = 0;
        if !queue.asked.is_empty() {
            return Poll::Ready(Ok(()));
        }
        queue.driver = Some(cx.waker().clone());
        Poll::Pending
    }

    fn take(&mut self) {
        let mut queue = self.queue.lock();
        if self.written == self.commands.len() {
            self.commands.clear();
            self.written = 0;
            std::mem::swap(&mut self.commands, &mut queue.commands);
        } else {
            self.commands.append(&mut queue.commands);
        }
        let earliest = queue.asked.iter().map(|asked| asked.deadline).min();
        self.asked.extend(queue.asked.drain(..));
        drop(queue);
        if let Some(earliest) = earliest
            && self.alarm_at.is_none_or(|at| earliest < at)
        {
            self.set_alarm(earliest);
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<RedisResult<()>> {
        while let Some(rest) = self.commands.get(self.written..)
            && !rest.is_empty()
        {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(closed())),
                bytes => self.written += bytes,
            }
            self.is_flushed = false;
        }
        if !self.is_flushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Until there is no more, or an error.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<RedisResult<()>> {
        loop {
            if self.read.capacity() - self.read.len() < READ_BYTES_MIN {
                self.read.reserve(READ_BYTES);
            }
            let stream = Pin::new(&mut self.stream);
            if ready!(poll_read_buf(stream, cx, &mut self.read))? == 0 {
                return Poll::Ready(Err(closed()));
            }
            self.answer()?;
        }
    }

    /// Gives all replies that are there to those who asked.
    fn answer(&mut self) -> RedisResult<()> {
        loop {
            match wire::read(&self.read) {
                Err(wire::Malformed) => return Err(senseless()),
                Ok(Read::Incomplete(needed)) => {
                    self.make_room(needed);
                    return Ok(());
                }
                Ok(Read::Complete { bytes, shape }) => {
                    // Nobody has asked for it.
                    let mut asked = self.asked.pop_front().ok_or_else(senseless)?;
                    self.answered += 1;
                    if asked.waits() {
                        let reply = self.take_off(bytes);
                        asked.tell(read_as(shape, reply));
                    } else {
                        self.let_go(bytes);
                    }
                }
            }
        }
    }

    /// For a reply of so many bytes or more.
    fn make_room(&mut self, needed: usize) {
        if needed < LARGE_BYTES || needed <= self.read.capacity() {
            let missing = needed.saturating_sub(self.read.len());
            return self.read.reserve(missing);
        }
        let mut own = BytesMut::with_capacity(needed + READ_BYTES_MIN);
        own.extend_from_slice(&self.read);
        self.read = own;
        self.is_large = true;
    }

    /// The first `bytes` of the buffer, which take no more memory than that, or little more: who
    /// keeps them counts them alone. All but large ones are copied.
    fn take_off(&mut self, bytes: usize) -> Bytes {
        if self.is_large {
            return self.replace(bytes).freeze();
        }
        let reply = Bytes::copy_from_slice(self.read.get(..bytes).unwrap_or_default());
        self.read.advance(bytes);
        reply
    }

    fn let_go(&mut self, bytes: usize) {
        if self.is_large {
            drop(self.replace(bytes));
        } else {
            self.read.advance(bytes);
        }
    }

    /// The large reply in its buffer. What is behind it begins another one.
    fn replace(&mut self, bytes: usize) -> BytesMut {
        let rest = self.read.get(bytes..).unwrap_or_default();
        let mut next = BytesMut::with_capacity(READ_BYTES.max(rest.len()));
        next.extend_from_slice(rest);
        let mut reply = std::mem::replace(&mut self.read, next);
        reply.truncate(bytes);
        (self.is_large, self.blocked_until) = (false, None);
        reply
    }

    /// Tells those whose deadline has passed. Where a large reply is on its way, that does not mean
    /// that the server does not answer: from then on nobody else waits behind it.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<RedisResult<()>> {
        while self.alarm_at.is_some() && self.alarm.as_mut().poll(cx).is_ready() {
            self.alarm_at = None;
            let now = Instant::now();
            if self.blocked_until.is_some_and(|until| until <= now) {
                return Poll::Ready(Err(late()));
            }
            let is_late = |asked: &Asked| asked.waits() && asked.deadline <= now;
            if self.is_large && self.blocked_until.is_none() && self.asked.iter().any(is_late) {
                self.blocked_until = Some(now + LARGE_PATIENCE);
                // Before anybody is told, who may come back.
                self.queue.lock().is_blocked = true;
            }
            let mut next = None;
            for (at, asked) in self.asked.iter_mut().enumerate() {
                if !asked.waits() {
                    continue;
                }
                if asked.deadline <= now {
                    asked.tell(Err(match (self.is_large, at) {
                        (false, _) => Missed::Deadline,
                        (true, 0) => Missed::Large,
                        (true, _) => Missed::Behind,
                    }));
                } else {
                    next = Some(next.map_or(asked.deadline, |next| asked.deadline.min(next)));
                }
            }
            let next = next.into_iter().chain(self.blocked_until).min();
            if let Some(next) = next {
                self.set_alarm(next);
            }
        }
        Poll::Pending
    }

    fn set_alarm(&mut self, at: Instant) {
        self.alarm.as_mut().reset(at);
        self.alarm_at = Some(at);
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let mut queue = self.queue.lock();
        queue.is_closed = true;
        // Dropped, they tell those who wait.
        queue.asked.clear();
        queue.driver = None;
    }
}

impl Asked {
    fn waits(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| !reply.is_closed())
    }

    fn tell(&mut self, reply: Result<Reply, Missed>) {
        if let Some(asker) = self.reply.take() {
            // It may have given up just now.
            let _gone = asker.send(reply);
        }
    }
}

fn read_as(shape: Shape, reply: Bytes) -> Result<Reply, Missed> {
    match shape {
        Shape::Values(places) => Ok(Reply::Values(Values::new(reply, places))),
        Shape::Status => Ok(Reply::Status),
        Shape::Error => Err(Missed::Failed(error(&reply))),
    }
}

fn error(reply: &[u8]) -> RedisError {
    match ::redis::parse_redis_value(reply) {
        Ok(Value::ServerError(error)) => error.into(),
        Ok(_) => senseless(),
        Err(error) => error,
    }
}
