//! The one ordered log that every purge has a place in.

use std::future::Future;
use std::time::Duration;

use thiserror::Error;

use super::Purge;
use super::receipt::{Receipt, ReceiptId};

/// One log per namespace. Its records are numbered from 1 without gaps within one generation;
/// when an append returns, this instance serves nothing that it covers.
pub trait Log: Send + Sync + 'static {
    /// Appends `purge`, or finds the record that was appended with the same delivery.
    ///
    /// An implementation bounds its own waiting.
    ///
    /// # Errors
    /// Only when the purge is neither in the log nor kept for later: it is lost unless the sender
    /// repeats it.
    fn append_and_wait(
        &self,
        purge: Purge,
        wait: Wait,
    ) -> impl Future<Output = Result<Receipt, LogError>> + Send;

    /// As [`Log::append_and_wait`], without waiting for other instances.
    ///
    /// # Errors
    /// As there.
    fn append(&self, purge: Purge) -> impl Future<Output = Result<Receipt, LogError>> + Send {
        self.append_and_wait(purge, Wait::Local)
    }

    /// The receipt as it stands now, or nothing when the log does not remember that far back.
    ///
    /// # Errors
    /// When the log cannot be asked.
    fn receipt(
        &self,
        id: ReceiptId,
    ) -> impl Future<Output = Result<Option<Receipt>, LogError>> + Send;
}

/// What an append waits for, once the record is in the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wait {
    /// This instance has applied it.
    Local,
    /// All instances have, or so long has passed since the append was asked for.
    All(Duration),
}

/// The log could not do what it was asked to.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum LogError {
    #[error("the purge log cannot be reached, and nothing was kept for later")]
    Unavailable,
    #[error("too many purges have no complete receipt yet: this one was refused")]
    Full,
    #[error("this instance does not know the purge, and the purge log cannot be asked")]
    Unasked,
    #[error("the purge log did not answer in time; whether the purge was appended is not known")]
    Deadline,
}
