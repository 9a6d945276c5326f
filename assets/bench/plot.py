"""Draws the plots of this folder from what `ganger bench growth --json` and `ganger bench steady
--json` wrote.

    pip install matplotlib
    ganger bench growth --json > growth.json
    ganger bench steady --for 1h --json > steady.json
    python3 plot.py growth.json steady.json

Writes growth.svg and steady.svg beside this script, from whichever of them is there.
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
    "batches": "batches that a million tasks come in",
    "labels": "batches, each with a label of its own",
    "classes": "batches, each with needs of its own",
}
GROWTH = [
    ("tasks/s", "squares a second", "tab:blue"),
    ("master µs a task", "master's processor time a task, µs", "tab:orange"),
    ("master MiB", "master's peak memory, MiB", "tab:green"),
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
        len(GROWTH), len(series), figsize=(3.4 * len(series), 6.5), squeeze=False, layout="constrained"
    )
    for column, one in enumerate(series):
        axis = one["axis"]
        at = [point[axis] for point in one["points"]]
        for row, (key, title, colour) in enumerate(GROWTH):
            plot = grid[row][column]
            plot.plot(at, [point[key] for point in one["points"]], "o-", color=colour)
            plot.set_xscale("log")
            plot.set_ylim(bottom=0)
            if column == 0:
                plot.set_ylabel(title)
            if row == len(GROWTH) - 1:
                plot.set_xlabel(TITLES[axis])
    save(figure, "growth.svg")


def steady(report):
    """One line a measure, over the minutes."""
    points = report["series"][0]["points"]
    at = [point["s"] / 60 for point in points]
    figure, grid = plt.subplots(len(STEADY), 1, figsize=(9, 9), sharex=True, layout="constrained")
    for plot, (key, title, colour) in zip(grid, STEADY):
        plot.plot(at, [point[key] for point in points], color=colour)
        plot.set_ylim(bottom=0)
        plot.set_title(title, loc="left", fontsize=9)
    grid[-1].set_xlabel("minutes")
    figure.suptitle("; ".join(report["conditions"][:1]))
    save(figure, "steady.svg")


def main(paths):
    style()
    for path in paths:
        for report in json.loads(pathlib.Path(path).read_text())["reports"]:
            if report["command"].startswith("ganger bench growth"):
                growth(report)
            elif report["command"].startswith("ganger bench steady"):
                steady(report)


if __name__ == "__main__":
    main(sys.argv[1:])
