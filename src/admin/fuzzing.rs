//! A door for `fuzz/` to the reader of purge commands. Compiled only with the feature `fuzzing`,
//! which the program never has.

use http::StatusCode;

use super::command;
use crate::purge::Purge;
use crate::purge::target::Targets;

/// The purge that `body` asks for, or the status that it is refused with.
///
/// # Errors
/// 400 for what is not JSON, 422 for JSON that is no purge.
pub fn purge(body: &[u8], targets: &Targets) -> Result<Purge, StatusCode> {
    command::parse(body, targets).map_err(|refusal| refusal.problem().response().status())
}
