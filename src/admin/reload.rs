//! `POST /reload`: the operator asks for the configuration to be taken over as it is written now.

use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderMap, Response, StatusCode};
use serde_json::json;

use super::Admin;
use crate::body::Body;
use crate::purge::answer::{Problem, json};
use crate::purge::log::Log;

/// What became of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reloaded {
    /// It is in force, but for the keys that need a restart.
    Taken { needs_restart: Vec<String> },
    /// It has mistakes; what was in force before still is.
    Refused { mistakes: Vec<String> },
    /// It could not be looked at.
    Unavailable(&'static str),
}

/// Reloads; done when the new configuration is in force, or is not going to be.
pub type Reload = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Reloaded> + Send>> + Send + Sync>;

impl<L: Log> Admin<L> {
    /// With `POST /reload`, which is not there otherwise.
    #[must_use]
    pub fn with_reload(self, reload: Reload) -> Self {
        Self {
            reload: Some(reload),
            ..self
        }
    }

    pub(super) async fn reload(&self, headers: &HeaderMap) -> Response<Body> {
        if let Err(why) = self.authorize(headers) {
            return self.unauthorized(why);
        }
        let Some(reload) = &self.reload else {
            return super::not_found("this instance has no file to reload");
        };
        match reload().await {
            Reloaded::Taken { needs_restart } => {
                let answer = json!({ "outcome": "ok", "needs_restart": needs_restart });
                json(StatusCode::OK, &answer)
            }
            Reloaded::Refused { mistakes } => {
                let detail = "the configuration has mistakes; what was in force still is";
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "mistakes", detail)
                    .with("mistakes", mistakes)
                    .response()
            }
            Reloaded::Unavailable(why) => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", why).response()
            }
        }
    }
}
