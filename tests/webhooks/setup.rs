//! Webhooks that cannot work are not made, and those that can are found.

use std::sync::Arc;

use cms_edge::purge::webhook::settings::{Dialect, Settings, SettingsError};
use cms_edge::purge::webhook::{Webhook, Webhooks};

use crate::senders::{demo, strapi};
use crate::support::{rule, settings, stage, standard_dialect};

#[test]
fn a_webhook_that_cannot_work_is_refused() {
    let stage = stage();
    let refused = |settings| Webhook::new(settings, stage.shared(Arc::clone(&stage.log))).err();
    let nobody = Dialect::Standard {
        secrets: Vec::new(),
    };
    assert_eq!(
        refused(settings("a", nobody, demo().rules)),
        Some(SettingsError::NoSecret("a".into()))
    );
    assert_eq!(
        refused(settings("a", standard_dialect(), Vec::new())),
        Some(SettingsError::NoRule("a".into()))
    );
    let empty = vec![rule("a", &["t"], &[]), rule("b", &[], &["only-a-fallback"])];
    assert_eq!(
        refused(settings("a", standard_dialect(), empty)),
        Some(SettingsError::NothingToPurge {
            name: "a".into(),
            rule: 2
        })
    );
}

#[test]
fn webhooks_are_found_by_their_paths_which_differ() {
    let stage = stage();
    let shared = stage.shared(Arc::clone(&stage.log));
    let webhooks = Webhooks::new(vec![demo(), strapi()], &shared).unwrap();
    assert_eq!(
        webhooks.at("/_cms-edge/webhook/strapi").unwrap().name(),
        "strapi"
    );
    assert!(webhooks.at("/_cms-edge/webhook/other").is_none());
    let other = Settings {
        name: "other".into(),
        ..demo()
    };
    assert_eq!(
        Webhooks::new(vec![demo(), other], &shared).err(),
        Some(SettingsError::SamePath {
            first: "demo".into(),
            second: "other".into()
        })
    );
}
