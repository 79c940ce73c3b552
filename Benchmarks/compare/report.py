"""From rows to what a person reads: a Markdown table and a picture."""

import json


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
    """How many times `other`'s throughput; for rows without one, how many times its time or memory."""
    for measure in ("rps", "p50", "rss"):
        if row.get(measure) and other.get(measure):
            return f"{row[measure] / other[measure]:.2f}x"
    return "–"


def markdown(rows, absent, about):
    lines = [f"# raftkvd beside its peers, {about['date']}", "", about["machine"], "",
             f"`{about['command']}`", ""]
    figures = list(dict.fromkeys(row["figure"] for row in rows))
    for figure in figures:
        members = [row for row in rows if row["figure"] == figure]
        first = members[0]
        lines += [f"## {figure}", "",
                  "| system | rps | p50 | p99 | p99.9 | CPU s / 100 000 | RSS | first row's ratio to it | more |",
                  "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
        known = {"figure", "system", "rounds", "rps", "p50", "p99", "p999", "cpu_per_100k", "rss"}
        for row in members:
            more = ", ".join(
                f"{name} {number(value, 1)}" for name, value in row.items()
                if name not in known and value)
            lines.append(
                f"| {row['system']} | {number(row.get('rps'))} | {seconds(row.get('p50'))} | "
                f"{seconds(row.get('p99'))} | {seconds(row.get('p999'))} | "
                f"{number(row.get('cpu_per_100k'), 2)} | {megabytes(row.get('rss'))} | "
                f"{ratio(first, row) if row is not first else ''} | {more} |")
        lines.append("")
    if absent:
        lines += ["## Absent", ""]
        lines += [f"- {name}: {reason}" for name, reason in absent.items()]
        lines.append("")
    return "\n".join(lines)


def picture(rows, path):
    """Throughput against p99, a panel for each load; growth as curves."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    def panel(figure):
        return [row for row in rows if row["figure"] == figure and row.get("rps") and row.get("p99")]

    loads = [figure for figure in dict.fromkeys(row["figure"] for row in rows)
             if figure.startswith(("post", "get")) and panel(figure)]
    curves = [name for name in ("keys", "nodes", "connections")
              if any(row["figure"].startswith(f"growth, {name}=") for row in rows)]
    count = len(loads) + len(curves)
    if count == 0:
        return False
    columns = min(3, count)
    lines = -(-count // columns)
    figure, axes = pyplot.subplots(lines, columns, figsize=(5 * columns, 4 * lines), squeeze=False)
    panels = iter(axes.flat)
    for name in loads:
        axis = next(panels)
        for row in panel(name):
            ours = row["system"].startswith("raftkvd")
            axis.scatter(row["rps"], row["p99"] * 1e3, s=70 if ours else 40,
                         color="tab:blue" if ours else "tab:gray", zorder=2)
            axis.annotate(row["system"], (row["rps"], row["p99"] * 1e3), fontsize=8,
                          xytext=(4, 4), textcoords="offset points")
        axis.set(title=name, xlabel="requests per second", ylabel="p99, ms", xscale="log",
                 yscale="log")
        axis.margins(0.25)
        axis.grid(alpha=0.3, which="both")
    for name in curves:
        axis = next(panels)
        points = [(int(row["figure"].split("=")[1]), row["rps"]) for row in rows
                  if row["figure"].startswith(f"growth, {name}=")]
        axis.plot(*zip(*points), marker="o")
        axis.set(title=f"POST by {name}", xlabel=name, ylabel="requests per second", ylim=(0, None),
                 xscale="linear" if name == "nodes" else "log")
        axis.grid(alpha=0.3)
    for axis in panels:
        axis.set_axis_off()
    figure.tight_layout()
    figure.savefig(path)
    return True


def write(rows, absent, about, folder):
    stem = folder / about["date"]
    stem.with_suffix(".json").write_text(
        json.dumps({"about": about, "absent": absent, "rows": rows}, indent=1) + "\n")
    stem.with_suffix(".md").write_text(markdown(rows, absent, about))
    picture(rows, stem.with_suffix(".svg"))
    return stem
