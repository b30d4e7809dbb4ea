#!/usr/bin/env python3
"""What one instance with a Redis takes there: bytes for each stored response, connections, and what the instance itself
takes. Starts a redis-server, an origin and cms-edge on free ports of 127.0.0.1, stores `--count` responses of each size,
asks Redis (INFO memory, CLIENT LIST, INFO commandstats), and stops everything again.

benches/front/redis.py [--binary target/release/cms-edge] [--count 10000]
"""

import argparse
import http.client
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "compare"))

import origin  # noqa: E402
import peers  # noqa: E402
import process  # noqa: E402

SIZES = {"k1": 1024, "k10": 10240}
WAIT_SECONDS_MAX = 30
CONFIG = """
namespace = "sizing"
[server]
https = []
http = ["127.0.0.1:{port}"]
[admin]
listen = "127.0.0.1:{admin}"
[log]
access = "off"
level = "warn"
[cache]
memory = "0B"
[redis]
url = "redis://127.0.0.1:{redis}"
timeout = "1s"
[purge_log]
url = "redis://127.0.0.1:{redis}"
[upstream.cms]
servers = ["http://127.0.0.1:{origin}"]
[[route]]
name = "article"
path = "/{{size}}/api/articles/{{id}}"
upstream = "cms"
ttl = "24h"
language = {{ supported = ["en", "de", "fr", "pt-BR"], default = "en", sources = ["header"] }}
tags = ["article:{{id}}:{{language}}"]
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--binary", type=pathlib.Path, default=HERE.parents[1] / "target/release/cms-edge")
    parser.add_argument("--count", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cms-edge-redis-") as folder:
        measure(options, pathlib.Path(folder))


def measure(options, folder):
    cms = origin.Origin(SIZES, "identity")
    port, admin, redis_port = peers.free_ports(3)
    config = folder / "proxy.toml"
    config.write_text(CONFIG.format(port=port, admin=admin, redis=redis_port, origin=cms.port))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CMS_EDGE_") and key != "REDIS_URL"}
    started = []

    def start(*command):
        started.append(subprocess.Popen([str(word) for word in command], env=environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, start_new_session=True))
        return started[-1]

    try:
        start("redis-server", "--port", redis_port, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no")
        until("Redis answers", lambda: ask(redis_port, "PING") == "PONG")
        edge = start(options.binary, "serve", "--config", config)
        until("cms-edge is ready", lambda: status(admin, "/readyz") == 200)
        print(f"Redis {info(redis_port, 'server')['redis_version']}")
        for size in SIZES:
            before = info(redis_port, "memory")
            fill(port, size, options.count)
            until("all are stored", lambda: stored(redis_port) >= options.count)
            after = info(redis_port, "memory")
            each = (int(after["used_memory"]) - int(before["used_memory"])) / options.count
            print(f"{SIZES[size]:6} bytes: {each:,.0f} bytes of used_memory for each of {options.count:,} responses, "
                  f"{each - SIZES[size]:,.0f} more than the content")
            ask(redis_port, "EVAL", "for _, key in ipairs(redis.call('KEYS', '{sizing:*')) do redis.call('UNLINK', key) end", "0")
        clients = [line for line in ask(redis_port, "CLIENT", "LIST").splitlines() if "cmd=client" not in line]
        print(f"connections of one instance: {len(clients)} (lookups 2, writes 1, purge log 2)")
        before, began = commands(redis_port), time.monotonic()
        time.sleep(10)
        rate = (commands(redis_port) - before) / (time.monotonic() - began)
        print(f"commands of an idle instance: {rate:.1f}/s, those inside scripts included")
        print(f"cms-edge: {process.memory_peak(edge.pid) / 2**20:.1f} MiB resident at the peak")
    finally:
        for child in reversed(started):
            peers.end(child)
        cms.stop()


def fill(port, size, count):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS_MAX)
    for number in range(1, count + 1):
        connection.request("GET", f"/{size}/api/articles/{number}", headers={"Host": "cms.example", "Accept-Language": "de"})
        response = connection.getresponse()
        body = response.read()
        if response.status != 200 or len(body) != SIZES[size]:
            sys.exit(f"GET /{size}/api/articles/{number}: {response.status}, {len(body)} bytes")
    connection.close()


def stored(port):
    return int(ask(port, "EVAL", "return #redis.call('KEYS', '{sizing:*')", "0").removeprefix("(integer) "))


def status(port, path):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0


def ask(port, *words):
    done = subprocess.run(["redis-cli", "-p", str(port), *words], capture_output=True, text=True, timeout=WAIT_SECONDS_MAX,
                          check=False)
    return done.stdout.strip()


def info(port, section):
    return dict(line.split(":", 1) for line in ask(port, "INFO", section).splitlines() if ":" in line)


def commands(port):
    return int(info(port, "stats")["total_commands_processed"])


def until(what, is_so):
    end = time.monotonic() + WAIT_SECONDS_MAX
    while not is_so():
        if time.monotonic() > end:
            sys.exit(f"never: {what}")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
