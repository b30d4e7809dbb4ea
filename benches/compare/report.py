"""From rounds to figures: medians, ratios within a round, reasons to distrust a run, the table and the JSON."""

import json
import os
import platform
import statistics

from peers import WITH_REDIS

BASELINE = "nginx"
FIGURES = ("cpu_us_per_request", "requests_per_second", "p50_us", "p99_us", "server_busy", "client_busy", "system_share",
           "redis_us_per_request")


def reasons(sample, length, encoding):
    """Why this run must not count: an empty list for a valid one."""
    found = [f"{count} {kind} errors" for kind, count in sample["errors"].items() if count]
    if sample["origin_requests"]:
        found.append(f"{sample['origin_requests']} requests reached the origin: not only hits")
    if not sample["requests"]:
        found.append("no responses")
    elif encoding == "identity" and sample["bytes"] / sample["requests"] < length:
        found.append("responses are shorter than the article")
    return found


def result(options, sizes, machine, evidence, rounds, memory):
    """Everything measured and everything derived, as one value that `text` and `write_json` show."""
    for sample in rounds:
        sample["requests_per_second"] = sample["requests"] / max(sample["duration_us"], 1) * 1e6
    baseline = BASELINE if BASELINE in options.peers else options.peers[0]
    return {
        "machine": machine,
        "settings": {key: getattr(options, key) for key in
                     ("rounds", "seconds", "connections", "threads", "workers", "encoding")} | {"where": where(options.peers)},
        "baseline": baseline,
        "hit_evidence": evidence,
        "memory_peak": memory,
        "sizes": {size: {"bytes": sizes[size], "peers": summary(options.peers, baseline, size, rounds)}
                  for size in options.sizes},
        "invalid": [f"round {sample['round']}, {sample['peer']}, {sample['size']}: {reason}"
                    for sample in rounds for reason in sample["invalid"]],
        "rounds": rounds,
    }


def where(names):
    """Where the peers have what they answer with; those that ask a Redis are not mixed with others for nothing."""
    with_redis = len(set(names) & set(WITH_REDIS))
    return "Memory" if not with_redis else "Redis" if with_redis == len(names) else "Memory and Redis"


def summary(names, baseline, size, rounds):
    """Per peer: median, least and most of each figure over its valid rounds, and of each ratio to the baseline."""
    valid = {(sample["peer"], sample["round"]): sample
             for sample in rounds if sample["size"] == size and not sample["invalid"]}
    found = {}
    for name in names:
        own = {number: sample for (peer, number), sample in valid.items() if peer == name}
        found[name] = {figure: spread([sample[figure] for sample in own.values()]) for figure in FIGURES}
        for figure in FIGURES[:2]:
            # Only rounds in which both are valid: the ratio is between neighbours in time.
            found[name][f"{figure}_ratio"] = spread([
                sample[figure] / valid[baseline, number][figure]
                for number, sample in own.items() if (baseline, number) in valid])
    return found


def spread(values):
    if not values:
        return None
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def text(found):
    """The report for people."""
    told = found["settings"]
    lines = [
        f"{told['where']} hits, HTTP/1.1 plaintext, JSON with Vary: Accept-Language, "
        f"coding {told['encoding']}, one browser's Accept-Language",
        f"machine  {found['machine']['cpu']}, {found['machine']['cores']} cores, Linux {found['machine']['kernel']}, "
        f"load {found['machine']['load_1m']:.1f}; server on core {found['machine']['server_core']}, "
        f"client on core {found['machine']['client_core']}",
        "versions " + ", ".join(f"{name} {version}" for name, version in found["machine"]["versions"].items()),
        f"load     {told['rounds']} rounds × {told['seconds']} s, {told['connections']} keep-alive connections, "
        f"1,000 URLs, {told['workers']} workers",
        "",
    ]
    for size, table in found["sizes"].items():
        lines += [f"{table['bytes'] // 1024} KiB: median (min–max)", *rows(table["peers"], found["baseline"]), ""]
    for name, memory in found["memory_peak"].items():
        files = f" + {memory['file_bytes'] / 2**20:.1f} MiB of cache files" if memory["file_bytes"] else ""
        lines.append(f"memory   {name}: {memory['resident_bytes'] / 2**20:.1f} MiB resident at the peak{files}")
    for name, sizes in found["hit_evidence"].items():
        shown = "; ".join(f"{header}: {value}" for header, value in list(sizes.values())[0].items())
        lines.append(f"hit      {name}: {shown}")
    lines += [f"INVALID  {reason}" for reason in found["invalid"]]
    lines.append(f"{len(found['invalid'])} invalid runs" if found["invalid"] else
                 "every counted run: 0 errors, 0 origin requests")
    return "\n".join(lines)


def rows(table, baseline):
    """One aligned line per peer under a heading."""
    heading = ("peer", "CPU µs/request", f"× {baseline}", "requests/s", f"× {baseline}",
               "p50 ms", "p99 ms", "server busy", "client busy", "in kernel", "Redis µs/request")
    cells = [heading]
    for name, figures in table.items():
        cells.append((
            name,
            cell(figures["cpu_us_per_request"], "{:.2f}"),
            cell(figures["cpu_us_per_request_ratio"], "{:.2f}"),
            cell(figures["requests_per_second"], "{:,.0f}"),
            cell(figures["requests_per_second_ratio"], "{:.2f}"),
            cell(figures["p50_us"], "{:.2f}", 1e-3, False),
            cell(figures["p99_us"], "{:.2f}", 1e-3, False),
            cell(figures["server_busy"], "{:.0f} %", 100, False),
            cell(figures["client_busy"], "{:.0f} %", 100, False),
            cell(figures["system_share"], "{:.0f} %", 100, False),
            cell(figures["redis_us_per_request"], "{:.2f}", 1.0, False) if name in WITH_REDIS else "-",
        ))
    widths = [max(len(row[column]) for row in cells) for column in range(len(heading))]
    return ["  ".join([row[0].ljust(widths[0])] + [value.rjust(width) for value, width in zip(row[1:], widths[1:])])
            for row in cells]


def cell(figure, form, factor=1.0, whole=True):
    if figure is None:
        return "invalid"
    median, least, most = (form.format(figure[key] * factor) for key in ("median", "min", "max"))
    return f"{median} ({least}–{most})" if whole else median


def machine(options, versions):
    """What the figures depend on, read before the first round."""
    model = platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(), "load_1m": os.getloadavg()[0],
            "server_core": options.server_core, "client_core": options.client_core, "versions": versions}


def write_json(found, path):
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
