"""The report as a picture: throughput against p99 for each load, and growth as curves."""

OURS, OTHERS, PALE = "#1f6feb", "#57606a", "#d0d7de"
# A colour and a name for each peer, the same in every panel.
PEERS = {"etcd-json": ("#d1602f", "etcd, JSON"), "redis-aof-always": ("#b3261e", "Redis, AOF always"),
         "redis": ("#b3261e", "Redis"), "nginx": ("#2da44e", "nginx"),
         "ceiling": (OTHERS, "C on libuv"), "ceiling stale": (OTHERS, "C on libuv, stale")}


def short(value, _=None):
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    if value >= 1e3 and value % 100 == 0:
        return f"{value / 1e3:g}k"
    return f"{value:,g}".replace(",", "\u2009")


def spelled(figure):
    """`post, 1 node, c=64` as a title."""
    kind, _, rest = figure.partition(", ")
    return f"{kind.upper()}, {rest.replace('c=', '')} connection{'s' * (not rest.endswith('=1'))}"


def style(row):
    system = row["system"]
    if system.startswith("raftkvd"):
        return OURS, system
    return PEERS.get(system, (OTHERS, system))


def scatter(axis, title, rows):
    """One load: to the right and below is better."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for row in rows:
        colour, _ = style(row)
        ours = colour == OURS
        axis.scatter(row["rps"], row["p99"] * 1e3, s=90 if ours else 55, color=colour, zorder=3,
                     marker="o" if ours else "D", edgecolor="white", linewidth=0.8)
    low, high = min(row["rps"] for row in rows), max(row["rps"] for row in rows)
    bottom, top = (pick(row["p99"] * 1e3 for row in rows) for pick in (min, max))
    axis.set(xscale="log", yscale="log", xlim=(low / 2, high * 2), ylim=(bottom / 2.2, top * 2.2))
    # Names stand to the left of all points in the right half, one above the other, for where systems
    # are alike they would cover one another; in the left half, to the right of their own.
    transform = axis.transData.transform
    middle = (low * high) ** 0.5 if high > 3 * low else 0
    points = {row["system"]: transform((row["rps"], row["p99"] * 1e3)) for row in rows}
    edge = min(points[row["system"]][0] for row in rows if row["rps"] >= middle) - 13
    last = {}
    for row in sorted(rows, key=lambda row: row["p99"]):
        colour, name = style(row)
        x, y = points[row["system"]]
        left = row["rps"] >= middle
        place = max(y, last.get(left, -1e9) + 16)
        last[left] = place
        to = (edge if left else x + 13, place)
        axis.annotate(name, (x, y), xycoords="figure pixels", xytext=to, textcoords="figure pixels",
                      color=colour, fontsize=8.5, ha="right" if left else "left", va="center",
                      fontweight="bold" if colour == OURS else "normal",
                      arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.5, "alpha": 0.5,
                                  "shrinkA": 2, "shrinkB": 4})
    axis.set_title(title, loc="left", fontsize=10.5, fontweight="bold")
    for each in (axis.xaxis, axis.yaxis):
        each.set_major_locator(LogLocator(subs=(1, 2, 5)))
        each.set_major_formatter(FuncFormatter(short))
        each.set_minor_formatter(NullFormatter())
    axis.set_xlabel("requests per second: more is better", fontsize=8.5)
    axis.set_ylabel("p99, ms: less is better", fontsize=8.5)


def curve(axis, name, points):
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    xs, ys = zip(*points)
    axis.plot(xs, ys, marker="o", color=OURS, linewidth=2, markersize=6, zorder=3)
    axis.fill_between(xs, ys, color=OURS, alpha=0.08)
    axis.set(ylim=(0, max(ys) * 1.15), xscale="linear" if name == "nodes" else "log")
    axis.xaxis.set_major_locator(FixedLocator(xs))
    axis.xaxis.set_minor_locator(NullLocator())
    for each in (axis.xaxis, axis.yaxis):
        each.set_major_formatter(FuncFormatter(short))
    axis.set_title(f"POST as {name} grow", loc="left", fontsize=10.5, fontweight="bold")
    axis.set_xlabel(name, fontsize=8.5)
    axis.set_ylabel("requests per second", fontsize=8.5)


def picture(rows, path):
    """Draws what there is; returns whether there was anything, and somebody to draw it."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcParams.update({"font.family": "sans-serif", "axes.spines.top": False,
                                "axes.spines.right": False, "svg.fonttype": "path",
                                "svg.hashsalt": "raftkvd", "xtick.labelsize": 8,
                                "ytick.labelsize": 8, "axes.edgecolor": OTHERS})
    loads = {}
    for row in rows:
        if row["figure"].startswith(("post", "get")) and row.get("rps") and row.get("p99"):
            # Peers that were measured apart stand beside the same load.
            title = spelled(row["figure"].replace("get, peers", "get, 3 nodes"))
            loads.setdefault(title, []).append(row)
    curves = {}
    for name in ("keys", "nodes", "connections"):
        points = [(int(row["figure"].split("=")[1]), row["rps"]) for row in rows
                  if row["figure"].startswith(f"growth, {name}=") and row.get("rps")]
        if points:
            curves[name] = sorted(points)
    if not loads and not curves:
        return False
    columns = min(3, max(len(loads), len(curves)))
    above = -(-len(loads) // columns)
    lines = above + -(-len(curves) // columns)
    figure, axes = pyplot.subplots(
        lines, columns, figsize=(4.6 * columns, 3.5 * lines), squeeze=False, dpi=72)
    # Names are placed by pixels: the panels must have their size first.
    figure.subplots_adjust(left=0.6 / figure.get_figwidth(), right=1 - 0.1 / figure.get_figwidth(),
                           bottom=0.5 / figure.get_figheight(),
                           top=1 - 0.35 / figure.get_figheight(), wspace=0.2, hspace=0.38)
    for axis in axes.flat:
        axis.set_axis_off()
    # Curves begin a line of their own.
    for axis, (title, members) in zip(axes[:above].flat, loads.items()):
        axis.set_axis_on()
        scatter(axis, title, members)
    for axis, (name, points) in zip(axes[above:].flat, curves.items()):
        axis.set_axis_on()
        curve(axis, name, points)
    for axis in axes.flat:
        axis.grid(color=PALE, linewidth=0.6, zorder=0)
        axis.tick_params(length=0, which="both")
    figure.savefig(path, metadata={"Date": None} if str(path).endswith("svg") else None)
    pyplot.close(figure)
    return True
