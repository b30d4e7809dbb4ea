"""Tries on the running site and the running cms-edge what the documentation promises.

`./check.sh` prints one line for each promise, "ok" or "FAIL", and ends with 1 if one failed. Another
address or a test certificate: `EDGE=https://127.0.0.1:8443 CA=cert.pem ./check.sh`.
"""
import html.parser
import http.client
import json
import os
import pathlib
import random
import ssl
import statistics
import subprocess
import sys
import time
import urllib.parse

EDGE = urllib.parse.urlsplit(os.environ.get("EDGE", "http://127.0.0.1:8080"))
ADMIN = urllib.parse.urlsplit(os.environ.get("ADMIN", "http://127.0.0.1:9090"))
HERE = pathlib.Path(__file__).parent
SLUGS = {"en": "new-bridge", "de": "neue-bruecke", "fr": "nouveau-pont", "pt-br": "nova-ponte"}
MOVED = ("stadtbibliothek", "bibliothek-am-sonntag")  # the German article that changes its slug
OTHERS = {"en": "night-market", "de": "nachtmarkt", "fr": "marche-nocturne", "pt-br": "feira-noturna"}
LIST = "/api/v2/pages/?type=articles.ArticlePage&fields=intro&locale="
ANALYTICS = "_ga=GA1.1.42.1700000000; _gid=GA1.1.7; consent=all"
failed = []


class Answer:
    def __init__(self, response, seconds):
        self.status, self.headers, self.seconds = response.status, response.headers, seconds
        self.body = response.read().decode("utf-8", "replace")
        self.cache = self.headers.get_all("Cache-Status", [""])[-1]
        self.hit = "; hit" in self.cache

    def __str__(self):
        return f"{self.status} [{self.cache}] {self.headers.get('Location', '')}".rstrip()


def ask(path, method="GET", body=None, peer=None, address=EDGE, **headers):
    """One request on a connection of its own. Header names have _ for -."""
    source = (peer, 0) if peer else None
    if address.scheme == "https":
        tls = ssl.create_default_context(cafile=os.environ.get("CA"))
        connection = http.client.HTTPSConnection(address.netloc, timeout=10, source_address=source, context=tls)
    else:
        connection = http.client.HTTPConnection(address.netloc, timeout=10, source_address=source)
    started = time.perf_counter()
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        return Answer(connection.getresponse(), time.perf_counter() - started)
    finally:
        connection.close()


class Browser:
    """Keeps cookies, and sends forms with the token and the Referer that Django asks for."""

    def __init__(self, cookies=""):
        self.cookies = dict(pair.split("=", 1) for pair in cookies.split("; ") if pair)

    def ask(self, path, method="GET", body=None, **headers):
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = ask(path, method, body, **headers)
        for line in answer.headers.get_all("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def send(self, path, fields):
        return self.ask(
            path, "POST", urllib.parse.urlencode(fields), Content_Type="application/x-www-form-urlencoded",
            Referer=f"{EDGE.scheme}://{EDGE.netloc}{path}", Origin=f"{EDGE.scheme}://{EDGE.netloc}",
        )


class Form(html.parser.HTMLParser):
    """The fields of the POST form that holds `field`, as a browser would send them."""

    def __init__(self, text, field):
        super().__init__()
        self.forms, self.area, self.select = [], None, None
        self.feed(text)
        self.fields = next((form for form in self.forms if field in form), {})

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if tag == "form":
            self.forms.append({})
        form, name = (self.forms or [{}])[-1], a.get("name")
        if tag == "input" and name and a.get("type") not in ("submit", "file"):
            if a.get("type") not in ("checkbox", "radio") or "checked" in a:
                form[name] = a.get("value") or ""
        elif tag == "textarea" and name:
            self.area, form[name] = name, ""
        elif tag == "select":
            self.select = name
        elif tag == "option" and self.select and (self.select not in form or "selected" in a):
            form[self.select] = a.get("value") or ""

    def handle_data(self, data):
        if self.area:
            self.forms[-1][self.area] += data

    def handle_endtag(self, tag):
        self.area, self.select = (None if tag == "textarea" else self.area), (None if tag == "select" else self.select)


def claim(text, *wrong):
    """`wrong` are the answers that speak against it."""
    print("FAIL" if wrong else "ok  ", text, flush=True)
    for answer in wrong:
        print("       ", answer)
    if wrong:
        failed.append(text)


def expect(text, **answers):
    """`expect("…", page=(answer, holds), …)`"""
    claim(text, *(f"{name}: {answer}" for name, (answer, holds) in answers.items() if not holds))


def publish(slug, *options):
    """What an editor does, in another process; the paths that Wagtail purged."""
    done = subprocess.run(["./publish", "de", slug, *options], cwd=HERE, capture_output=True, text=True)
    if done.returncode or "Couldn't purge" in done.stderr:
        sys.exit(f"publish failed:\n{done.stderr}")
    urls = [line.split()[-1] for line in done.stderr.splitlines() if "Purging URL" in line]
    return [urllib.parse.urlsplit(url).path for url in urls]


def article_id(language, slug):
    found = json.loads(ask(f"/api/v2/pages/?locale={language}&slug={slug}").body)["items"]
    return found[0]["id"] if found else sys.exit(f"there is no article /{language}/{slug}/: ./reseed.sh puts it back")


def purges_taken():
    """How many PURGE requests cms-edge has carried out, by its own count."""
    metrics = ask("/metrics", address=ADMIN).body
    wanted = 'cms_edge_purge_requests_total{source="protocol",outcome="purged"} '
    return sum(int(line.removeprefix(wanted)) for line in metrics.splitlines() if line.startswith(wanted))


def title_of(answer):
    return answer.body.partition("<title>")[2].partition("</title>")[0]


def places(language, slug, number):
    """The four places that show an article."""
    return {
        "page": f"/{language}/{slug}/", "index": f"/{language}/",
        "list": LIST + language, "detail": f"/api/v2/pages/{number}/",
    }


def all_places(ids, slugs=SLUGS):
    return [path for code, slug in slugs.items() for path in places(code, slug, ids[code]).values()]


def visitors(ids):
    paths = all_places(ids)
    for path in paths:
        ask(path)
    second = {path: ask(path) for path in paths}
    claim("what one visitor fetched is a hit for the next (16 URLs)",
          *(f"{path} {a}" for path, a in second.items() if not a.hit))
    other = {path: ask(path, Accept_Language="fr-CA,fr;q=0.9", Cookie=ANALYTICS) for path in paths}
    claim("… also with another Accept-Language and analytics cookies, and it is the same page",
          *(f"{path} {a}" for path, a in other.items() if not a.hit or a.body != second[path].body))
    tagged = {path: ask(path + "&?"["?" not in path] + "utm_source=x&gclid=1") for path in paths}
    claim("… also with utm_source and gclid",
          *(f"{path} {a}" for path, a in tagged.items() if not a.hit))
    wanted = {"de-AT,de;q=0.9": "/de/", "pt-PT": "/pt-br/", "ja": "/en/"}
    start = {header: (ask("/", Accept_Language=header), ask("/", Accept_Language=header)) for header in wanted}
    claim("/ leads to the visitor's language, from the cache",
          *(f"{h}: {b}" for h, (_, b) in start.items() if not b.hit or b.headers["Location"] != wanted[h]))


def editors(ids):
    page = f"/de/{SLUGS['de']}/"
    editor = Browser()
    editor.ask("/admin/login/")
    token = Form(editor.ask("/admin/login/").body, "password").fields.get("csrfmiddlewaretoken", "")
    editor.send("/admin/login/", {"csrfmiddlewaretoken": token, "username": "editor", "password": "editor"})
    if "sessionid" not in editor.cookies:
        claim("an editor can log in through cms-edge", "no sessionid")
        return None
    seen = [editor.ask(page), editor.ask(page)]
    visitor = ask(page)
    claim("a logged-in editor gets the page from Wagtail, with the user bar, and never a hit",
          *(a for a in seen if a.hit or "wagtail-userbar" not in a.body or "no-store" not in a.headers["Cache-Control"]))
    claim("… and what the editor got is not stored",
          *(a for a in [visitor] if not a.hit or "wagtail-userbar" in a.body))
    return editor


def drafts(ids, editor):
    page, draft = f"/de/{SLUGS['de']}/", f"Entwurf {time.time_ns()}"
    before, edit = ask(page).body, f"/admin/pages/{ids['de']}/edit/"
    purged = publish(SLUGS["de"], "--draft", "--title", draft)
    visitor = ask(page)
    claim("saving a draft purges nothing", *purged)
    claim("… and the published page stays a hit", *(a for a in [visitor] if not a.hit or a.body != before))
    form = Form(editor.ask(edit).body, "intro").fields | {"title": draft + " in Arbeit"}
    editor.send(edit + "preview/", form)
    shown = [(editor.ask(f"/admin/pages/{ids['de']}/view_draft/"), draft) for _ in range(2)]
    shown += [(editor.ask(edit + "preview/?mode="), form["title"]) for _ in range(2)]
    claim("the editor sees draft and preview, from Wagtail each time",
          *(a for a, text in shown if a.status != 200 or text not in a.body or "bypass" not in a.cache))
    strangers = [ask(f"/admin/pages/{ids['de']}/view_draft/"), ask(edit + "preview/?mode="), ask(page)]
    claim("… and nobody else does", *(a for a in strangers if draft in a.body))


def publishing(ids, editor):
    title, edit = f"Stand {time.time_ns()}", f"/admin/pages/{ids['de']}/edit/"
    shown, untouched = places("de", SLUGS["de"], ids["de"]), []
    for code in SLUGS:
        untouched += [f"/{code}/{OTHERS[code]}/", f"/api/v2/pages/{ids['other ' + code]}/"]
        untouched += [f"/{code}/", f"/api/v2/pages/{ids[code]}/"] if code != "de" else []
    purged = [LIST + code for code in SLUGS] + [f"/{code}/{SLUGS[code]}/" for code in SLUGS if code != "de"]
    for path in untouched + purged + list(shown.values()):
        ask(path)
    form = Form(editor.ask(edit).body, "intro").fields | {"title": title, "action-publish": "action-publish"}
    count = purges_taken()
    saved = editor.send(edit, form)
    count = purges_taken() - count
    new = {name: ask(path) for name, path in shown.items()}
    expect("published in the admin: page, index, API list and API detail show the new title at once",
           admin=(saved, saved.status == 302), **{name: (a, title in a.body) for name, a in new.items()})
    again = {name: ask(path) for name, path in shown.items()}
    expect("… and are hits again after that", **{name: (a, a.hit and title in a.body) for name, a in again.items()})
    claim(f"… cms-edge carried out {count} purges for that", *([] if count == 8 else ["8 were expected"]))
    others = {path: ask(path) for path in untouched}
    claim(f"… while {len(others)} other pages, indexes and API details stayed in the cache",
          *(f"{path} {a}" for path, a in others.items() if not a.hit))
    over = {path: ask(path) for path in purged}
    count = sum(not a.hit for a in over.values())
    claim(f"… and {count} more were fetched again: the translations (hreflang) and the other languages' API lists",
          *(f"{path} {a}" for path, a in over.items() if a.hit and path != LIST + "de"))


def unpublishing(ids):
    slug, title = SLUGS["de"], f"Hin und weg {time.time_ns()}"
    shown = places("de", slug, ids["de"])
    purged = publish(slug, "--title", title)
    print(f"     one publish purges {len(purged)} URLs: {' '.join(sorted(purged))}")
    for path in shown.values():
        ask(path)
    publish(slug, "--unpublish")
    gone = {name: ask(path) for name, path in shown.items()}
    expect("unpublished: 404 at once, and gone from index, API list and API detail",
           page=(gone["page"], gone["page"].status == 404), index=(gone["index"], title not in gone["index"].body),
           list=(gone["list"], title not in gone["list"].body), detail=(gone["detail"], gone["detail"].status == 302))
    cached = ask(shown["page"])
    expect("… the 404 itself is cached", page=(cached, cached.status == 404 and cached.hit))
    publish(slug)
    back = {name: ask(path) for name, path in shown.items()}
    expect("published again: 200 at once, the cached 404 is gone",
           **{name: (a, a.status == 200 and title in a.body) for name, a in back.items()})


def renaming():
    old, new = (f"/de/{slug}/" for slug in MOVED)
    title = title_of(ask(old))
    early = [ask(new), ask(new)]  # a 404; a redirect if this script has run before
    for path in (old, "/de/", LIST + "de"):
        ask(path)
    publish(MOVED[0], "--slug", MOVED[1])
    before, after, index, entries = ask(old), ask(new), ask("/de/"), ask(LIST + "de")
    expect("new slug: the old URL redirects, the new one answers, though something else was cached there",
           early=(early[1], early[1].hit and early[1].status in (301, 404)),
           old=(before, before.status == 301 and before.headers["Location"].endswith(new)),
           new=(after, after.status == 200 and title in after.body),
           index=(index, new in index.body and old not in index.body),
           list=(entries, new in entries.body and old not in entries.body))
    publish(MOVED[1], "--slug", MOVED[0])
    back = ask(old)
    expect("… and back: the cached redirect is gone", page=(back, back.status == 200 and title in back.body))


def privacy(ids, editor):
    """A page is given a password, and loses it again."""
    page, form = f"/de/{SLUGS['de']}/", f"/admin/pages/{ids['de']}/privacy/"
    entries, word = LIST + "de", "geheim"
    public, text = ask(page), title_of(ask(page))
    ask(entries)
    token = {"csrfmiddlewaretoken": editor.cookies["csrftoken"]}
    saved = editor.send(form, token | {"restriction_type": "password", "password": word})
    asked, listed, visitor = [ask(page), ask(page)], ask(entries), Browser()
    expect("made private: the password is asked for at once, never from the cache, and the API does not list the page",
           admin=(saved, saved.status == 200 and "set_privacy" in saved.body),
           first=(asked[0], "password" in asked[0].body and public.body != asked[0].body and not asked[0].hit),
           second=(asked[1], "password" in asked[1].body and not asked[1].hit),
           list=(listed, text not in listed.body))
    shown = visitor.ask(page)
    action = shown.body.partition('action="')[2].partition('"')[0]
    visitor.send(action, Form(shown.body, "password").fields | {"password": word})
    inside, outside = visitor.ask(page), ask(page)
    expect("… who has the password sees the page, nobody else does",
           inside=(inside, inside.status == 200 and text in inside.body and not inside.hit and 'type="password"' not in inside.body),
           outside=(outside, 'type="password"' in outside.body and not outside.hit))
    editor.send(form, token | {"restriction_type": "none", "password": ""})
    again, listed = ask(page), ask(entries)
    expect("made public again: the page and its place in the list are back at once",
           page=(again, text in again.body and 'type="password"' not in again.body), list=(listed, text in listed.body))


def forms():
    visitor = Browser(ANALYTICS)
    shown = [visitor.ask("/de/contact/"), visitor.ask("/de/contact/")]
    claim("a page with a form is never stored", *(a for a in shown if a.hit or "stored" in a.cache))
    token = Form(shown[0].body, "message").fields.get("csrfmiddlewaretoken", "")
    sent = visitor.send("/de/contact/", {"csrfmiddlewaretoken": token, "message": "Hallo"})
    forged = ask("/de/contact/", "POST", "message=x", Content_Type="application/x-www-form-urlencoded")
    expect("… its token is accepted, also of the tab that was opened first", sent=(sent, "Thank you" in sent.body))
    expect("… and a POST without token is refused by Django", forged=(forged, forged.status == 403))


def strangers():
    page = f"/de/{SLUGS['de']}/"
    ask(page)
    log = HERE / "access.log"
    before = lines_of(log, "PURGE")
    try:
        answer = ask(page, "PURGE", peer="127.0.0.2", X_Forwarded_For="127.0.0.1")
    except OSError:
        return print("skip PURGE from an unlisted peer: 127.0.0.2 is no address of this machine")
    after = lines_of(log, "PURGE")
    still = ask(page)
    expect("PURGE from an unlisted peer: 403, nothing is purged, and Wagtail never sees it",
           purge=(answer, answer.status == 403), page=(still, still.hit), log=(f"{after - before} lines", after == before))


def lines_of(log, text=""):
    return sum(text in line for line in log.read_text().splitlines()) if log.exists() else 0


def load(ids, editor):
    """200 requests as a site has them, two publishes among them: how many did Wagtail answer?"""
    log, choose = HERE / "access.log", random.Random(1)
    paths = all_places(ids) + [f"/{code}/{slug}/" for code, slug in OTHERS.items()]
    before, hits, misses, wrong = lines_of(log), [], [], []
    title = ""
    for number in range(200):
        if number in (70, 140):
            title = f"Lauf {time.time_ns()}"
            publish(SLUGS["de"], "--title", title)
        if number % 20 == 7:
            answer = editor.ask(choose.choice(paths))
        elif number % 40 == 13:
            answer = ask("/de/contact/")
        else:
            path = choose.choice(paths) if number not in (70, 140) else f"/de/{SLUGS['de']}/"
            language = choose.choice(["de-AT,de;q=0.9,en;q=0.5", "fr", "pt-BR,pt;q=0.8", "en-GB", "*", "ja,en;q=0.1"])
            answer = ask(path, Accept_Language=language, Cookie=f"_ga=GA1.1.{number}", Accept_Encoding="identity")
            if title and path == f"/de/{SLUGS['de']}/" and title not in answer.body:
                wrong.append(f"{path} {answer}")
        (hits if answer.hit else misses).append(answer.seconds * 1000)
    deadline = time.monotonic() + 2  # Wagtail writes its line after the answer
    while lines_of(log) - before < len(misses) and time.monotonic() < deadline:
        time.sleep(0.05)
    asked = lines_of(log) - before
    claim("200 mixed requests with two publishes among them: nothing old is shown", *wrong)
    print(f"     cms-edge answered {len(hits)} of 200 itself, in {statistics.median(hits):.1f} ms (median, with the connection)")
    if log.exists():
        print(f"     Wagtail answered {asked}: 10 for the editor, 5 forms, {asked - 15} fills;"
              f" {statistics.median(misses):.1f} ms (median)")


def main():
    ids = {code: article_id(code, slug) for code, slug in SLUGS.items()}
    ids |= {"other " + code: article_id(code, slug) for code, slug in OTHERS.items()}
    visitors(ids)
    editor = editors(ids)
    if editor:
        drafts(ids, editor)
        publishing(ids, editor)
        privacy(ids, editor)
    unpublishing(ids)
    renaming()
    forms()
    strangers()
    if editor:
        load(ids, editor)
    print(f"{len(failed)} failed" if failed else "all of it holds")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ConnectionRefusedError:
        sys.exit(f"nothing answers at {EDGE.netloc} or {ADMIN.netloc}: start the site and cms-edge first")
