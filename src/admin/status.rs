//! `GET /status`: how this instance stands, and what somebody should look after.

use std::sync::Arc;

use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use super::{Admin, switches, unauthorized};
use crate::body::Body;
use crate::purge::answer;
use crate::purge::log::Log;

/// What the rooms say of themselves: an object. Its `problems` are sentences.
pub type Look = Arc<dyn Fn() -> Value + Send + Sync>;

impl<L: Log> Admin<L> {
    /// What `GET /status` tells besides readiness and switches.
    #[must_use]
    pub fn with_status(self, look: Look) -> Self {
        Self {
            status: Some(look),
            ..self
        }
    }

    pub(super) fn status(&self, headers: &HeaderMap) -> Response<Body> {
        if let Err(why) = self.authorize(headers) {
            return unauthorized(why);
        }
        let mut told = self
            .status
            .as_ref()
            .map_or_else(|| json!({}), |look| look());
        if let Some(members) = told.as_object_mut() {
            let state = self.readiness.state().as_str();
            members.insert("state".to_owned(), state.into());
            let standing = switches::to_json(&self.switches.standing());
            members.insert("switches".to_owned(), standing);
        }
        answer::json(StatusCode::OK, &told)
    }
}
