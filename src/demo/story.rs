//! The story of the demo: told as lines to paste, and checked by itself.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE, HeaderName};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::Places;
use super::client::Client;

/// What a person is told.
pub fn tell(places: Places) -> String {
    let Places {
        https,
        http,
        admin,
        cms,
    } = places;
    let show = "grep -iE '^(HTTP|cache-status|content-language|content-encoding|age)'";
    format!(
        "\
A CMS in four languages runs on http://{cms}, and cms-edge in front of it on https://{https}
(and http://{http}; admin and metrics on http://{admin}). Its certificate was made just now, so
these lines tell curl not to check it (-k). Paste them, in order:

# 1. A German Chrome asks: a miss, fetched from the CMS and stored.
curl -sk -D- -o /dev/null -H 'Accept-Language: de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7' https://{https}/api/articles/1 | {show}

# 2. Again: a hit.
curl -sk -D- -o /dev/null -H 'Accept-Language: de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7' https://{https}/api/articles/1 | {show}

# 3. A Swiss Firefox sends another header and means the same language: the same copy, a hit.
curl -sk -D- -o /dev/null -H 'Accept-Language: de-CH,de;q=0.7,fr;q=0.3' https://{https}/api/articles/1 | {show}

# 4. With brotli: compressed once, then kept.
curl -sk -D- -o /dev/null -H 'Accept-Language: de' -H 'Accept-Encoding: br' https://{https}/api/articles/1 | {show}

# 5. The list, in German and French.
curl -sk -H 'Accept-Language: de' https://{https}/api/articles | head -c 300; echo
curl -sk -H 'Accept-Language: fr' https://{https}/api/articles | head -c 300; echo

# 6. An editor publishes a new German title. The CMS sends a signed webhook; the answer is the
#    purge's receipt. (There is a form for it: http://{cms}/admin) With --redis it says \"settling\"
#    at first: the log is shared, and others might have to apply the purge, too.
curl -s http://{cms}/admin/publish -H 'Content-Type: application/json' -d '{{\"id\":1,\"language\":\"de\",\"title\":\"Frisch aus der Redaktion\"}}'; echo

# 7. At once the new title, in the article and in the list.
curl -sk -H 'Accept-Language: de-DE,de;q=0.9' https://{https}/api/articles/1 | head -c 120; echo
curl -sk -H 'Accept-Language: de-DE,de;q=0.9' https://{https}/api/articles | head -c 300; echo

# 8. The French copies were not touched: still a hit.
curl -sk -D- -o /dev/null -H 'Accept-Language: fr' https://{https}/api/articles | {show}

# 9. How many requests the CMS has answered so far.
curl -s http://{cms}/admin/requests; echo

Press Ctrl-C to stop."
    )
}

const GERMAN_CHROME: &str = "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7";
const SWISS_FIREFOX: &str = "de-CH,de;q=0.7,fr;q=0.3";
const FRENCH: &str = "fr-FR,fr;q=0.9";
/// How long a purge in a shared log may take to be complete after the start.
const COMPLETE_WITHIN: Duration = Duration::from_secs(10);
const TITLE: &str = "Frisch aus der Redaktion";

/// Goes through the story and prints what it sees. True if it all went as told.
///
/// `token` is that of the admin listener.
pub async fn check(places: Places, client: &Client, token: &str) -> bool {
    let check = Check {
        places,
        client,
        token,
    };
    match check.story().await {
        Ok(()) => {
            println!("The demo does what it tells.");
            true
        }
        Err(error) => {
            println!("FAILED: {error:#}");
            false
        }
    }
}

struct Check<'c> {
    places: Places,
    client: &'c Client,
    token: &'c str,
}

impl Check<'_> {
    async fn story(&self) -> anyhow::Result<()> {
        let article = "/api/articles/1";
        let miss = self.get(article, GERMAN_CHROME, "").await?;
        expect(
            "1. the first request is a miss",
            cache_status(&miss).contains("fwd=uri-miss"),
        )?;
        expect(
            "1. the German article comes",
            field(&miss, "content-language") == "de",
        )?;
        let hit = self.get(article, GERMAN_CHROME, "").await?;
        expect("2. the second is a hit", is_hit(&hit))?;
        let other = self.get(article, SWISS_FIREFOX, "").await?;
        expect(
            "3. another browser's German header hits the same copy",
            is_hit(&other),
        )?;
        expect("3. byte for byte", other.body() == miss.body())?;
        let brotli = self.get(article, "de", "br").await?;
        expect(
            "4. brotli is sent",
            field(&brotli, "content-encoding") == "br",
        )?;
        expect("4. it is smaller", brotli.body().len() < miss.body().len())?;
        let asked = self.asked(article).await?;
        expect("4. the CMS was asked once for all of that", asked == 1)?;

        let list = self.get("/api/articles", GERMAN_CHROME, "").await?;
        expect(
            "5. the list does not have the new title yet",
            !holds(&list, TITLE),
        )?;
        self.get("/api/articles", FRENCH, "").await?;
        self.get(article, FRENCH, "").await?;

        let published = self.publish(1, "de", TITLE).await?;
        let id = published.pointer("/purge/id").and_then(Value::as_str);
        let id = id.unwrap_or_default();
        expect("6. the purge has an id", !id.is_empty())?;
        let state = published.pointer("/purge/state").and_then(Value::as_str);
        let is_complete = state == Some("complete") || self.completes(id).await?;
        expect("6. the purge is complete", is_complete)?;

        let fresh = self.get(article, GERMAN_CHROME, "").await?;
        expect(
            "7. the article has the new title at once",
            holds(&fresh, TITLE),
        )?;
        let fresh = self.get(article, "de", "br").await?;
        expect(
            "7. so has its compressed form",
            fresh.body() != brotli.body(),
        )?;
        let fresh = self.get("/api/articles", SWISS_FIREFOX, "").await?;
        expect("7. the list has it too", holds(&fresh, TITLE))?;

        let french = self.get("/api/articles", FRENCH, "").await?;
        expect("8. the French list is still a hit", is_hit(&french))?;
        let french = self.get(article, FRENCH, "").await?;
        expect("8. and the French article", is_hit(&french))?;
        let asked = self.asked(article).await?;
        expect(
            "9. the CMS answered three requests for the article",
            asked == 3,
        )
    }

    async fn get(
        &self,
        path: &str,
        language: &str,
        coding: &str,
    ) -> anyhow::Result<Response<Bytes>> {
        let request = Request::get(path)
            .header(ACCEPT_LANGUAGE, language)
            .header(ACCEPT_ENCODING, coding)
            .body(Full::default())?;
        let response = self.client.https(self.places.https, request).await?;
        expect(
            &format!("GET {path} is answered"),
            response.status() == StatusCode::OK,
        )?;
        Ok(response)
    }

    async fn publish(&self, id: u32, language: &str, title: &str) -> anyhow::Result<Value> {
        let body = json!({"id": id, "language": language, "title": title}).to_string();
        let request = Request::post("/admin/publish")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body))?;
        let response = self.client.http(self.places.cms, request).await?;
        Ok(serde_json::from_slice(response.body())?)
    }

    /// Waits until all instances that share the log have applied a purge.
    async fn completes(&self, id: &str) -> anyhow::Result<bool> {
        let end = Instant::now() + COMPLETE_WITHIN;
        while Instant::now() < end {
            let request = Request::get(format!("/purge/{id}"))
                .header(AUTHORIZATION, format!("Bearer {}", self.token))
                .body(Full::default())?;
            let response = self.client.http(self.places.admin, request).await?;
            let receipt: Value = serde_json::from_slice(response.body())?;
            if receipt["state"] == "complete" {
                return Ok(true);
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(false)
    }

    /// How often the CMS was asked for a path.
    async fn asked(&self, path: &str) -> anyhow::Result<u64> {
        let request = Request::get("/admin/requests").body(Full::default())?;
        let response = self.client.http(self.places.cms, request).await?;
        let counts: Value = serde_json::from_slice(response.body())?;
        Ok(counts["paths"][path].as_u64().unwrap_or(0))
    }
}

fn expect(what: &str, holds: bool) -> anyhow::Result<()> {
    if !holds {
        anyhow::bail!("{what}: it is not so");
    }
    println!("ok  {what}");
    Ok(())
}

fn field<'r>(response: &'r Response<Bytes>, name: &'static str) -> &'r str {
    let value = response.headers().get(HeaderName::from_static(name));
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn cache_status(response: &Response<Bytes>) -> &str {
    field(response, "cache-status")
}

fn is_hit(response: &Response<Bytes>) -> bool {
    cache_status(response).contains("; hit")
}

fn holds(response: &Response<Bytes>, text: &str) -> bool {
    String::from_utf8_lossy(response.body()).contains(text)
}
