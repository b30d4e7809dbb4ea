#!/usr/bin/env python3
"""A long run at a share of capacity: are memory, files and tasks flat?

    benches/front/soak.py --binary target/dist/cms-edge [--seconds 600] [--share 0.8] [--cores 0,1]

Capacity is measured first, for ten seconds, with the same load as fast as it goes. Then h2load (Debian:
nghttp2-client) asks at `share` of that over TLS, half by HTTP/1.1 and half by HTTP/2: mostly hits, one page in 200
expires after a second, and each second one page is purged. Every ten seconds the server's own /metrics are read.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

from idle import START_SECONDS_MAX, certificate, ports, wait_for

PAGES = 1000
CLIENTS = 32
CAPACITY_SECONDS = 10
SAMPLE_SECONDS = 10
TOKEN = "soak-token-soak-token"

EDGE = """
[server]
http = []
https = ["127.0.0.1:{tls}"]
workers = 2
[[certificate]]
cert = "cert.pem"
key = "key.pem"
[admin]
listen = "127.0.0.1:{admin}"
token = "{token}"
[log]
access = "off"
level = "warn"
[upstream.cms]
servers = ["http://127.0.0.1:{origin}"]
[[route]]
name = "short"
path = "/short/{{id}}"
upstream = "cms"
ttl = "1s"
stale_while_revalidate = "0s"
[[route]]
name = "page"
path = "/*"
upstream = "cms"
ttl = "1h"
"""

ORIGIN = """
import http.server, sys
BODY = b'<p>' + b'content ' * 500 + b'</p>'
class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(BODY))); self.end_headers(); self.wfile.write(BODY)
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256
Server(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
"""

WATCHED = ("process_resident_memory_bytes", "process_open_fds", "process_threads", 'cms_edge_connections_open{scheme="https"}',
           "cms_edge_fills", "cms_edge_memory_bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=pathlib.Path("target/dist/cms-edge"))
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--share", type=float, default=0.8)
    parser.add_argument("--cores", default="0,1", help="for server and load together")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        certificate(folder)
        tls, admin, origin = ports(3)
        (folder / "proxy.toml").write_text(EDGE.format(tls=tls, admin=admin, origin=origin, token=TOKEN))
        urls = [f"https://127.0.0.1:{tls}/short/{n}" if n % 200 == 0 else f"https://127.0.0.1:{tls}/page/{n}" for n in range(PAGES)]
        (folder / "urls").write_text("\n".join(urls) + "\n")
        pinned = ["taskset", "-c", options.cores]
        running = [subprocess.Popen([sys.executable, "-c", ORIGIN, str(origin)]),
                   subprocess.Popen([*pinned, options.binary.resolve(), "serve", "--config", "proxy.toml"], cwd=folder)]
        try:
            wait_for(tls)
            run(options, folder, pinned, admin, tls)
        finally:
            for process in running:
                process.terminate()
                process.wait(START_SECONDS_MAX)


def run(options, folder, pinned, admin, tls):
    capacity = sum(rate for rate, _ in together(folder, pinned, CAPACITY_SECONDS, None))
    asked = int(capacity * options.share)
    print(f"capacity {capacity:.0f} requests/s; asking for {asked}/s for {options.seconds} s", flush=True)
    loads = start(folder, pinned, options.seconds, asked)
    samples, began = [], time.monotonic()
    while any(load.poll() is None for load in loads):
        samples.append(look(admin))
        print(f"{time.monotonic() - began:6.0f} s  " + "  ".join(f"{name.split('{')[0].removeprefix('cms_edge_')} {value}"
                                                                for name, value in samples[-1].items()), flush=True)
        for _ in range(SAMPLE_SECONDS):
            purge(admin, tls)
            time.sleep(1)
    results = [result(load) for load in loads]
    print(f"served {sum(rate for rate, _ in results):.0f} requests/s, failed {sum(failed for _, failed in results)}")
    settled = samples[len(samples) // 4:]
    for name in WATCHED[:3]:
        first, last = settled[0][name], settled[-1][name]
        print(f"{name}: {first} a quarter into the run, {last} at its end ({(last - first) / first:+.1%})")


def start(folder, pinned, seconds, rate):
    """Two load generators, one for each version of HTTP."""
    loads = []
    for version in (["--h1"], ["--npn-list=h2"]):
        limit = [] if rate is None else [f"--rps={max(1, rate // 2 // CLIENTS)}"]
        command = [*pinned, "h2load", *version, "-c", str(CLIENTS), "-m", "1" if version == ["--h1"] else "8", "-D", str(seconds),
                   *limit, "-i", folder / "urls"]
        loads.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    return loads


def together(folder, pinned, seconds, rate):
    return [result(load) for load in start(folder, pinned, seconds, rate)]


def result(load):
    """Requests per second, and how many failed."""
    text, _ = load.communicate()
    rate = re.search(r"([\d.]+) req/s", text)
    counts = re.search(r"(\d+) failed, (\d+) errored, (\d+) timeout", text)
    codes = re.search(r"status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text)
    if not (rate and counts and codes):
        sys.exit(f"h2load failed:\n{text}")
    return float(rate[1]), sum(map(int, counts.groups())) + sum(map(int, codes.groups()))


def look(admin):
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=10) as answer:
        lines = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#"))
    return {name: int(float(lines.get(name, 0))) for name in WATCHED}


def purge(admin, tls):
    number = int(time.time()) % PAGES
    body = json.dumps({"urls": [f"https://127.0.0.1:{tls}/page/{number}"]}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{admin}/purge", body, {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=10).read()


if __name__ == "__main__":
    main()
