//! The one ordered log that every purge has a place in.

use std::future::Future;

use thiserror::Error;

use super::Purge;
use super::receipt::{Receipt, ReceiptId};

/// One log per namespace. Its records are numbered from 1 without gaps within one generation;
/// when [`Log::append`] returns, this instance has applied the record and all before it.
pub trait Log: Send + Sync + 'static {
    /// Appends `purge`, or finds the record that was appended with the same delivery.
    ///
    /// An implementation bounds its own waiting.
    ///
    /// # Errors
    /// Only when the purge is neither in the log nor kept for later: it is lost unless the sender
    /// repeats it.
    fn append(&self, purge: Purge) -> impl Future<Output = Result<Receipt, LogError>> + Send;

    /// The receipt as it stands now, or nothing when the log does not remember that far back.
    ///
    /// # Errors
    /// When the log cannot be asked.
    fn receipt(
        &self,
        id: ReceiptId,
    ) -> impl Future<Output = Result<Option<Receipt>, LogError>> + Send;
}

/// The log could not do what it was asked to.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum LogError {
    #[error("the purge log cannot be reached, and nothing was kept for later")]
    Unavailable,
    #[error("the purge log did not answer in time; whether the purge was appended is not known")]
    Deadline,
}
