"""The servers compared: what each needs, how it is started on a free port, pinned, watched and stopped."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import process

TEMPLATES = pathlib.Path(__file__).resolve().parent / "peers"
START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 10
INSTALL_SECONDS_MAX = 600
LOG_TAIL_LINES = 15

NGINX = ("nginx.conf.in", lambda peer: ["nginx", "-p", peer.folder, "-e", peer.log, "-c", peer.config])
# Peer → the template of its configuration, its command.
COMMANDS = {
    "cms-edge": ("proxy.toml.in", lambda peer: [peer.binary, "serve", "--config", peer.config]),
    "nginx": NGINX,
    "varnish": ("default.vcl.in", lambda peer: [
        "varnishd", "-F",
        "-j", "none",  # No jail: it would change to a user who cannot read the scratch folder.
        "-n", peer.folder / "work",
        "-a", f"127.0.0.1:{peer.port}",
        "-f", peer.config,
        # Memory storage, as the manual advises where everything fits. Threads stay at the default of 2 pools with
        # at least 100 threads: a thread serves a connection, and 64 of them wait ready.
        "-s", "malloc,256m",
        *(["-p", f"thread_pool_min={peer.connections + 16}"] if peer.connections > 150 else []),
    ]),
    "nginx-sendfile": NGINX,
    "cms-edge-redis": ("proxy-redis.toml.in", lambda peer: [peer.binary, "serve", "--config", peer.config]),
    "nginx-lua": ("nginx-lua.conf.in", NGINX[1]),
}
# These keep responses in a Redis of their own, whose CPU time is counted apart.
WITH_REDIS = ("cms-edge-redis", "nginx-lua")
NAMES = tuple(COMMANDS)
DEFAULT = ("cms-edge", "nginx", "varnish")
PROGRAMS = {"cms-edge": [], "nginx": ["nginx"], "nginx-sendfile": ["nginx"], "varnish": ["varnishd"],
            "cms-edge-redis": ["redis-server"], "nginx-lua": ["nginx", "redis-server"]}
# What nginx-lua needs beside programs: Debian's name for lua-resty-redis is lua-nginx-redis.
FILES = {"nginx-lua": {"/usr/lib/nginx/modules/ngx_http_lua_module.so": "libnginx-mod-http-lua",
                       "/usr/share/lua/5.1/nginx/redis.lua": "lua-nginx-redis"}}
PACKAGES = {"nginx": "nginx-light", "varnishd": "varnish", "wrk": "wrk",
            "redis-server": "redis-server", "taskset": "util-linux", "setpriv": "util-linux"}


class Missing(Exception):
    """Something to install or build first."""


class Broken(Exception):
    """A server did not start."""


def require(names, install, binary):
    """Makes sure that every program is there; installs Debian packages if `install`."""
    if {"cms-edge", "cms-edge-redis"} & set(names) and not os.access(binary, os.X_OK):
        raise Missing(f"there is no cms-edge program at {binary}; run `cargo build --release`, "
                      "or name it with --binary, or leave it out with --peers nginx,varnish")
    # Where Debian keeps servers, often not on a user's PATH.
    os.environ["PATH"] = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    programs = ["wrk", "taskset", "setpriv", *(program for name in names for program in PROGRAMS[name])]
    files = {file: package for name in names for file, package in FILES.get(name, {}).items()}
    missing = sorted({PACKAGES[program] for program in programs if shutil.which(program) is None}
                     | {package for file, package in files.items() if not os.path.exists(file)})
    if not missing:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if install:
        try:
            for step in (["apt-get", "update"], command):
                subprocess.run(step, check=True, stdin=subprocess.DEVNULL, stdout=2, timeout=INSTALL_SECONDS_MAX)
            return
        except (OSError, subprocess.SubprocessError) as failure:
            raise Missing(f"installing failed: {failure}") from failure
    raise Missing(f"not installed: {', '.join(missing)}; run `{' '.join(command)}` as root, or add --install")


def versions(options):
    """The version each peer and wrk tell of themselves."""
    asked = {"cms-edge": [options.binary, "--version"], "nginx": ["nginx", "-v"], "nginx-sendfile": ["nginx", "-v"],
             "varnish": ["varnishd", "-V"], "wrk": ["wrk", "-v"], "redis": ["redis-server", "--version"],
             "cms-edge-redis": [options.binary, "--version"], "nginx-lua": ["nginx", "-v"]}
    found = {}
    redis = ["redis"] if set(WITH_REDIS) & set(options.peers) else []
    for name in [*options.peers, *redis, "wrk"]:
        try:
            told = subprocess.run(asked[name], capture_output=True, text=True, timeout=START_SECONDS_MAX, check=False)
            version = re.search(r"\d+\.\d+(\.\d+)?[\w.+-]*", told.stdout + told.stderr)
        except (OSError, subprocess.SubprocessError):
            version = None
        found[name] = version[0] if version else "unknown"
    return found


class Peer:
    """One server with its origin, its folder and its process."""

    def __init__(self, name, origin, folder, options):
        self.name, self.origin, self.folder = name, origin, folder
        self.binary, self.connections, self.workers = options.binary, options.connections, options.workers
        self.core = options.server_core
        self.template, self.command = COMMANDS[name]
        self.config, self.log = folder / self.template.removesuffix(".in"), folder / "log"
        self.client_core = options.client_core
        self.port = self.admin_port = self.process = self.redis_port = self.redis = None

    def start(self):
        """Starts the server on its core and waits until it accepts connections."""
        self.folder.mkdir()
        self.port, self.admin_port, self.redis_port = free_ports(3)
        if self.name in WITH_REDIS:
            self.start_redis()
        self.config.write_text(self.configuration())
        self.process = self.spawn(self.core, self.command(self))
        wait_until_open(self.name, lambda: self.process.poll() is None, self.port, self.log_tail)

    def start_redis(self):
        """Its own Redis, on the client's core: nothing of it is in the peer's account."""
        command = ["redis-server", "--port", self.redis_port, "--bind", "127.0.0.1", "--dir", self.folder, "--save", "",
                   "--appendonly", "no", "--maxmemory", "512mb", "--maxmemory-policy", "volatile-lru"]
        self.redis = self.spawn(self.client_core, command)
        wait_until_open("redis-server", lambda: self.redis.poll() is None, self.redis_port, self.log_tail)

    def spawn(self, core, command):
        # Should the harness be killed, the kernel ends the server.
        arguments = ["setpriv", "--pdeathsig", "TERM", "taskset", "-c", core, *command]
        # Settings from the environment would change what is compared.
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith("CMS_EDGE_") and key != "REDIS_URL"}
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C reaches the harness alone, which then stops servers in order.
            return subprocess.Popen([str(argument) for argument in arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    env=environment, cwd=self.folder, start_new_session=True)

    def configuration(self):
        """The template with its @NAMES@ filled in; one that stays open is a mistake in the template."""
        values = {
            "PORT": self.port,
            "ADMIN_PORT": self.admin_port,
            "ORIGIN_PORT": self.origin.port,
            "REDIS_PORT": self.redis_port,
            "WORKERS": self.workers,
            "FOLDER": self.folder,
            # Started by root, nginx would hand its workers to a user who cannot read the scratch folder.
            "USER": "user root;" if os.geteuid() == 0 else "",
            "SENDFILE": "sendfile on; tcp_nopush on;" if self.name == "nginx-sendfile" else "sendfile off;",
        }
        return re.sub(r"@([A-Z_]+)@", lambda name: str(values[name[1]]), (TEMPLATES / self.template).read_text())

    def alive(self):
        has_redis = self.redis is None or self.redis.poll() is None
        return self.process is not None and self.process.poll() is None and has_redis

    def cpu(self):
        return process.cpu(self.process.pid)

    def redis_cpu(self):
        """Of its Redis, or nothing where it has none."""
        return process.cpu(self.redis.pid) if self.redis is not None else None

    def memory_peak(self):
        """Bytes of resident memory at the peak, and of cache files in tmpfs, which no resident set shows."""
        cache = self.folder / "cache"
        files = sum(path.stat().st_blocks * 512 for path in cache.rglob("*") if path.is_file())
        return {"resident_bytes": process.memory_peak(self.process.pid), "file_bytes": files}

    def log_tail(self):
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
        except OSError:
            return "(no log)"

    def stop(self):
        """Ends the server, what it started and may have left behind (its own process group), and its origin."""
        for started in (self.process, self.redis):
            if started is not None:
                end(started)
        self.origin.stop()


def end(started):
    started.terminate()
    try:
        started.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(started.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # The usual case: nothing is left.
    started.wait(STOP_SECONDS_MAX)


def wait_until_open(name, alive, port, log_tail):
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if not alive():
            raise Broken(f"{name} exited at its start:\n{log_tail()}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Broken(f"{name} did not listen within {START_SECONDS_MAX} s:\n{log_tail()}")


def free_ports(count):
    """Ports of 127.0.0.1 that nobody uses now; held together so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports
