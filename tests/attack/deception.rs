//! Private pages under names that look public (web cache deception), for the most gullible of
//! origins: whatever the name, it answers with the page of whoever is signed in, and says nothing of
//! caching. The table says what becomes of each name.

use std::time::Duration;

use crate::kit::arena::{Arena, Setup};
use crate::kit::recorder::{Reply, Seen};
use crate::kit::scene::{Terms, assert_none, play};
use crate::kit::swarm::{get, status};

/// What becomes of a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Expected {
    /// 400, and nothing at the origin: parties on the way would resolve it differently.
    Refused,
    /// It reaches the origin as this each time, and is never stored.
    Passed(&'static str),
    /// It reaches the origin as this; what strangers get is stored, what the victim gets is not.
    Stored(&'static str),
}

use Expected::{Passed, Refused, Stored};

/// Names that a victim is made to follow.
const NAMES: &[(&str, Expected)] = &[
    // A name of its own to the routes, and the account to many an origin.
    ("/account", Passed("/account")),
    ("/account/", Passed("/account/")),
    ("/account/x.css", Passed("/account/x.css")),
    ("/account/static/x.css", Passed("/account/static/x.css")),
    ("/account/%2e%2e/x.css", Refused),
    ("/account;x.css", Stored("/account;x.css")),
    ("/account;/x.css", Stored("/account;/x.css")),
    ("/account%3bx.css", Stored("/account%3Bx.css")),
    ("/account.css", Stored("/account.css")),
    ("/account%2ecss", Stored("/account.css")),
    ("/account,x.css", Stored("/account,x.css")),
    ("/account!x.css", Stored("/account!x.css")),
    ("/account:x.css", Stored("/account:x.css")),
    ("/account@x.css", Stored("/account@x.css")),
    ("/account$x.css", Stored("/account$x.css")),
    ("/account~x.css", Stored("/account~x.css")),
    ("/account%23x.css", Stored("/account%23x.css")),
    ("/account%3fx.css", Stored("/account%3Fx.css")),
    ("/account%26x.css", Stored("/account%26x.css")),
    ("/account%20x.css", Stored("/account%20x.css")),
    ("/account%c3%9fx.css", Stored("/account%C3%9Fx.css")),
    ("/account?x.css", Passed("/account?x.css")),
    ("/account/?x.css", Passed("/account/?x.css")),
    ("/%61ccount/x.css", Passed("/account/x.css")),
    ("/ACCOUNT/x.css", Stored("/ACCOUNT/x.css")),
    // Slashes that are none, or that are one too many.
    ("/account%2fx.css", Passed("/account%2Fx.css")),
    ("/account%2Fx.css", Passed("/account%2Fx.css")),
    ("/account%5cx.css", Passed("/account%5Cx.css")),
    ("/account\\x.css", Passed("/account\\x.css")),
    ("//account/x.css", Passed("//account/x.css")),
    ("/account//x.css", Passed("/account//x.css")),
    ("/account%252fx.css", Passed("/account%252fx.css")),
    // Ends that are none.
    ("/account%00x.css", Refused),
    ("/account%0ax.css", Refused),
    ("/account%0d%0ax.css", Refused),
    ("/account%09x.css", Refused),
    ("/account%7fx.css", Refused),
    ("/account%0", Refused),
    ("/account%zzx.css", Refused),
    // Below what the operator stores for a day, whoever asks, and back up.
    ("/static/../account", Refused),
    ("/static/..", Refused),
    ("/static/./../account", Refused),
    ("/static/%2e%2e/account", Refused),
    ("/static/.%2E/account", Refused),
    ("/static/..%2faccount", Passed("/static/..%2Faccount")),
    ("/static/%2e%2e%2faccount", Passed("/static/..%2Faccount")),
    ("/static/..%5caccount", Passed("/static/..%5Caccount")),
    ("/static/..\\account", Passed("/static/..\\account")),
    ("/static/..;/account", Refused),
    ("/static/..;a=b/account", Refused),
    ("/static/.;/..;/account", Refused),
    ("/static/..%3b/account", Refused),
    ("/static//account", Passed("/static//account")),
    ("/static//../account", Refused),
    (
        "/static/%252e%252e/account",
        Passed("/static/%252e%252e/account"),
    ),
    ("/static/..%252faccount", Passed("/static/..%252faccount")),
    (
        "/static/%c0%ae%c0%ae/account",
        Passed("/static/%C0%AE%C0%AE/account"),
    ),
    ("/static/..%c0%afaccount", Passed("/static/..%C0%AFaccount")),
    ("/static/..%00/account", Refused),
    ("/static/..%0a/account", Refused),
    ("/static/..%0d/account", Refused),
];

/// What the routes know; `/static` is stored whoever asks, as careless operators write it.
const ROUTES: &str = r#"
[[route]]
name = "account"
path = "/account"
upstream = "origin"
cache = false
[[route]]
name = "below-account"
path = "/account/*"
upstream = "origin"
cache = false
[[route]]
name = "static"
path = "/static/*"
upstream = "origin"
ttl = "very_long"
ttl_mode = "override"
[route.cookies]
bypass = []
forward = true
[route.bypass]
header = []
[[route]]
name = "all"
path = "/*"
upstream = "origin"
"#;

/// How the victim is signed in.
const VICTIMS: [&str; 3] = [
    "cookie: sessionid=victim\r\n",
    "authorization: Bearer victim\r\n",
    // A cookie that no operator has told us of.
    "cookie: other=victim\r\n",
];

const SECRET: &str = "secret of victim";

fn answer(seen: &Seen) -> Reply {
    let signs = [seen.field("cookie"), seen.field("authorization")];
    let is_victim = signs.iter().flatten().any(|sign| sign.contains("victim"));
    Reply::ok(if is_victim { SECRET } else { "please sign in" })
}

#[tokio::test]
async fn a_private_page_is_for_nobody_else_whatever_its_name() {
    let setup = Setup {
        routes: ROUTES,
        needs_origin: true,
        ..Setup::default()
    };
    let Some(arena) = Arena::enter(setup, answer).await else {
        return;
    };
    let mut wrong = Vec::new();
    let attack = async |_| {
        for (index, (name, expected)) in NAMES.iter().enumerate() {
            for (number, victim) in VICTIMS.iter().enumerate() {
                // Two names may be one to the key.
                let host = format!("v{number}-{index}.example.test");
                wrong.extend(judge(&arena, &host, name, victim, *expected).await);
            }
        }
    };
    let terms = Terms {
        name: "cache deception",
        limits: &[],
        growth: 32,
        connections: 1,
        time: Duration::from_secs(1),
        is_on_origin: false,
    };
    play(&arena, terms, attack).await;
    assert_none(&wrong);
}

/// The victim follows the link, then somebody else does, twice.
async fn judge(
    arena: &Arena,
    host: &str,
    name: &str,
    victim: &str,
    expected: Expected,
) -> Option<String> {
    let of_victim = get(arena.target, host, name, victim).await;
    let others = [
        get(arena.target, host, name, "").await,
        get(arena.target, host, name, "").await,
    ];
    let targets: Vec<String> = arena
        .origin()
        .take()
        .into_iter()
        .map(|seen| seen.target)
        .collect();
    let has_leaked = others.iter().any(|answer| answer.contains(SECRET));
    let is_stored = others[1].contains("cache-status: cms-edge; hit");
    let is_refused = [&of_victim, &others[0], &others[1]]
        .iter()
        .all(|answer| status(answer) == "400");
    let is_right = match expected {
        Refused => is_refused && targets.is_empty(),
        Passed(target) => !is_stored && targets == [target, target, target],
        // With a cookie that the origin is not shown, the victim is a stranger, too.
        Stored(target) => {
            is_stored && (1..=2).contains(&targets.len()) && targets.iter().all(|of| of == target)
        }
    };
    let is_wrong = has_leaked || !is_right;
    is_wrong.then(|| {
        let leak = if has_leaked { "LEAKED, " } else { "" };
        format!(
            "{name} of {}: {leak}{expected:?}, but {targets:?}, stored: {is_stored}, {}",
            victim.trim(),
            status(&others[1])
        )
    })
}
