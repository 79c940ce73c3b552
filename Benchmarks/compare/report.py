"""From rows to what a person reads: tables in Markdown, and a picture beside them.

A day has one report. A run replaces the figures that it has measured and leaves the others.
"""

import json
import re

from .picture import picture, spelled
from .targets import verdicts

KNOWN = {"figure", "system", "rounds", "rps", "p50", "p99", "p999", "cpu_per_100k", "rss", "at",
         "command"}
# What each of raftkvd's rows is held against, in this order.
PEERS = ("etcd-json", "redis-aof-always", "redis", "ceiling", "ceiling stale", "nginx")
HEAD = """<!-- bench -->"""
FOOT = """<!-- /bench -->"""


def seconds(value):
    if value is None:
        return "–"
    if value < 1e-3:
        return f"{value * 1e6:.0f} µs"
    return f"{value * 1e3:.2f} ms" if value < 1 else f"{value:.2f} s"


def megabytes(value):
    return "–" if value is None else f"{value / 1e6:.0f} MB"


def number(value, digits=0):
    return "–" if value is None else f"{value:,.{digits}f}".replace(",", " ")


def ratio(row, other):
    """Times the other's throughput; for rows without one, times its time, or its memory."""
    for measure in ("rps", "p50", "rss"):
        if row.get(measure) and other.get(measure):
            return f"{row[measure] / other[measure]:.2f}x"
    return "–"


def ratios(row, members):
    """Of one of raftkvd's rows to each peer in its figure."""
    if not row["system"].startswith("raftkvd"):
        return ""
    peers = {other["system"]: other for other in members if other["system"] in PEERS}
    # Where there is a server that sends the very bytes of stale answers, it is the measure of those.
    peers.pop("ceiling" if "stale" in row["system"] else "ceiling stale", None)
    return ", ".join(f"{ratio(row, peers[name])} {name}" for name in PEERS if name in peers)


def more(row):
    found = []
    for name, value in row.items():
        if name in KNOWN or value is None or (value == 0 and name != "elections"):
            continue
        if name == "bytes_per_second":
            found.append(f"{value / 1e6:.1f} MB/s")
        else:
            found.append(f"{name.replace('_', ' ')} {number(value, int(value != int(value)))}")
    return ", ".join(found)


def table(figure, rows):
    members = [row for row in rows if row["figure"] == figure]
    lines = [f"## {figure}", "",
             "| system | rps | p50 | p99 | p99.9 | CPU s / 100 000 | RSS | ratio to | more |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for row in members:
        lines.append(
            f"| {row['system']} | {number(row.get('rps'))} | {seconds(row.get('p50'))} | "
            f"{seconds(row.get('p99'))} | {seconds(row.get('p999'))} | "
            f"{number(row.get('cpu_per_100k'), 2)} | {megabytes(row.get('rss'))} | "
            f"{ratios(row, members)} | {more(row)} |")
    runs = dict.fromkeys((row.get("command"), row["at"]) for row in members[-1:] if "at" in row)
    for command, at in runs:
        lines += ["", f"`{command}`, {at}"]
    return [*lines, ""]


def bound(verdict):
    unit = verdict["unit"]
    sign = "≥" if verdict["least"] else "≤"
    return f"{sign} {verdict['bound']:g}{' ' * (unit == 'ms')}{unit}"


def verdict_table(rows):
    lines = ["| target | bound | measured | verdict |", "| --- | --- | --- | --- |"]
    for verdict in verdicts(rows):
        if verdict["measured"] is None:
            lines.append(f"| {verdict['target']} | | | {verdict['verdict']} |")
        else:
            unit = verdict["unit"]
            measured = f"{verdict['measured']:.2f}{' ' * (unit == 'ms')}{unit}"
            lines.append(f"| {verdict['target']} | {bound(verdict)} | {measured} | "
                         f"{verdict['verdict']} |")
    return lines


def markdown(rows, absent, about, stem):
    lines = [f"# raftkvd beside its peers, {about['date']}", "", about["machine"], "",
             f"![Throughput and latency]({stem.name}.svg)", "", "## Targets", "",
             *verdict_table(rows), ""]
    for figure in dict.fromkeys(row["figure"] for row in rows):
        lines += table(figure, rows)
    if absent:
        lines += ["## Absent", ""]
        lines += [f"- {name}: {reason}" for name, reason in absent.items()]
        lines.append("")
    return "\n".join(lines)


def merged(stem, rows, absent):
    """These rows and this day's earlier ones of other figures, in the order of `FIGURES`' titles."""
    path = stem.with_suffix(".json")
    if not path.exists():
        return rows, absent
    earlier = json.loads(path.read_text())
    figures = {row["figure"] for row in rows}
    kept = [row for row in earlier["rows"] if row["figure"] not in figures]
    systems = {row["system"] for row in rows}
    missing = {name: reason for name, reason in earlier["absent"].items() if name not in systems}
    return kept + rows, missing | absent


def write(rows, absent, about, folder):
    """Writes the day's report; returns its path without a suffix."""
    stem = folder / about["date"]
    rows, absent = merged(stem, [{**row, "command": about["command"]} for row in rows], absent)
    stem.with_suffix(".json").write_text(json.dumps(
        {"about": about, "absent": absent, "targets": verdicts(rows), "rows": rows}, indent=1) + "\n")
    stem.with_suffix(".md").write_text(markdown(rows, absent, about, stem))
    picture(rows, stem.with_suffix(".svg"))
    return stem


# What the README shows of a report.
MAIN = ("post, 1 node, c=1", "post, 1 node, c=64", "post, 1 node, c=256", "post, 3 nodes, c=1",
        "post, 3 nodes, c=64", "post, 3 nodes, c=256", "get, 3 nodes, c=64")


def main_table(rows):
    lines = ["| load | system | rps | p50 | p99 | CPU s / 100 000 | raftkvd's ratio |",
             "| --- | --- | --- | --- | --- | --- | --- |"]
    for figure in MAIN:
        # Peers that were measured apart stand beside the same load.
        apart = figure.replace("get, 3 nodes", "get, peers")
        members = [row for row in rows if row["figure"] in (figure, apart)]
        for row in members:
            title = spelled(figure) if row is members[0] else ""
            lines.append(
                f"| {title} | {row['system']} | {number(row.get('rps'))} | {seconds(row.get('p50'))} | "
                f"{seconds(row.get('p99'))} | {number(row.get('cpu_per_100k'), 2)} | "
                f"{ratios(row, members)} |")
    return lines


def put_into(readme, stem):
    """Puts picture and main table of a report into the README, between two marks."""
    report = json.loads(stem.with_suffix(".json").read_text())
    date = report["about"]["date"]
    lines = [HEAD, f"![Throughput against p99, and growth](Benchmarks/results/{date}.svg)", "",
             *main_table(report["rows"]), "",
             f"Measured on {date}: {report['about']['machine']} All figures, and what they are held "
             f"to: [Benchmarks/results/{date}.md](Benchmarks/results/{date}.md).", FOOT]
    text = readme.read_text()
    new, count = re.subn(f"{HEAD}.*?{FOOT}", lambda _: "\n".join(lines), text, flags=re.S)
    if count != 1:
        raise RuntimeError(f"{readme} has no place for the report")
    readme.write_text(new)
