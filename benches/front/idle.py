#!/usr/bin/env python3
"""Memory of idle connections: cms-edge beside nginx, plain and TLS, in one run.

    cargo build --profile dist
    benches/front/idle.py --binary target/dist/cms-edge [--connections 10000]

Each connection asks for one small page and is then left open. Reported is what the server's resident memory
(RSS, all its processes) has grown by, divided by the connections. Needs nginx and openssl (Debian: nginx-light,
openssl) and as many file descriptors as connections.
"""

import argparse
import pathlib
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import time

BATCH = 200
START_SECONDS_MAX = 20
STEP_SECONDS_MAX = 60
REQUEST = b"GET /page HTTP/1.1\r\nHost: idle.example\r\n\r\n"

NGINX = """
daemon off; user root; worker_processes 2; pid {folder}/pid; error_log {folder}/log warn;
worker_rlimit_nofile 65536;
events {{ worker_connections 32768; }}
http {{
    access_log off; keepalive_timeout 3600s; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b;
    fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{ listen 127.0.0.1:{plain}; location / {{ return 200 "page\\n"; }} }}
    server {{ listen 127.0.0.1:{tls} ssl; ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
             ssl_session_tickets on; location / {{ return 200 "page\\n"; }} }}
}}
"""

EDGE = """
[server]
http = ["127.0.0.1:{plain}"]
https = ["127.0.0.1:{tls}"]
workers = 2
connections_max = 40000
idle_timeout = "1h"
[[certificate]]
cert = "cert.pem"
key = "key.pem"
[admin]
listen = "127.0.0.1:{admin}"
[log]
access = "off"
level = "warn"
[upstream.cms]
servers = ["http://127.0.0.1:{origin}"]
[[route]]
name = "page"
path = "/*"
upstream = "cms"
ttl = "1h"
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=pathlib.Path("target/dist/cms-edge"))
    parser.add_argument("--connections", type=int, default=10_000)
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < options.connections + 100:
        sys.exit(f"{hard} file descriptors are allowed, {options.connections + 100} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        certificate(folder)
        for name, command in (("cms-edge", edge), ("nginx", nginx)):
            for kind in ("plain", "tls"):
                results[name, kind] = measure(name, kind, command, folder, options)
    for kind in ("plain", "tls"):
        ratio = results["cms-edge", kind] / results["nginx", kind]
        print(f"{kind}: cms-edge / nginx = {ratio:.2f}")


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=idle.example", "-addext", "subjectAltName=DNS:idle.example",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, stderr=subprocess.DEVNULL)


def ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return found


def edge(folder, options):
    plain, tls, admin, origin = ports(4)
    (folder / "proxy.toml").write_text(EDGE.format(plain=plain, tls=tls, admin=admin, origin=origin))
    server = subprocess.Popen([sys.executable, "-c", ORIGIN, str(origin)])
    program = subprocess.Popen([options.binary.resolve(), "serve", "--config", "proxy.toml"], cwd=folder)
    return plain, tls, program, [server]


ORIGIN = """
import http.server, sys
class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "5"); self.end_headers(); self.wfile.write(b"page\\n")
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
"""


def nginx(folder, _options):
    plain, tls = ports(2)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, plain=plain, tls=tls))
    program = subprocess.Popen(["/usr/sbin/nginx", "-p", folder, "-e", folder / "log", "-c", folder / "nginx.conf"])
    return plain, tls, program, []


def measure(name, kind, start, folder, options):
    """Bytes of resident memory per idle connection."""
    plain, tls, program, others = start(folder, options)
    port = plain if kind == "plain" else tls
    try:
        wait_for(port)
        warm = connect(port, kind, 50)
        settle()
        before = resident(program.pid)
        idle = connect(port, kind, options.connections)
        settle()
        grown = (resident(program.pid) - before) / len(idle)
        print(f"{name:9} {kind:5} {len(idle):6} idle connections: {grown / 1024:6.1f} KiB each, "
              f"{resident(program.pid) / 2**20:6.1f} MiB in all", flush=True)
        for one in idle + warm:
            one.close()
        return grown
    finally:
        for process in [program, *others]:
            process.terminate()
            process.wait(START_SECONDS_MAX)


def wait_for(port):
    end = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as one:
                one.sendall(b"")
                return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing listens on port {port}")


def settle():
    """Lets the server return what it needed only for the handshakes."""
    time.sleep(3)


def connect(port, kind, count):
    """Connections that have been answered once, in batches."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    idle = []
    while len(idle) < count:
        batch = []
        for _ in range(min(BATCH, count - len(idle))):
            one = socket.create_connection(("127.0.0.1", port), STEP_SECONDS_MAX)
            if kind == "tls":
                one = context.wrap_socket(one, server_hostname="idle.example")
            one.sendall(REQUEST)
            batch.append(one)
        for one in batch:
            if not one.recv(4096).startswith(b"HTTP/1.1 200"):
                sys.exit("a request was not answered with 200")
        idle += batch
    return idle


def resident(pid):
    """Bytes, of the process and its children."""
    total = 0
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
        except OSError:
            continue
        if int(fields["Pid"]) == pid or int(fields["PPid"]) == pid:
            total += int(fields.get("VmRSS", "0 kB").split()[0]) * 1024
    return total


if __name__ == "__main__":
    main()
