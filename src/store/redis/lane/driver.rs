//! The task behind a lane: writes what was asked, reads what is answered, and watches the
//! deadlines, with one timer for all.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ::redis::{RedisError, RedisResult, Value};
use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::io::poll_read_buf;

use super::stream::Stream;
use super::wire::{self, Read, Shape, Values};
use super::{Asked, Missed, Queue, Reply, closed};
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
    /// Rings at the earliest deadline, if there is one, or before.
    alarm: Pin<Box<Sleep>>,
    alarm_at: Option<Instant>,
}

/// Bytes that are read at once.
const READ_BYTES: usize = 128 << 10;
/// With less room than this, the buffer is made large again before the next read.
const READ_BYTES_MIN: usize = 32 << 10;

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
        self.poll_alarm(cx);
        let mut queue = self.queue.lock();
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
                    let missing = needed.saturating_sub(self.read.len());
                    self.read.reserve(missing);
                    return Ok(());
                }
                Ok(Read::Complete { bytes, shape }) => {
                    // Nobody has asked for it.
                    let mut asked = self.asked.pop_front().ok_or_else(senseless)?;
                    self.answered += 1;
                    if asked.waits() {
                        let reply = take_off(&mut self.read, bytes);
                        asked.tell(read_as(shape, reply));
                    } else {
                        self.read.advance(bytes);
                    }
                }
            }
        }
    }

    fn poll_alarm(&mut self, cx: &mut Context<'_>) {
        while self.alarm_at.is_some() && self.alarm.as_mut().poll(cx).is_ready() {
            self.alarm_at = None;
            let now = Instant::now();
            let mut next = None;
            for asked in &mut self.asked {
                if !asked.waits() {
                    continue;
                }
                if asked.deadline <= now {
                    asked.tell(Err(Missed::Deadline));
                } else {
                    next = Some(next.map_or(asked.deadline, |next| asked.deadline.min(next)));
                }
            }
            if let Some(next) = next {
                self.set_alarm(next);
            }
        }
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

/// The first `bytes` of the buffer. A small reply is copied, so that whoever keeps it does not keep
/// the whole buffer.
fn take_off(buffer: &mut BytesMut, bytes: usize) -> Bytes {
    if bytes > buffer.capacity() / 2 {
        return buffer.split_to(bytes).freeze();
    }
    let reply = Bytes::copy_from_slice(buffer.get(..bytes).unwrap_or_default());
    buffer.advance(bytes);
    reply
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
