//! Content of requests and responses, whole and broken off.

use bytes::Bytes;
use cms_edge::body::Body;
use cms_edge::fetch::Kind;
use http::{Request, StatusCode};
use http_body::Body as _;

use crate::stage::{Stage, broken, content, get, once, post, request};
use crate::support::origin::{Origin, Reply};

#[tokio::test]
async fn content_that_breaks_off_is_never_taken_for_the_whole() {
    for broken_off in [
        Reply::ok("content").cut_after(3),
        Reply::ok("content").cut_after(0),
        Reply::chunked(&["con", "tent"]).cut_after(3),
        Reply::chunked(&["con", "tent"]).cut_after(7),
        Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7\r\ncon"),
    ] {
        let origin = once(broken_off).await;
        let stage = Stage::new(&[origin.uri()]);
        let response = stage.upstream().send(request("/")).await.unwrap();
        let error = broken(response).await;
        assert_eq!(error.kind, Kind::ResponseIncomplete);
        assert_eq!(error.kind.proxy_status(), "http_response_incomplete");
        let counted = "origin_broken_bodies_total{upstream=\"cms\",\
                       reason=\"response_incomplete\"} 1";
        assert!(stage.text().contains(counted), "{}", stage.text());
    }
}

#[tokio::test]
async fn content_is_passed_on_piece_by_piece_and_knows_its_length() {
    let origin = Origin::start(|request| async move {
        match request.target.as_str() {
            "/whole" => Reply::ok("content"),
            _ => Reply::chunked(&["con", "tent"]),
        }
    })
    .await;
    let upstream = Stage::new(&[origin.uri()]).upstream();
    let whole = upstream.send(request("/whole")).await.unwrap();
    assert_eq!(whole.body().size_hint().exact(), Some(7));
    assert_eq!(content(whole).await.unwrap(), "content");
    let chunked = upstream.send(request("/chunked")).await.unwrap();
    assert_eq!(chunked.body().size_hint().exact(), None);
    assert_eq!(content(chunked).await.unwrap(), "content");
}

#[tokio::test]
async fn a_response_without_content_ends_at_once() {
    let origin = Origin::start(|request| async move {
        match request.target.as_str() {
            "/304" => Reply::new(304).header("etag", "\"a\""),
            _ => Reply::ok("content"),
        }
    })
    .await;
    let upstream = Stage::new(&[origin.uri()]).upstream();
    let not_modified = upstream.send(request("/304")).await.unwrap();
    assert_eq!(not_modified.status(), StatusCode::NOT_MODIFIED);
    assert!(not_modified.body().is_end_stream());
    let head = Request::head("/").body(Body::empty()).unwrap();
    let head = upstream.send(head).await.unwrap();
    assert_eq!(head.headers()["content-length"], "7");
    assert!(head.body().is_end_stream());
}

#[tokio::test]
async fn the_content_of_a_request_arrives_with_or_without_a_known_length() {
    let origin = Origin::start(|request| async move { Reply::ok(request.content) }).await;
    let upstream = Stage::new(&[origin.uri()]).upstream();
    for (length, field) in [(Some(7), "content-length"), (None, "transfer-encoding")] {
        let (writer, reader) = cms_edge::body::tee::tee(length);
        writer.write(Bytes::from_static(b"con")).unwrap();
        writer.write(Bytes::from_static(b"tent")).unwrap();
        writer.finish(None);
        let response = upstream
            .send(post("/", Body::stream(reader)))
            .await
            .unwrap();
        assert_eq!(content(response).await.unwrap(), "content");
        let last = origin.requests().pop().unwrap();
        assert!(last.header(field).is_some(), "{last:?}");
    }
}

#[tokio::test]
async fn a_request_whose_content_breaks_off_is_the_clients_fault() {
    let origin = Origin::start(|_| async { Reply::ok("unreachable") }).await;
    let upstream = Stage::new(&[origin.uri()]).upstream();
    let (writer, reader) = cms_edge::body::tee::tee(Some(7));
    writer.write(Bytes::from_static(b"con")).unwrap();
    writer.fail("the client went away".into());
    let outcome = upstream.send(post("/", Body::stream(reader))).await;
    assert_eq!(outcome.unwrap_err().kind, Kind::RequestBody);
    assert_eq!(origin.hits(), 0);
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_refused() {
    let many_fields = "a: b\r\n".repeat(300);
    for junk in [
        "SSH-2.0-OpenSSH\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nbad field: x\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx".to_owned(),
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\n{many_fields}\r\n"),
        format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(600 * 1024)),
    ] {
        let origin = once(Reply::raw(junk.clone())).await;
        let outcome = Stage::new(&[origin.uri()])
            .upstream()
            .send(request("/"))
            .await;
        let kind = outcome.err().map(|error| error.kind);
        let shown = &junk[..junk.len().min(60)];
        assert_eq!(kind, Some(Kind::InvalidResponse), "{shown}");
    }
}

#[tokio::test]
async fn a_head_with_many_fields_is_read() {
    let fields = "a: b\r\n".repeat(200);
    let head = format!("HTTP/1.1 200 OK\r\n{fields}content-length: 2\r\n\r\nok");
    let origin = once(Reply::raw(head)).await;
    let upstream = Stage::new(&[origin.uri()]).upstream();
    let response = upstream.send(request("/")).await.unwrap();
    assert_eq!(response.headers().get_all("a").iter().count(), 200);
    assert_eq!(content(response).await.unwrap(), "ok");
}

#[tokio::test]
async fn informational_responses_are_skipped() {
    let origin = once(Reply::raw(
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n\
         HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ))
    .await;
    let upstream = Stage::new(&[origin.uri()]).upstream();
    assert_eq!(get(&upstream, "/").await.unwrap(), "ok");
}
