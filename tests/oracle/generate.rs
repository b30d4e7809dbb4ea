//! Cases at random. Values are well-formed but for a few broken ones whose meaning the model states.

use cms_edge::entry::purges::Mode;
use cms_edge::policy::{Profile, TtlMode};

use super::random::Random;
use super::script::{Ask, Case, Reply, Setup, Step, URLS, Value, What};

/// Directives of `Cache-Control`, those that matter most several times.
const RESPONSE_DIRECTIVES: [&str; 46] = [
    "max-age=10",
    "max-age=10",
    "max-age=60",
    "max-age=60",
    "max-age=5",
    "max-age=0",
    "max-age=1",
    "max-age=100000",
    "s-maxage=10",
    "s-maxage=60",
    "s-maxage=0",
    "no-cache",
    "no-cache",
    "no-cache=\"set-cookie\"",
    "no-store",
    "private",
    "private=\"x-a, x-b\"",
    "public",
    "public",
    "must-revalidate",
    "must-revalidate",
    "must-revalidate",
    "proxy-revalidate",
    "must-understand",
    "must-understand, no-store",
    "immutable",
    "immutable",
    "no-transform",
    "stale-while-revalidate=20",
    "stale-while-revalidate=5",
    "stale-while-revalidate=20",
    "stale-if-error=30",
    "stale-if-error=30",
    "MAX-AGE=60",
    "max-age=\"60\"",
    // Broken: no number is none, and space around the `=` spoils it. Both are 0.
    "max-age=soon",
    "max-age =60",
    // The smaller one counts.
    "max-age=60, max-age=10",
    // An argument where there is none forbids all the same, and permits nothing.
    "no-store=1",
    "public=1",
    "immutable=1",
    "x-unknown=\"no-store, private\"",
    ", ,",
    "max-age=99999999999",
    "s-maxage=5, stale-if-error=10",
    "s-maxage=5, stale-if-error=10",
];

const TARGETED: [&str; 18] = [
    "max-age=30",
    "max-age=30, stale-while-revalidate=10",
    "max-age=5",
    "s-maxage=20",
    "max-age=0",
    "no-store",
    "private",
    "public",
    "no-cache",
    "must-revalidate, max-age=5",
    "max-age=30;a=b",
    "max-age=5, max-age=40",
    "no-store=?0, max-age=30",
    // Invalid, and so as if they were not there.
    "max-age=\"30\"",
    "max-age=1.5",
    "max-age=30,",
    "Max-Age=30",
    "",
];

const REQUEST_DIRECTIVES: [&str; 22] = [
    "no-cache",
    "no-cache",
    "no-store",
    "max-age=0",
    "max-age=5",
    "max-age=5",
    "max-age=30",
    "max-age=100",
    "max-stale",
    "max-stale=5",
    "max-stale=30",
    "min-fresh=5",
    "min-fresh=30",
    "only-if-cached",
    "only-if-cached, max-stale",
    "max-age=100, max-stale=20",
    "stale-if-error=20",
    "stale-if-error=100",
    "stale-if-error=100",
    "stale-if-error=20, no-cache",
    // Broken: not asked.
    "max-age=soon",
    "min-fresh",
];

const STATUSES: [u16; 42] = [
    200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 203, 204,
    301, 302, 307, 308, 400, 401, 403, 404, 405, 410, 414, 416, 429, 500, 501, 502, 503, 504, 599,
    304, 0, 0, 503,
];

const VARIES: [&str; 11] = [
    "accept-language",
    "accept-language",
    "x-theme",
    "X-Theme",
    "accept-language, x-theme",
    "accept-encoding",
    "accept-encoding,, x-theme ,",
    "*",
    "x-theme, *",
    // What strangers may not claim; the client's address, though, is what it says.
    "x-forwarded-host",
    "x-forwarded-for",
];

const ETAGS: [&str; 6] = ["\"a\"", "\"a\"", "W/\"a\"", "\"b\"", "\"\"", "a"];
const TAGS: [&str; 5] = ["t1", "t2", "t1 t2", "T1,t3", "t3"];
const HOSTS: [&str; 2] = ["a.example", "b.example"];

pub(crate) fn case(random: &mut Random) -> Case {
    let setup = setup(random);
    let steps = 8 + random.below(24);
    // Few URLs, so that steps have to do with each other.
    let urls: Vec<usize> = (0..=random.below(3))
        .map(|_| usize::try_from(random.below(URLS.len() as u64)).unwrap())
        .collect();
    let steps = (0..steps).map(|_| step(random, &urls)).collect();
    Case { setup, steps }
}

fn setup(random: &mut Random) -> Setup {
    Setup {
        profile: random.of(&[Profile::Cms, Profile::Rfc]),
        mode: random.of(&[
            TtlMode::Default,
            TtlMode::Default,
            TtlMode::Cap,
            TtlMode::Floor,
            TtlMode::Override,
        ]),
        ttl: random.of(&[0, 0, 20, 100]),
        ttl_max: random.of(&[31_536_000, 31_536_000, 50]),
        ttl_by_status: random.of(&[&[][..], &[(404, 20), (5, 10)], &[(4, 10), (301, 40)]]),
        stale_while_revalidate: random.of(&[None, Some(0), Some(20)]),
        stale_if_error: random.of(&[0, 0, 30]),
        strict_private: random.percent(50),
        request_directives: random.percent(85),
        has_languages: random.percent(20),
        variants_max: random.of(&[2, 16, 16]),
    }
}

fn step(random: &mut Random, urls: &[usize]) -> Step {
    match random.below(100) {
        0..55 => Step::Ask(ask(random, urls)),
        55..63 => Step::Land(usize::try_from(random.below(4)).unwrap()),
        63..68 => write(random, urls),
        68..76 => Step::Purge {
            scope: what(random),
            mode: random.of(&[Mode::Hard, Mode::Soft]),
        },
        76..80 => Step::Inspect,
        _ => Step::Clock(clock(random)),
    }
}

fn clock(random: &mut Random) -> u64 {
    match random.below(10) {
        0..2 => random.below(2000),
        2..8 => 1000 * random.of(&[1, 2, 5, 9, 10, 11, 20, 30, 60]),
        8 => 1000 * random.below(200) + random.below(1000),
        _ => 1000 * random.of(&[100, 1000, 10_000, 90_000]),
    }
}

fn ask(random: &mut Random, urls: &[usize]) -> Ask {
    let mut fields = Vec::new();
    let languages = [
        "de",
        "en",
        "de, en;q=0.5",
        "de,en; q=0.5",
        "en, de",
        "de, en",
    ];
    let languages = [
        &languages[..],
        &["DE", "fr", "de-AT, en", "en;q=0.5,de", "fr;q=0.2, de"],
    ];
    match random.below(10) {
        0..3 => {}
        3 => {
            fields.push(("accept-language", "de"));
            fields.push(("accept-language", "en;q=0.5"));
        }
        _ => fields.push(("accept-language", random.of(&languages.concat()))),
    }
    if random.percent(40) {
        let themes = ["a", "b", "", "a,b", "a, b", "b,a"];
        fields.push(("x-theme", random.of(&themes)));
    }
    if random.percent(25) {
        fields.push(("cache-control", random.of(&REQUEST_DIRECTIVES)));
    } else if random.percent(3) {
        fields.push(("pragma", "no-cache"));
    }
    if random.percent(15) {
        fields.push(("authorization", "Basic eA=="));
    }
    if random.percent(10) {
        fields.push((
            "if-none-match",
            random.of(&["\"a\"", "W/\"b\", \"c\"", "*"]),
        ));
    }
    Ask {
        url: random.of(urls),
        head: random.percent(5),
        fields,
        reply: reply(random),
        takes: match random.below(10) {
            0..3 => None,
            3..8 => Some(0),
            8 => Some(random.below(3000)),
            _ => Some(1000 * random.below(8)),
        },
    }
}

fn reply(random: &mut Random) -> Reply {
    let mut fields = Vec::new();
    control(random, &mut fields, 80);
    let mut maybe = |percent, name, values: &[&'static str]| {
        if random.percent(percent) {
            fields.push((name, Value::Text(random.of(values))));
        }
    };
    maybe(50, "etag", &ETAGS);
    maybe(25, "vary", &VARIES);
    maybe(5, "set-cookie", &["a=b"]);
    maybe(50, "cache-tag", &TAGS);
    maybe(
        10,
        "content-language",
        &["de", "en", "de, en", "fr", "de-AT"],
    );
    maybe(2, "content-type", &["text/event-stream"]);
    if random.percent(35) {
        let modified = [-1000, -100_000, -3_000_000, 50].map(Value::At);
        let broken = [Value::Text("yesterday")];
        let all = [&modified[..], &modified, &modified, &broken].concat();
        fields.push(("last-modified", random.of(&all)));
    }
    Reply {
        status: random.of(&STATUSES),
        not_modified: random.percent(60).then(|| not_modified(random)),
        fields,
    }
}

fn not_modified(random: &mut Random) -> Vec<(&'static str, Value)> {
    let mut fields = Vec::new();
    control(random, &mut fields, 50);
    match random.below(10) {
        0..5 => fields.push(("etag", Value::Echo)),
        5..7 => fields.push(("etag", Value::Text(random.of(&ETAGS)))),
        _ => {}
    }
    if random.percent(10) {
        fields.push(("vary", Value::Text(random.of(&VARIES))));
    }
    if random.percent(10) {
        fields.push(("cache-tag", Value::Text(random.of(&TAGS))));
    }
    fields
}

/// What says for how long: directives, `Expires`, `Date`, `Age`.
fn control(random: &mut Random, fields: &mut Vec<(&'static str, Value)>, percent: u64) {
    if random.percent(percent) {
        for _ in 0..random.of(&[1, 1, 2, 2, 3, 4]) {
            let directive = random.of(&RESPONSE_DIRECTIVES);
            fields.push(("cache-control", Value::Text(directive)));
        }
    }
    if random.percent(12) {
        fields.push(("cdn-cache-control", Value::Text(random.of(&TARGETED))));
    }
    if random.percent(8) {
        fields.push(("cms-edge-cache-control", Value::Text(random.of(&TARGETED))));
    }
    if random.percent(20) {
        let values = [
            Value::At(30),
            Value::At(10),
            Value::At(-5),
            Value::Text("0"),
        ];
        fields.push(("expires", random.of(&values)));
        if random.percent(5) {
            fields.push(("expires", random.of(&values)));
        }
    }
    if random.percent(60) {
        let values = [
            Value::At(0),
            Value::At(0),
            Value::At(0),
            Value::At(-7),
            Value::At(-40),
        ];
        let strange = [Value::At(20), Value::Text("today")];
        fields.push(("date", random.of(&[&values[..], &strange].concat())));
    }
    if random.percent(12) {
        let values = ["0", "4", "30", "7, 3", "old", "99999999999"];
        fields.push(("age", Value::Text(random.of(&values))));
    }
}

fn write(random: &mut Random, urls: &[usize]) -> Step {
    let mut fields = Vec::new();
    let named = [
        "/news",
        "/news?x=1",
        "/news/a",
        "https://a.example/news",
        "https://A.example/newsletter",
        "https://b.example/news",
        "/elsewhere",
    ];
    if random.percent(40) {
        fields.push(("location", random.of(&named)));
    }
    if random.percent(20) {
        fields.push(("content-location", random.of(&named)));
    }
    Step::Write {
        method: random.of(&["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "MERGE"]),
        url: random.of(urls),
        status: random.of(&[200, 201, 204, 303, 400, 409, 500]),
        fields,
    }
}

fn what(random: &mut Random) -> What {
    let hosts = ["a.example", "a.example", "a.example", "b.example", ""];
    let paths = ["/news", "/news", "/news/", "/", "/news/a", "/new"];
    match random.below(20) {
        0 => What::Everything,
        1..3 => What::Host(random.of(&HOSTS)),
        3..7 => What::Prefix(random.of(&hosts), random.of(&paths)),
        7..10 => What::Path(random.of(&hosts), random.of(&paths)),
        10..14 => What::Url(
            random.of(&hosts),
            random.of(&paths),
            random.of(&["", "x=1"]),
        ),
        _ => What::Tag(random.of(&["t1", "T1", "t2", "t3", "t4"])),
    }
}
