"""Draws the plots of this folder from what `ganger bench growth --json` and `ganger bench steady
--json` wrote.

    pip install matplotlib
    ganger bench growth --json > growth.json
    ganger bench steady --for 1h --json > steady.json
    python3 plot.py growth.json steady.json

Writes growth.svg, steady.svg and, of a second steady load, steady-fast.svg beside this script, from
whichever of them is there.
"""

import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = pathlib.Path(__file__).resolve().parent
TITLES = {
    "queue": "tasks that wait in the queue",
    "workers": "connected workers",
    "batches": "batches of a million tasks",
    "labels": "labels, a batch each",
    "classes": "classes, a batch each",
}
# What is drawn: the key, the title, its colour, and what its values are divided by.
GROWTH = [
    ("tasks/s", "million squares a second", "tab:blue", 1e6),
    ("master µs a task", "master's µs a task", "tab:orange", 1),
    ("master MiB", "master's peak, MiB", "tab:green", 1),
]
STEADY = [
    ("tasks/s", "squares ended a second", "tab:blue"),
    ("p50 ms", "latency of one task, p50, ms", "tab:purple"),
    ("p99 ms", "latency of one task, p99, ms", "tab:red"),
    ("master MiB", "master's memory, MiB", "tab:green"),
    ("store MiB", "store on the disk, MiB", "tab:brown"),
]


def style():
    plt.rcParams.update(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "ganger",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.3,
        }
    )


def save(figure, name):
    figure.savefig(HERE / name, metadata={"Date": None})
    plt.close(figure)
    print(HERE / name)


def growth(report):
    """One column an axis, one line a measure."""
    series = [one for one in report["series"] if one["axis"] in TITLES]
    figure, grid = plt.subplots(
        len(GROWTH), len(series), figsize=(2.6 * len(series), 6), squeeze=False, layout="constrained"
    )
    for column, one in enumerate(series):
        axis = one["axis"]
        at = [point[axis] for point in one["points"]]
        for row, (key, title, colour, unit) in enumerate(GROWTH):
            plot = grid[row][column]
            values = [point[key] / unit for point in one["points"]]
            plot.plot(at, values, "o-", color=colour)
            plot.set_xscale("log")
            plot.minorticks_off()
            plot.set_ylim(0, max(values) * 1.15)
            if column == 0:
                plot.set_ylabel(title)
            if row == len(GROWTH) - 1:
                plot.set_xlabel(TITLES[axis])
    save(figure, "growth.svg")


def steady(report, name):
    """One line a measure, over the minutes."""
    points = report["series"][0]["points"]
    at = [point["s"] / 60 for point in points]
    figure, grid = plt.subplots(len(STEADY), 1, figsize=(9, 9), sharex=True, layout="constrained")
    for plot, (key, title, colour) in zip(grid, STEADY):
        values = [point[key] for point in points]
        plot.plot(at, values, color=colour)
        plot.set_ylim(0, max(values) * 1.15)
        plot.set_title(title, loc="left", fontsize=9)
    grid[-1].set_xlabel("minutes")
    figure.suptitle("; ".join(report["conditions"][:1]))
    save(figure, name)


def main(paths):
    style()
    steadies = iter(["steady.svg", "steady-fast.svg", "steady-3.svg"])
    for path in paths:
        for report in json.loads(pathlib.Path(path).read_text())["reports"]:
            if report["command"].startswith("ganger bench growth"):
                growth(report)
            elif report["command"].startswith("ganger bench steady"):
                steady(report, next(steadies))


if __name__ == "__main__":
    main(sys.argv[1:])
