//! Receipts that somebody asks for: of this instance's own purges, of those that it has read in the
//! log, and of those that are in the log without its having read them. Whose process is gone is no
//! matter.

use redis::RedisResult;

use super::Instance;
use super::connection::Link;
use super::record::Draft;
use super::scripts::senseless;
use crate::purge::log::LogError;
use crate::purge::receipt::{Receipt, ReceiptId};

impl Instance {
    /// The receipt as it stands now; nothing: neither this instance nor the log knows it.
    ///
    /// # Errors
    /// This instance does not know it, and the log cannot be asked.
    pub(super) async fn receipt_now(&self, id: ReceiptId) -> Result<Option<Receipt>, LogError> {
        let known = self.ledger.lock().receipt(id);
        if known.as_ref().is_some_and(Receipt::is_complete) {
            return Ok(known);
        }
        let link = self.link.lock().clone();
        let asked = match link {
            Some(link) => self.look(id, known.is_some(), &link).await.is_ok(),
            None => false,
        };
        let known = self.ledger.lock().receipt(id);
        if known.is_none() && !asked {
            return Err(LogError::Unasked);
        }
        Ok(known)
    }

    async fn look(&self, id: ReceiptId, is_known: bool, link: &Link) -> RedisResult<()> {
        if !is_known {
            let Some(record) = self.scripts(link).find(id).await? else {
                return Ok(());
            };
            self.ledger.lock().recalled(id, record);
        }
        let mut status = self.scripts(link).status().await?;
        let strayed = self.ledger.lock().strayed(id, status.generation);
        if let Some(draft) = strayed {
            // Its log was lost, and whoever has appended it may be gone, too.
            self.append_again(link, id, &draft).await?;
            status = self.scripts(link).status().await?;
        }
        self.update(&status);
        let quarantine = self.quarantine();
        self.ledger.lock().update_one(id, &status, quarantine);
        Ok(())
    }

    /// A purge that was given a receipt gets a place in this log, unless it has one.
    pub(super) async fn append_again(
        &self,
        link: &Link,
        id: ReceiptId,
        draft: &Draft,
    ) -> RedisResult<ReceiptId> {
        let appended = self.append_over(link, draft, Some(id)).await?;
        self.ledger.lock().placed(id, appended.place);
        if appended.duplicate {
            // What was applied ahead of its record holds until a record follows: that one is there already.
            let token = getrandom::u64().map_err(|_| senseless())?;
            self.append_over(link, &Draft::nothing(token), None).await?;
        }
        self.open.notify_one();
        tracing::info!(%id, place = %appended.place, "a purge that was given a receipt is in the log");
        Ok(appended.place)
    }
}
