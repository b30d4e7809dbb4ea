"""The CMS behind each peer: JSON articles of an exact size, in the language asked for. It only fills caches."""

import gzip
import http.server
import json
import random
import re
import threading

ARTICLE = re.compile(r"/(k\d+)/api/articles/(\d{1,6})")
LANGUAGES = ("en", "de", "fr", "pt-BR")
IDLE_SECONDS_MAX = 60
WORDS = ("Nachricht", "Verlag", "heute", "Bericht", "über", "die", "neue", "Ausgabe", "und", "ihre", "Leser",
         "mit", "einem", "Bild", "aus", "Lyon", "sowie", "Daten", "zur", "Lage")


class Origin:
    """Serves on a free port of 127.0.0.1 from background threads and counts what it was asked."""

    def __init__(self, sizes, encoding):
        self._count = 0
        self._lock = threading.Lock()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(self, sizes, encoding))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def requests(self):
        """How many requests have arrived since the start."""
        with self._lock:
            return self._count

    def count(self):
        with self._lock:
            self._count += 1

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def article(number, language, length):
    """A JSON article of exactly `length` bytes; the same arguments give the same bytes."""
    fields = {"id": number, "language": language, "title": f"Article {number}", "version": 1, "body": ""}
    empty = len(encode(fields))
    words = random.Random(number).choices(WORDS, k=length // 2)
    # Cut at a byte count, then fill what a split character leaves open.
    body = " ".join(words).encode()[: length - empty].decode(errors="ignore")
    fields["body"] = body + "." * (length - empty - len(body.encode()))
    return encode(fields)


def encode(fields):
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def language_of(header):
    """The first supported language in the header's order: enough for one fixed browser header."""
    for item in header.split(","):
        wanted = item.split(";")[0].strip().lower()
        for language in LANGUAGES:
            if wanted.split("-")[0] == language.lower().split("-")[0]:
                return language
    return LANGUAGES[0]


def handler(origin, sizes, encoding):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version, sys_version = "cms", ""
        timeout = IDLE_SECONDS_MAX
        # Head and body leave at once: a second write would wait for a delayed acknowledgement (40 ms a URL).
        wbufsize = 1 << 16
        disable_nagle_algorithm = True

        def do_GET(self):
            origin.count()
            path = ARTICLE.fullmatch(self.path)
            if path is None or path[1] not in sizes:
                self.send_error(404)
                return
            language = language_of(self.headers.get("Accept-Language", ""))
            body = article(int(path[2]), language, sizes[path[1]])
            zipped = encoding == "gzip" and "gzip" in self.headers.get("Accept-Encoding", "")
            if zipped:
                body = gzip.compress(body, 5, mtime=0)
            self.send_response(200)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Language", language)
            self.send_header("Cache-Control", "max-age=86400")
            self.send_header("Vary", "Accept-Language, Accept-Encoding" if encoding == "gzip" else "Accept-Language")
            if zipped:
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments):
            pass

    return Handler
