//! Metrics, traces and the access log of a whole instance.

use std::path::Path;
use std::time::Duration;

use http::Method;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::client::Client;
use crate::support::origin::{Origin, Reply};
use crate::support::program::Program;
use crate::support::script::{script, until};
use crate::support::stage::{Answer, Stage, exchange, whole};

const LANGUAGES: &str = r#"
[[route]]
name = "pages"
path = "/*"
upstream = "origin"
language = { supported = ["en", "de"], default = "en", sources = ["header"] }
stale_while_revalidate = "1h"
hit_for_miss = "1h"
"#;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn requests_are_counted_and_timed_by_route_outcome_and_language() {
    let origin = Origin::start(|request| async move {
        match request.target.as_str() {
            "/private" => Reply::ok("mine").header("cache-control", "private"),
            _ => Reply::ok("page").header("cache-control", "max-age=60"),
        }
    })
    .await;
    let stage = Stage::start(&origin, LANGUAGES).await;
    let german = [("accept-language", "de-CH, tlh;q=0.5")];
    for fields in [&german[..], &german[..], &[]] {
        stage.get("/a", fields).await;
    }
    let series = async |outcome: &str, language: &str| {
        let labels = format!("route=\"pages\",outcome=\"{outcome}\",language=\"{language}\"");
        let count = format!("cms_edge_request_duration_seconds_count{{{labels}}}");
        let all = format!("cms_edge_request_duration_seconds_bucket{{le=\"+Inf\",{labels}}}");
        (stage.metric(&count).await, stage.metric(&all).await)
    };
    assert_eq!(series("miss", "de").await, (1, 1));
    assert_eq!(series("hit", "de").await, (1, 1));
    assert_eq!(series("miss", "en").await, (1, 1));
    assert_eq!(series("hit", "en").await, (0, 0));
    for _ in 0..2 {
        stage.get("/private", &[]).await;
    }
    stage.clock.advance(Duration::from_secs(61));
    let stale = stage.get("/a", &[]).await.cache_status();
    assert!(stale.starts_with("cms-edge; hit; ttl=-"), "{stale}");
    for (name, wanted) in [
        ("hits_total{tier=\"memory\"}", 2),
        ("misses_total{reason=\"uri-miss\"}", 4),
        ("hit_for_miss_total", 1),
        ("response_content_bytes_total{route=\"pages\"}", 24),
        ("requests_total{route=\"pages\",outcome=\"stale\"}", 1),
    ] {
        let series = format!("cms_edge_{name}");
        assert_eq!(stage.metric(&series).await, wanted, "{series}");
    }
    let metrics = stage.admin("/metrics").await.text();
    assert!(!metrics.contains("tlh"), "a client makes no label");
    for name in ["process_open_fds ", "process_cpu_seconds_total "] {
        assert!(
            metrics.contains(&format!("\n{name}")),
            "{name} in {metrics}"
        );
    }
}

#[tokio::test]
async fn what_compression_costs_and_saves_is_counted() {
    let origin = Origin::start(|_| async {
        Reply::ok("text ".repeat(2000)).header("content-type", "text/plain")
    })
    .await;
    let stage = Stage::start(&origin, "").await;
    stage.get("/a", &[("accept-encoding", "br")]).await;
    let figure = async |name: &str| {
        let labels = "{coding=\"br\",purpose=\"store\"}";
        stage
            .metric(&format!("cms_edge_compression_{name}_total{labels}"))
            .await
    };
    assert_eq!(figure("input_bytes").await, 10_000);
    let output = figure("output_bytes").await;
    assert!((1..1000).contains(&output), "{output}");
}

#[tokio::test]
async fn the_origin_is_told_the_trace_with_a_span_of_ours_as_its_parent() {
    let origin = Origin::start(|_| async { Reply::ok("page") }).await;
    let uncached =
        "[[route]]\nname = \"all\"\npath = \"/pass/*\"\nupstream = \"origin\"\ncache = false\n";
    let stage = Stage::start(&origin, &format!("{uncached}{LANGUAGES}")).await;
    let state = ("tracestate", "a=1, b=2");
    let cases = [
        (vec![("traceparent", PARENT), state], true, Some("a=1,b=2")),
        (
            vec![("traceparent", PARENT), ("tracestate", "A=1")],
            true,
            None,
        ),
        (vec![("traceparent", "00-nonsense-01"), state], false, None),
        (
            vec![("traceparent", PARENT), ("traceparent", PARENT), state],
            false,
            None,
        ),
        (vec![state], false, None),
    ];
    for (number, (fields, is_continued, state)) in cases.iter().enumerate() {
        for kind in ["pass", "store"] {
            stage.get(&format!("/{kind}/{number}"), fields).await;
            let requests = origin.requests();
            let got = requests.last().unwrap();
            let parent = got.header("traceparent").unwrap();
            let pieces: Vec<&str> = parent.split('-').collect();
            assert_eq!(parent.len(), 55, "{parent}");
            assert_eq!(pieces[1] == TRACE_ID, *is_continued, "{kind} {fields:?}");
            assert_ne!(pieces[2], "00f067aa0ba902b7", "a span of ours");
            assert_eq!(pieces[3], if *is_continued { "01" } else { "02" });
            assert_eq!(got.headers.get_all("traceparent").iter().count(), 1);
            assert_eq!(got.header("tracestate"), *state, "{kind} {fields:?}");
        }
    }
    for (outcome, wanted) in [("continued", 4), ("malformed", 4), ("started", 2)] {
        let series = format!("cms_edge_trace_contexts_total{{outcome=\"{outcome}\"}}");
        assert_eq!(stage.metric(&series).await, wanted, "{series}");
    }
}

#[tokio::test]
async fn two_exchanges_for_one_request_are_two_spans_of_one_trace() {
    let (origin, mut script) = script().await;
    let stage = Stage::start(&origin, "").await;
    let page = || {
        Reply::ok("page")
            .header("cache-control", "max-age=60")
            .header("etag", "\"1\"")
    };
    let (_, ()) = tokio::join!(stage.get("/a", &[]), async {
        script.asked().await.answer(page());
    });
    // What is validated is purged meanwhile, so that it is fetched whole.
    let no_cache = [("cache-control", "no-cache"), ("traceparent", PARENT)];
    let mut parents = Vec::new();
    let (answer, ()) = tokio::join!(stage.get("/a", &no_cache), async {
        let validation = script.asked().await;
        parents.push(validation.request.header("traceparent").unwrap().to_owned());
        stage.purge(r#"{"everything": true}"#).await;
        validation.answer(Reply::new(304).header("etag", "\"1\""));
        let whole = script.asked().await;
        parents.push(whole.request.header("traceparent").unwrap().to_owned());
        whole.answer(page());
    });
    assert_eq!(answer.status, 200);
    assert!(parents.iter().all(|parent| parent.contains(TRACE_ID)));
    assert_ne!(parents[0], parents[1]);
}

/// A program whose access log is the file `log` in `folder`.
async fn logging(folder: &Path, origin: &Origin, log: &str) -> Program {
    let text = format!(
        "[server]\nhttp = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [log]\naccess = \"{log}\"\nquery = \"redacted\"\n\
         [upstream.origin]\nservers = [\"{}\"]\n\
         [[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\n\
         bypass = {{ query = [\"entwurf\"] }}\n",
        origin.uri().to_string().trim_end_matches('/')
    );
    Program::serve(folder, &text).await
}

async fn get(program: &Program, path: &str, fields: &[(&str, &str)]) -> Answer {
    let mut request = http::Request::builder().method(Method::GET).uri(path);
    for (name, value) in [("host", "www.example.test")].iter().chain(fields) {
        request = request.header(*name, *value);
    }
    let body = http_body_util::Full::default();
    whole(exchange(program.http[0], request.body(body).unwrap()).await).await
}

async fn metrics(program: &Program) -> String {
    let request = http::Request::get("/metrics").header("host", "admin");
    let request = request.body(http_body_util::Full::default()).unwrap();
    whole(exchange(program.admin, request).await).await.text()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

#[tokio::test]
async fn the_access_log_is_a_file_that_is_opened_anew_on_sigusr1() {
    let origin = Origin::start(|_| async { Reply::ok("page") }).await;
    let folder = TempDir::new().unwrap();
    let (path, old) = (
        folder.path().join("access.log"),
        folder.path().join("access.log.1"),
    );
    let program = logging(folder.path(), &origin, path.to_str().unwrap()).await;
    let agent = "agent ".repeat(200);
    let fields = [("traceparent", PARENT), ("user-agent", &agent)];
    for _ in 0..2 {
        get(&program, "/a?token=SECRET&page=2&entwurf=SECRET&b", &fields).await;
    }
    until("two lines", async || lines(&path).len() == 2).await;
    for line in lines(&path) {
        assert_eq!(line["query"], "token=***&page=2&entwurf=***&b");
        assert_eq!(line["trace_id"], TRACE_ID);
        assert_eq!(line["bytes"], 4);
        assert_eq!(line["user_agent"].as_str().unwrap().len(), 256);
    }
    std::fs::rename(&path, &old).unwrap();
    program.signal("USR1").await;
    until("a new file", async || path.exists()).await;
    get(&program, "/b", &[]).await;
    until("a line in it", async || lines(&path).len() == 1).await;
    assert_eq!(lines(&old).len(), 2);
    assert_eq!(lines(&path)[0]["path"], "/b");
    assert!(lines(&path)[0]["query"].is_null());
    let forwarded = lines(&path)[0]["trace_id"].as_str().map(str::len);
    assert_eq!(forwarded, Some(32), "a miss begins a trace");
}

#[tokio::test]
async fn a_log_on_a_full_disk_is_counted_and_stops_nothing() {
    let origin = Origin::start(|_| async { Reply::ok("page") }).await;
    for log in ["/dev/full", "/nowhere/access.log"] {
        let folder = TempDir::new().unwrap();
        let program = logging(folder.path(), &origin, log).await;
        for _ in 0..3 {
            assert_eq!(get(&program, "/a", &[]).await.text(), "page");
        }
        let failed = "\ncms_edge_access_log_failed_total 3\n";
        let lost = async || metrics(&program).await.contains(failed);
        until("the count of lost lines", lost).await;
    }
}

#[tokio::test]
async fn tls_sessions_are_counted_by_what_was_agreed_on() {
    let origin = Origin::start(|_| async { Reply::ok("page") }).await;
    let folder = TempDir::new().unwrap();
    let made = rcgen::generate_simple_self_signed(["www.example.test".to_owned()]).unwrap();
    std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
    let key = made.signing_key.serialize_pem();
    std::fs::write(folder.path().join("key.pem"), key).unwrap();
    let text = format!(
        "[server]\nhttp = []\nhttps = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [[certificate]]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n\
         [upstream.origin]\nservers = [\"{}\"]\n\
         [[route]]\nname = \"all\"\npath = \"/*\"\nupstream = \"origin\"\n",
        origin.uri().to_string().trim_end_matches('/')
    );
    let program = Program::serve(folder.path(), &text).await;
    let client = Client {
        version: &rustls::version::TLS13,
        protocol: "h2",
        roots: vec![made.cert.der().clone()],
    };
    client.get(program.https[0], "www.example.test", "/").await;
    let metrics = metrics(&program).await;
    let series = "cms_edge_tls_sessions_total{handshake=\"full\",\
                  cipher=\"TLS13_AES_128_GCM_SHA256\",group=\"X25519MLKEM768\"} 1";
    assert!(metrics.contains(series), "{metrics}");
}

#[tokio::test]
async fn sigusr1_ends_no_program_that_logs_to_its_output() {
    let (origin, mut script) = script().await;
    let folder = TempDir::new().unwrap();
    let program = logging(folder.path(), &origin, "stdout").await;
    program.signal("USR1").await;
    let (answer, ()) = tokio::join!(get(&program, "/a", &[]), async {
        script.asked().await.answer(Reply::ok("alive"));
    });
    assert_eq!(answer.text(), "alive");
}

impl Program {
    /// Sends it a signal by its name.
    async fn signal(&self, name: &str) {
        let (name, id) = (format!("-{name}"), self.id().to_string());
        let sent = Command::new("kill").args([name, id]).status().await;
        assert!(sent.unwrap().success());
    }
}

#[cfg(feature = "otlp")]
mod otlp {
    use super::*;

    #[tokio::test]
    async fn spans_of_sampled_requests_reach_the_receiver() {
        let receiver = Origin::start(|_| async { Reply::ok("{}") }).await;
        let origin = Origin::start(|request| async move {
            match request.target.as_str() {
                "/missing" => Reply::new(404),
                _ => Reply::ok("page").header("cache-control", "max-age=60"),
            }
        })
        .await;
        let receiver_uri = receiver.uri();
        let endpoint = receiver_uri.to_string();
        let endpoint = endpoint.trim_end_matches('/');
        let trace = format!("[trace]\nendpoint = \"{endpoint}\"\nsample_percent = 0\n{LANGUAGES}");
        let stage = Stage::start(&origin, &trace).await;
        let unsampled = PARENT.replace("-01", "-00");
        stage
            .get("/unsampled", &[("traceparent", &unsampled)])
            .await;
        stage.get("/begun-here", &[]).await;
        for path in ["/a", "/a", "/missing"] {
            let fields = [("traceparent", PARENT), ("accept-language", "de")];
            stage.get(path, &fields).await;
        }
        until("both spans", async || spans(&receiver).len() == 2).await;
        let request = &receiver.requests()[0];
        assert_eq!(request.target, "/v1/traces");
        assert_eq!(request.header("content-type"), Some("application/json"));
        let spans = spans(&receiver);
        let seen: Vec<_> = origin.requests();
        for (span, path, status, code) in [
            (&spans[0], "/a", "200", 0),
            (&spans[1], "/missing", "404", 2),
        ] {
            assert_eq!(span["traceId"], TRACE_ID);
            assert_eq!(span["parentSpanId"], "00f067aa0ba902b7");
            assert_eq!(span["name"], "GET pages");
            assert_eq!(span["kind"], 3);
            assert_eq!(span["status"]["code"], code);
            assert_eq!(attribute(span, "url.path")["stringValue"], path);
            assert_eq!(attribute(span, "cms_edge.language")["stringValue"], "de");
            let got = attribute(span, "http.response.status_code");
            assert_eq!(got["intValue"], status);
            let at_origin = seen.iter().find(|request| request.target == path).unwrap();
            let parent = at_origin.header("traceparent").unwrap();
            let id = span["spanId"].as_str().unwrap();
            assert!(parent.contains(&format!("-{id}-")), "{parent} {id}");
            let nanos = |name: &str| span[name].as_str().unwrap().parse::<u64>().unwrap();
            assert!(nanos("startTimeUnixNano") < nanos("endTimeUnixNano"));
        }
        assert_eq!(stage.metric("cms_edge_spans_exported_total").await, 2);
    }

    #[tokio::test]
    async fn spans_that_nobody_takes_are_counted() {
        let receiver = Origin::start(|_| async { Reply::new(503) }).await;
        let origin = Origin::start(|_| async { Reply::ok("page") }).await;
        let endpoint = receiver.uri();
        let trace = format!("[trace]\nendpoint = \"{endpoint}\"\nsample_percent = 100\n");
        let stage = Stage::start(&origin, &trace).await;
        stage.get("/a", &[]).await;
        let sampled = origin.requests()[0]
            .header("traceparent")
            .unwrap()
            .to_owned();
        assert!(sampled.ends_with("-03"), "{sampled}");
        let series = "cms_edge_spans_dropped_total{reason=\"status\"}";
        until("the count", async || stage.metric(series).await == 1).await;
    }

    fn spans(receiver: &Origin) -> Vec<Value> {
        let mut spans = Vec::new();
        for request in receiver.requests() {
            let sent: Value = serde_json::from_slice(&request.content).unwrap();
            let name = "/resourceSpans/0/resource/attributes/0/value/stringValue";
            assert_eq!(sent.pointer(name).unwrap(), "cms-edge");
            let sent = sent.pointer("/resourceSpans/0/scopeSpans/0/spans").unwrap();
            spans.extend(sent.as_array().unwrap().clone());
        }
        spans
    }

    fn attribute(span: &Value, key: &str) -> Value {
        let attributes = span["attributes"].as_array().unwrap();
        let found = attributes.iter().find(|attribute| attribute["key"] == key);
        found.unwrap_or_else(|| panic!("{key} in {span}"))["value"].clone()
    }
}
