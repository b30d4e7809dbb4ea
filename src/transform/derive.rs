//! Whole representations in another coding, derived off the async threads and kept with the
//! stored response.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use thiserror::Error;
use tokio::sync::Semaphore;

use super::coder::Coder;
use crate::entry::{Content, StoredResponse};
use crate::fields::accept_encoding::Coding;

/// Runs the coders; as many at once as the machine has cores, the rest waits.
#[derive(Debug)]
pub struct Deriver {
    running: Arc<Semaphore>,
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
/// Bytes given to a decoder at a time, so that a bomb is noticed before it has gone off.
const PIECE_BYTES: usize = 4096;

impl Deriver {
    pub fn new(at_once: usize) -> Self {
        Self {
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
        let (source, source_coding) = content.source();
        let bytes = self
            .run(source.clone(), source_coding, coding, level)
            .await?;
        content.derived(coding, bytes);
        drop(claim);
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
        self.run(original, coding, Coding::Identity, 0).await
    }

    async fn run(
        &self,
        from: Bytes,
        from_coding: Coding,
        to: Coding,
        level: u32,
    ) -> Result<Bytes, NotDerived> {
        let permit = Arc::clone(&self.running).acquire_owned().await;
        let permit = permit.map_err(|_| NotDerived::Stopped)?;
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let identity = decode(from, from_coding)?;
            encode(identity, to, level)
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
    let Some(mut coder) = Coder::decoder(coding) else {
        return Ok(encoded);
    };
    let most = encoded
        .len()
        .saturating_mul(DECODED_RATIO_MAX)
        .clamp(DECODED_BYTES_FREE, DECODED_BYTES_MAX);
    let mut decoded = BytesMut::new();
    for piece in encoded.chunks(PIECE_BYTES) {
        decoded.extend_from_slice(&coder.write(piece).map_err(|_| NotDerived::Corrupt)?);
        if decoded.len() > most {
            return Err(NotDerived::Bomb);
        }
    }
    decoded.extend_from_slice(&coder.finish().map_err(|_| NotDerived::Corrupt)?);
    if decoded.len() > most {
        return Err(NotDerived::Bomb);
    }
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
