"""Requests: fills a peer's cache and proves it, then drives wrk."""

import gzip
import http.client
import json
import pathlib
import resource
import subprocess

from origin import article

SCRIPT = pathlib.Path(__file__).resolve().parent / "hits.lua"
HOST = "cms.example"
ACCEPT_LANGUAGE = "de-DE,de;q=0.9,en;q=0.8"
FILL_PASSES_MAX = 5
REQUEST_SECONDS_MAX = 10
WRK_GRACE_SECONDS = 30
EVIDENCE = ("age", "x-cache", "x-varnish", "cache-status", "vary", "content-encoding")


class Broken(Exception):
    """A peer answered wrongly, or wrk failed."""


def fill(peer, size, length, urls, encoding):
    """Asks for every URL until one whole pass reached no origin; returns a hit's telling headers.

    Every answer is compared with the origin's own bytes, so a peer cannot win by serving something else.
    """
    expected = {number: article(number, "de", length) for number in range(1, urls + 1)}
    for _ in range(FILL_PASSES_MAX):
        before = peer.origin.requests()
        headers = {}
        connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=REQUEST_SECONDS_MAX)
        for number, body in expected.items():
            headers = fetch(peer, connection, f"/{size}/api/articles/{number}", body, encoding)
        connection.close()
        if peer.origin.requests() == before:
            return {name: headers[name] for name in EVIDENCE if name in headers}
    raise Broken(f"{peer.name} still asks its origin after {FILL_PASSES_MAX} passes over the same URLs: it does not cache")


def fetch(peer, connection, path, expected, encoding):
    """One GET with the very headers that wrk sends; returns the response's headers."""
    try:
        connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        for name, value in request_headers(encoding).items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as failure:
        raise Broken(f"{peer.name}: GET {path} failed: {failure!r}\n{peer.log_tail()}") from failure
    headers = {name.lower(): value for name, value in response.getheaders()}
    coding = headers.get("content-encoding", "identity")
    if coding != encoding:
        raise Broken(f"{peer.name}: GET {path} has the coding {coding}, not {encoding}")
    if response.status != 200 or (gzip.decompress(body) if coding == "gzip" else body) != expected:
        raise Broken(f"{peer.name}: GET {path} answered {response.status} with {len(body)} bytes, not the origin's article\n"
                     f"{peer.log_tail()}")
    if "accept-language" not in headers.get("vary", "").lower():
        raise Broken(f"{peer.name}: GET {path} lacks `Vary: Accept-Language`")
    return headers


def request_headers(encoding):
    headers = {"Host": HOST, "Accept-Language": ACCEPT_LANGUAGE}
    if encoding != "identity":
        headers["Accept-Encoding"] = encoding
    return headers


def run(peer, size, seconds, urls, options):
    """Runs wrk once and returns its counts and latencies."""
    headers = [part for pair in request_headers(options.encoding).items() for part in pair]
    command = ["taskset", "-c", options.client_core, "wrk", "-t", options.threads, "-c", options.connections,
               "-d", f"{seconds}s", "--timeout", f"{REQUEST_SECONDS_MAX}s", "-s", SCRIPT,
               f"http://127.0.0.1:{peer.port}", "--", f"/{size}/api/articles/", urls, *headers]
    before = client_cpu_us()
    try:
        # On a timeout or an interruption `run` kills wrk before it raises.
        done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=seconds + WRK_GRACE_SECONDS, check=True)
        line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
        found = json.loads(line.removeprefix("RESULT "))
        return {**found, "client_busy": (client_cpu_us() - before) / max(found["duration_us"], 1)}
    except subprocess.TimeoutExpired as failure:
        raise Broken(f"wrk did not end {WRK_GRACE_SECONDS} s after its {seconds} s against {peer.name}") from failure
    except subprocess.CalledProcessError as failure:
        raise Broken(f"wrk failed against {peer.name}: {failure.stderr.strip()}") from failure
    except (StopIteration, ValueError) as failure:
        raise Broken(f"wrk gave no result against {peer.name}") from failure


def client_cpu_us():
    """CPU time of the programs that have ended since the start: between two runs' ends, of wrk."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1e6
