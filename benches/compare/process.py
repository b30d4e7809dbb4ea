"""What the kernel knows of a server: its processes, CPU time, memory; and the cores to pin to."""

import ctypes
import os
import pathlib
import tempfile
import time
from dataclasses import dataclass

PROC = pathlib.Path("/proc")
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Cpu:
    """CPU time of a family of processes, all threads, at one moment."""

    total_ns: int
    user_ticks: int
    system_ticks: int


def cpu(pid):
    """CPU time used so far by process `pid` and all its descendants, those that have ended included.

    Ended ones are in their parent's account (nginx's cache loader ends a minute after the start).
    """
    total = user = system = 0
    for member in family(pid):
        try:
            own = time.clock_gettime_ns(clock(member))
            fields = [int(ticks) for ticks in stat(member)[11:15]]
        except OSError:
            continue  # It has just ended.
        total += own + (fields[2] + fields[3]) * TICK_NS
        user, system = user + fields[0], system + fields[1]
    return Cpu(total, user, system)


def cpu_us(before, after):
    return (after.total_ns - before.total_ns) / 1000


def system_share(before, after):
    """The kernel's part of the CPU time, 0 to 1 (from 10 ms ticks)."""
    system = after.system_ticks - before.system_ticks
    return system / max(system + after.user_ticks - before.user_ticks, 1)


def memory_peak(pid):
    """Bytes: the sum of each process's peak resident set. Pages that processes share count in each."""
    kib = 0
    for member in family(pid):
        try:
            status = (PROC / str(member) / "status").read_text()
        except OSError:
            continue
        kib += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return kib * 1024


def family(pid):
    """`pid` and its descendants, from every process's parent."""
    children = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            try:
                children.setdefault(int(stat(folder.name)[1]), []).append(int(folder.name))
            except OSError:
                continue
    found, open_ends = set(), [pid]
    while open_ends:
        member = open_ends.pop()
        if member not in found:
            found.add(member)
            open_ends += children.get(member, [])
    return found


def stat(pid):
    """The fields of /proc/PID/stat from the third (state) on: the second may hold spaces and brackets."""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def clock(pid):
    """The clock of a whole process: nanoseconds, and unlike per-thread files it keeps ended threads' time."""
    identifier = ctypes.c_int()
    error = LIBC.clock_getcpuclockid(pid, ctypes.byref(identifier))
    if error:
        raise OSError(error, os.strerror(error))
    return identifier.value


def cores(server, client):
    """The server's core and the client's: as asked, else the first two this process may use."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise ValueError("two cores are needed, one for the server and one for the client; this process may use one")
    if server is None:
        server = next(core for core in allowed if core != client)
    if client is None:
        client = next(core for core in allowed if core != server)
    if server == client or not {server, client} <= set(allowed):
        raise ValueError(f"cores {server} and {client} must differ and be among {allowed}")
    return server, client


def scratch():
    """A folder in memory that may hold programs (Varnish loads its compiled VCL from there), else the usual one."""
    shared = "/dev/shm"
    if os.access(shared, os.W_OK) and not os.statvfs(shared).f_flag & os.ST_NOEXEC:
        return shared
    return tempfile.gettempdir()
