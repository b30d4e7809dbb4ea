//! Whole representations in another coding, derived off the async threads and kept with the
//! stored response.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::coder::Coder;
use crate::entry::{Content, StoredResponse};
use crate::fields::accept_encoding::Coding;
use crate::telemetry::transform::{For, TransformMetrics};

/// Runs the coders; as many at once as the machine has cores, the rest waits.
#[derive(Debug)]
pub struct Deriver {
    running: Arc<Semaphore>,
    metrics: TransformMetrics,
}

/// Why there is no representation in the coding that was asked for.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum NotDerived {
    #[error("the content is not in the coding it claims")]
    Corrupt,
    #[error("the content decodes to more than 64 MiB, or to more than 200 times its size")]
    Bomb,
    #[error("the coder was stopped")]
    Stopped,
    #[error("another request is deriving it")]
    Underway,
}

impl NotDerived {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Corrupt => "corrupt",
            Self::Bomb => "bomb",
            Self::Stopped => "stopped",
            Self::Underway => "underway",
        }
    }
}

/// Decoded content is at most this many bytes …
const DECODED_BYTES_MAX: usize = 64 << 20;
/// … and this many times the encoded, beyond a first [`DECODED_BYTES_FREE`] bytes. JSON of equal
/// entries reaches 100.
const DECODED_RATIO_MAX: usize = 200;
const DECODED_BYTES_FREE: usize = 1 << 20;

impl Deriver {
    pub fn new(at_once: usize, metrics: TransformMetrics) -> Self {
        Self {
            metrics,
            running: Arc::new(Semaphore::new(at_once.max(1))),
        }
    }

    /// Derives the representation in `coding` and keeps it with the stored response. One request
    /// derives; others that ask meanwhile are told so, unless they `must` have it.
    ///
    /// # Errors
    /// See [`NotDerived`].
    pub async fn derive(
        &self,
        entry: &Arc<StoredResponse>,
        coding: Coding,
        level: u32,
        must: bool,
    ) -> Result<(), NotDerived> {
        let content = entry.content();
        if content.get(coding).is_some() {
            return Ok(());
        }
        let claim = content.claim(coding);
        if claim.is_none() && !must {
            return Err(NotDerived::Underway);
        }
        let outcome = self.ensure(content, coding, level).await;
        drop(claim);
        outcome
    }

    /// Derives `coding` when it is this request's turn, unless somebody else has meanwhile.
    async fn ensure(
        &self,
        content: &Content,
        coding: Coding,
        level: u32,
    ) -> Result<(), NotDerived> {
        let turn = self.turn().await?;
        if content.get(coding).is_none() {
            let (source, source_coding) = content.source();
            let (source, job) = (source.clone(), (source_coding, coding, level));
            let (bytes, turn) = self.run(turn, source, job).await?;
            content.derived(coding, bytes);
            // Only now is it the next one's.
            drop(turn);
        }
        Ok(())
    }

    /// The content without its coding.
    ///
    /// # Errors
    /// See [`NotDerived`].
    pub async fn decoded(&self, content: &Content) -> Result<Bytes, NotDerived> {
        if let Some(identity) = content.get(Coding::Identity) {
            return Ok(identity.clone());
        }
        let (original, coding) = (content.original().clone(), content.original_coding());
        let turn = self.turn().await?;
        let job = (coding, Coding::Identity, 0);
        let (decoded, _turn) = self.run(turn, original, job).await?;
        Ok(decoded)
    }

    /// Runs what takes its time off the async threads, when it is its turn.
    ///
    /// # Errors
    /// [`NotDerived::Stopped`].
    pub async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotDerived> {
        let turn = self.turn().await?;
        let task = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        task.await.map_err(|_| NotDerived::Stopped)
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, NotDerived> {
        let permit = Arc::clone(&self.running).acquire_owned().await;
        permit.map_err(|_| NotDerived::Stopped)
    }

    /// From one coding to another, at a level.
    async fn run(
        &self,
        turn: OwnedSemaphorePermit,
        from: Bytes,
        (from_coding, to, level): (Coding, Coding, u32),
    ) -> Result<(Bytes, OwnedSemaphorePermit), NotDerived> {
        let metrics = self.metrics.clone();
        let task = tokio::task::spawn_blocking(move || {
            let coded = |coding: Coding, from: usize, to: usize, began: Instant| {
                let took = began.elapsed();
                metrics.coded(coding.token(), For::Store, (from, to), took);
            };
            let (length, began) = (from.len(), Instant::now());
            let identity = decode(from, from_coding)?;
            if from_coding != Coding::Identity {
                coded(Coding::Identity, length, identity.len(), began);
            }
            let (length, began) = (identity.len(), Instant::now());
            let encoded = encode(identity, to, level)?;
            if to != Coding::Identity {
                coded(to, length, encoded.len(), began);
            }
            Ok((encoded, turn))
        });
        task.await.map_err(|_| NotDerived::Stopped)?
    }
}

fn encode(identity: Bytes, coding: Coding, level: u32) -> Result<Bytes, NotDerived> {
    let Some(mut coder) = Coder::encoder(coding, level) else {
        return Ok(identity);
    };
    let mut encoded = BytesMut::from(&*coder.write(&identity).map_err(|_| NotDerived::Corrupt)?);
    encoded.extend_from_slice(&coder.finish().map_err(|_| NotDerived::Corrupt)?);
    Ok(encoded.freeze())
}

fn decode(encoded: Bytes, coding: Coding) -> Result<Bytes, NotDerived> {
    let most = encoded
        .len()
        .saturating_mul(DECODED_RATIO_MAX)
        .clamp(DECODED_BYTES_FREE, DECODED_BYTES_MAX);
    let Some(mut coder) = Coder::decoder(coding, most) else {
        return Ok(encoded);
    };
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::FileTooLarge => NotDerived::Bomb,
        _ => NotDerived::Corrupt,
    };
    let mut decoded = BytesMut::from(&*coder.write(&encoded).map_err(failed)?);
    decoded.extend_from_slice(&coder.finish().map_err(failed)?);
    Ok(decoded.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_stopped_by_its_ratio() {
        let zeros = Bytes::from(vec![0; 32 << 20]);
        for coding in [Coding::Gzip, Coding::Brotli] {
            let bomb = encode(zeros.clone(), coding, 9).unwrap();
            assert_eq!(decode(bomb, coding), Err(NotDerived::Bomb), "{coding:?}");
        }
    }

    #[test]
    fn a_bomb_goes_off_in_no_piece() {
        let bomb = encode(Bytes::from(vec![0; 32 << 20]), Coding::Brotli, 9).unwrap();
        let mut coder = Coder::decoder(Coding::Brotli, 1 << 20).unwrap();
        let error = coder.write(&bomb).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

    #[tokio::test]
    async fn who_waited_while_somebody_else_derived_does_not_derive_again() {
        let deriver = Deriver::new(1, TransformMetrics::unregistered());
        let busy = Arc::clone(&deriver.running).acquire_owned().await.unwrap();
        // Whoever decodes this fails.
        let content = Content::new(Bytes::from_static(b"no gzip"), Coding::Gzip, true);
        let waiting = deriver.ensure(&content, Coding::Identity, 0);
        let meanwhile = async {
            tokio::task::yield_now().await;
            content.derived(Coding::Identity, Bytes::from_static(b"derived"));
            drop(busy);
        };
        let (waited, ()) = tokio::join!(waiting, meanwhile);
        assert_eq!(waited, Ok(()));
    }

    #[test]
    fn ordinary_content_comes_back() {
        let text = Bytes::from("some json ".repeat(1000));
        for coding in [Coding::Identity, Coding::Gzip, Coding::Brotli] {
            let encoded = encode(text.clone(), coding, 4).unwrap();
            assert_eq!(decode(encoded, coding).unwrap(), text, "{coding:?}");
        }
    }

    #[test]
    fn content_that_is_not_in_its_coding_is_corrupt() {
        let junk = Bytes::from_static(b"{\"not\":\"gzip\"}");
        assert_eq!(decode(junk, Coding::Gzip), Err(NotDerived::Corrupt));
    }
}
