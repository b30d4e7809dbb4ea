//! Purge commands and the methods of purge protocols: nothing panics, and nothing purges that
//! names nothing.

#![no_main]

use std::net::IpAddr;
use std::sync::Arc;

use cms_edge::admin::fuzzing::purge;
use cms_edge::clock::{Clock, ManualClock, Timestamp};
use cms_edge::entry::purges::Purges;
use cms_edge::exchange::Generation;
use cms_edge::purge::SCOPES_MAX;
use cms_edge::purge::local::LocalLog;
use cms_edge::purge::protocol::{Protocol, Settings};
use cms_edge::purge::target::{self, SortedQuery, Targets};
use cms_edge::telemetry::purge::PurgeMetrics;
use cms_edge_fuzz::selected;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((which, data)) = selected(data) else {
        return;
    };
    let settings = target::Settings {
        any_query: which & 1 != 0,
        slash_variants: which & 2 != 0,
    };
    let targets = Targets::new(settings, Arc::new(SortedQuery));
    if which & 4 == 0 {
        command(data, &targets);
    } else {
        protocol(data, targets);
    }
});

fn command(body: &[u8], targets: &Targets) {
    match purge(body, targets) {
        Ok(purge) => {
            assert!((1..=SCOPES_MAX).contains(&purge.scopes().len()));
            for scope in purge.scopes() {
                assert!(!scope.to_string().is_empty());
                scope.hash();
            }
        }
        Err(status) => assert!([400, 422].contains(&status.as_u16())),
    }
}

/// The first line is the target, each other one a field.
fn protocol(data: &[u8], targets: Targets) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let mut request = Request::builder()
        .method("PURGE")
        .uri(lines.next().unwrap_or_default());
    for line in lines.take(32) {
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(line.len());
        let (name, value) = line.split_at(colon);
        let value = HeaderValue::from_bytes(value.get(1..).unwrap_or_default());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), value) {
            request = request.header(name, value);
        }
    }
    let Ok(request) = request.body(()) else {
        return;
    };
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::starting_at(Timestamp::from_secs(
        1_700_000_000,
    )));
    let purges = Arc::new(Purges::new(Generation::new(1)));
    let metrics = PurgeMetrics::unregistered();
    let log = Arc::new(LocalLog::new(
        Arc::clone(&purges),
        clock,
        "fuzz",
        metrics.clone(),
    ));
    let peer = IpAddr::from([192, 0, 2, 1]);
    let settings = Settings {
        allow_from: vec![peer.into()],
        token: None,
    };
    let (head, ()) = request.into_parts();
    let protocol = Protocol::new(settings, log, targets, metrics);
    let answer = protocol.purge(&head, peer).now_or_never().unwrap();
    let has_purged = purges.fence().position.ordinal() > 0;
    assert_eq!(
        answer.status().is_success(),
        has_purged,
        "{}",
        answer.status()
    );
}
