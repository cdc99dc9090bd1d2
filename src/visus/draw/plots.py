"""Plots of training and of judgement, in one clean style.

Every function returns a `matplotlib.figure.Figure` of its own: no pyplot, no global setting is read or
changed, so threads may draw side by side and nothing needs to be closed. Colours are those of Okabe and Ito,
which stay apart for the colour-blind: blue is right, orange is wrong.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure, SubFigure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike, NDArray

from visus.structures import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, SKY, PURPLE, RED = "#0072B2", "#D55E00", "#009E73", "#56B4E9", "#CC79A7", "#A8323A"
GRAY, LIGHT, INK = "#6B7280", "#E5E7EB", "#1F2937"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY, "#B58900", "#4B2E83", "#7F4F24", RED, GRAY)

_SMALL, _NORMAL, _TITLE = 8.5, 9.5, 11.0
_AROUND = [(r, u) for u in (0.0, 0.5, -0.5, 1.0, -1.0, 1.6, -1.6) for r in (1, -1, 0) if r or abs(u) >= 1]
_NOT_MEASURED = ("epoch", "phase", "learning_rate", "seconds")


def curves(history: Sequence[Mapping[str, Any]], *, best: int | None = None) -> Figure:
    """Loss and metrics over the epochs: training solid, validation dashed, the kept epoch marked.

    Args:
        history: One mapping for each epoch, in order, with `loss`, `accuracy`, `val_loss`, `val_accuracy` and
            any other metric; `phase`, if there, divides the plot. What is missing in an epoch leaves a gap.
        best: Index into `history` of the epoch whose weights were kept.

    Example:
        >>> figure = curves([{"loss": 1.0, "val_loss": 1.1}, {"loss": 0.5, "val_loss": 0.8}], best=1)
        >>> [axes.get_ylabel() for axes in figure.axes]
        ['loss']
    """
    metrics = _metrics(history)
    columns = max(1, min(len(metrics), 3))
    rows = max(1, math.ceil(len(metrics) / columns))
    figure = _figure(9.6 if columns > 1 else 5.6, 3.7 * rows)
    epochs = np.arange(1, len(history) + 1)
    for i, metric in enumerate(metrics):
        axes = _axes(figure, rows, columns, i + 1)
        for name, line, label in ((metric, "-", "training"), (f"val_{metric}", "--", "validation")):
            values = series(history, name)
            if np.isfinite(values).any():
                mark = "o" if len(history) < 3 else ""
                color = BLUE if line == "-" else ORANGE
                axes.plot(
                    epochs, values, line, color=color, label=label, linewidth=1.8, marker=mark, markersize=4
                )
        if best is not None:
            value = series(history, f"val_{metric}")[best]
            value = series(history, metric)[best] if math.isnan(value) else value
            axes.axvline(best + 1, color=GRAY, linewidth=1, linestyle=":", zorder=0)
            if math.isfinite(value):
                label = f"kept: epoch {best + 1}, {_value(metric, value)}"
                axes.plot([best + 1], [value], "o", color=INK, markersize=6, label=label, linestyle="none")
        _phases(axes, history)
        axes.set_xlabel("epoch", fontsize=_NORMAL)
        axes.set_ylabel(_quantity(metric), fontsize=_NORMAL)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if _is_share(metric, history):
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        _legend(axes, loc="best")
    return figure


def compare_histories(
    histories: Mapping[str, Sequence[Mapping[str, Any]]], quantity: str = "val_loss"
) -> Figure:
    """One quantity of several trainings in one plot: optimisers, learning rates, augmentations.

    Args:
        histories: Name of the training -> its history, as for `curves`.
        quantity: Which value of the epochs, such as `val_accuracy`.
    """
    figure = _figure(7.2, 4.2)
    axes = _axes(figure)
    for i, (name, history) in enumerate(histories.items()):
        values = series(history, quantity)
        color = CYCLE[i % len(CYCLE)]
        line = "--" if quantity.startswith("val_") else "-"
        axes.plot(np.arange(1, len(values) + 1), values, line, color=color, linewidth=1.8, label=name)
        if np.isfinite(values).any():
            best = int((np.nanargmin if quantity.endswith("loss") else np.nanargmax)(values))
            axes.plot([best + 1], [values[best]], "o", color=color, markersize=6)
    metric = quantity.removeprefix("val_")
    axes.set_xlabel("epoch", fontsize=_NORMAL)
    axes.set_ylabel(f"{'validation ' if quantity != metric else ''}{_quantity(metric)}", fontsize=_NORMAL)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if all(_is_share(metric, history) for history in histories.values()):
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    _legend(axes, loc="best", title="dot: best epoch")
    return figure


def confusion_matrix(matrix: ArrayLike, class_names: Sequence[str]) -> Figure:
    """The confusion matrix: rows actual, columns predicted, colour by share of the row.

    Blue is right and orange wrong. Numbers are counts, written where they fit (up to 25 classes). Names stay
    readable up to 100 classes; of more only some are written.

    Args:
        matrix: `(K, K)` counts.
        class_names: K names.
    """
    counts = np.asarray(matrix, np.float64)
    k = len(counts)
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    longest = max((len(_short(name)) for name in class_names), default=1)
    side = min(15.0, max(3.0, 0.82 * k if k <= 6 else 0.36 * k + 2.8 if k <= 30 else 0.16 * k + 4.0))
    margin = 0.6 + 0.075 * longest
    figure = _figure(side + margin + 0.4, side + margin)
    axes = _axes(figure, grid=False)
    right = LinearSegmentedColormap.from_list("right", ["#FFFFFF", "#BBD9EC", BLUE, "#004B78"])
    wrong = LinearSegmentedColormap.from_list("wrong", ["#FFFFFF", "#F6CDB4", ORANGE])
    off = share * (1 - np.eye(k))
    worst = max(0.2, off.max(initial=0.0))
    # A model with few mistakes would show none otherwise: their scale ends at the worst one.
    picture = np.where(np.eye(k)[..., None] > 0, right(share), wrong(np.sqrt(off / worst)))
    axes.imshow(picture, interpolation="nearest", aspect="equal")
    step = math.ceil(k / 100)
    size = _SMALL + 0.5 if k <= 30 else max(4.5, min(_SMALL, 9.0 * side / k * 5.2))
    names = [_short(name) for name in class_names]
    axes.set_xticks(
        range(0, k, step), names[::step], rotation=0 if 0.078 * longest < side / k else 90, fontsize=size
    )
    axes.set_yticks(range(0, k, step), names[::step], fontsize=size)
    axes.set_xlabel("predicted", fontsize=_NORMAL)
    axes.set_ylabel("actual", fontsize=_NORMAL)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if k <= 40:
        axes.set_xticks(np.arange(-0.5, k), minor=True)
        axes.set_yticks(np.arange(-0.5, k), minor=True)
        axes.grid(which="minor", color=LIGHT, linewidth=0.8)
        axes.tick_params(which="minor", length=0)
    if k <= 25:
        digits = max(len(_count(v)) for v in counts.ravel())
        font = min(11.0, 72 * side / k / max(1, digits) * 1.1, 72 * side / k * 0.45)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                dark = share[row, column] > 0.45 if row == column else off[row, column] > 0.75 * worst
                axes.text(
                    column,
                    row,
                    _count(count),
                    ha="center",
                    va="center",
                    fontsize=font,
                    color="white" if dark else INK,
                )
    return figure


def ranking(sweeps: Mapping[str, Any], areas: Mapping[str, tuple[Estimate, Estimate]]) -> Figure:
    """ROC curves on the left, precision-recall curves on the right, one class against the rest.

    Of more than eight classes the five with the smallest area (of either kind) are named, the others gray.

    Args:
        sweeps: Class name -> anything with the arrays `fpr`, `recall` and `precision`
            (`visus.evaluate.Sweep`).
        areas: Class name -> `(area under the ROC curve, average precision)`.
    """
    figure = _figure(10.2, 4.0)
    named = list(sweeps)
    if len(named) > 8:
        worst = sorted(named, key=lambda name: math.prod(_or_one(a.value) for a in areas[name]))
        named = worst[:5]
    panels = (("false positive rate", "recall (true positive rate)"), ("recall", "precision"))
    for i, (across, up) in enumerate(panels):
        axes = _axes(figure, 1, 2, i + 1)
        if i == 0:
            axes.plot([0, 1], [0, 1], ":", color=GRAY, linewidth=1)
        for name, found in sweeps.items():
            if i == 0:
                x, y = found.fpr, found.recall
            else:  # the points where one more is found; between them precision only falls
                more = np.flatnonzero(np.diff(found.recall) > 0) + 1
                x = np.append(0.0, np.asarray(found.recall)[more])
                y = np.asarray(found.precision)[[*more[:1], *more]]
            kept = _thin(len(x))
            style: dict[str, Any] = {"color": "#9CA3AF", "linewidth": 0.7, "alpha": 0.5, "zorder": 1}
            if name in named:
                auc, ap = (area.value for area in areas[name])
                color = CYCLE[named.index(name) % len(CYCLE)]
                label = f"{_short(name)}\nAUC {auc:.3f}, AP {ap:.3f}"
                style = {"color": color, "linewidth": 1.7, "label": label, "clip_on": False}
            axes.plot(np.asarray(x)[kept], np.asarray(y)[kept], drawstyle="steps-pre" if i else None, **style)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.01)
        axes.set_xlabel(across, fontsize=_NORMAL)
        axes.set_ylabel(up, fontsize=_NORMAL)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside right center",
        fontsize=_SMALL,
        frameon=False,
        title=f"the {len(named)} hardest of {len(sweeps)}" if len(named) < len(sweeps) else None,
        title_fontsize=_SMALL,
        labelspacing=0.9,
    )
    return figure


def reliability(
    edges: ArrayLike,
    count: ArrayLike,
    confidence: ArrayLike,
    accuracy: ArrayLike,
    *,
    ece: float | None = None,
    into: SubFigure | None = None,
) -> Figure | SubFigure:
    """Accuracy against confidence in bins, with the number of pictures in each bin below.

    On the diagonal the model keeps its promises; orange below it is how far it promises too much, and above
    it too little.

    Args:
        edges: `(B + 1,)` from 0 to 1.
        count: `(B,)` pictures.
        confidence: `(B,)` mean confidence, NaN in an empty bin.
        accuracy: `(B,)` share of right answers, NaN in an empty bin.
        ece: Expected calibration error, for the title.
        into: A part of another figure to draw into, see `beside`.
    """
    borders, n = np.asarray(edges, np.float64), np.asarray(count, np.float64)
    sure, right = np.asarray(confidence, np.float64), np.asarray(accuracy, np.float64)
    figure = into or _figure(5.4, 5.6)
    grid = figure.add_gridspec(2, 1, height_ratios=(3.4, 1))
    axes, below = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    for part in (axes, below):
        _style(part)
    middle, width, full = (borders[:-1] + borders[1:]) / 2, np.diff(borders) * 0.92, n > 0
    axes.bar(middle, np.fmin(right, sure), width, color=SKY, alpha=0.75, label="right answers")
    for color, low, high, label in (
        (ORANGE, right, sure, "promised, not kept"),
        (GREEN, sure, right, "kept beyond the promise"),
    ):
        gaps = full & (np.nan_to_num(high - low) > 0)
        if gaps.any():
            gap, bottom = (high - low)[gaps], low[gaps]
            axes.bar(middle[gaps], gap, width[gaps], bottom, color=color, alpha=0.55, label=label)
    axes.plot([0, 1], [0, 1], ":", color=GRAY, linewidth=1.2)
    axes.plot(sure[full], right[full], "o", color=INK, markersize=4)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_ylabel("share of right answers", fontsize=_NORMAL)
    axes.tick_params(labelbottom=False)
    _legend(axes, loc="upper left")
    if ece is not None:
        axes.set_title(f"expected calibration error {ece:.3f}", fontsize=_TITLE, color=INK, loc="left")
    below.bar(middle, n, width, color=GRAY, alpha=0.7)
    below.set_xlim(0, 1)
    below.set_xlabel("confidence (probability of the answer)", fontsize=_NORMAL)
    below.set_ylabel("pictures", fontsize=_NORMAL)
    below.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    return figure


def score_histogram(
    confidence: ArrayLike, correct: ArrayLike, *, bins: int = 20, into: SubFigure | None = None
) -> Figure | SubFigure:
    """How sure the right answers are and how sure the wrong ones, stacked.

    Args:
        confidence: `(N,)` probability of the answer, in [0, 1].
        correct: `(N,)` booleans.
        bins: Number of bins over [0, 1].
        into: A part of another figure to draw into, see `beside`.
    """
    sure, right = np.asarray(confidence, np.float64), np.asarray(correct, bool)
    figure = into or _figure(5.4, 3.6)
    axes = _axes(figure)
    axes.hist(
        [sure[~right], sure[right]],
        np.linspace(0, 1, bins + 1).tolist(),
        stacked=True,
        color=[ORANGE, BLUE],
        label=[f"wrong ({int((~right).sum())})", f"right ({int(right.sum())})"],
        rwidth=0.92,
    )
    axes.set_xlim(0, 1)
    axes.set_xlabel("confidence (probability of the answer)", fontsize=_NORMAL)
    axes.set_ylabel("pictures", fontsize=_NORMAL)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    _legend(axes, loc="upper left")
    return figure


def beside(*parts: Callable[[SubFigure], object], width: float = 10.2, height: float = 4.6) -> Figure:
    """Several plots side by side in one figure.

    Args:
        *parts: Each draws into the part of the figure that it is given, with its argument `into`.
        width: Inches.
        height: Inches.
    """
    figure = _figure(width, height)
    for part, place in zip(parts, figure.subfigures(1, len(parts), wspace=0.04, squeeze=False)[0]):
        part(place)
    return figure


def class_bars(class_names: Sequence[str], figures: Mapping[str, Sequence[Estimate]]) -> Figure:
    """The figures of each class with their intervals, one row for each class.

    Args:
        class_names: K names, first at the top.
        figures: Name of the figure (precision, recall, ...) -> K estimates in [0, 1].
    """
    k, each = len(class_names), len(figures)
    pitch = 0.2 * each + 0.14 if k <= 40 else 0.13
    figure = _figure(8.4, max(1.6, 0.9 + pitch * k))
    axes = _axes(figure)
    axes.grid(axis="y", visible=False)
    for row in range(0, k, 2):
        axes.axhspan(row - 0.5, row + 0.5, color="#F3F4F6", zorder=0)
    spread = 0.52 if each > 1 else 0.0
    for i, (name, estimates) in enumerate(figures.items()):
        y = np.arange(k) + (i / max(1, each - 1) - 0.5) * spread
        value = np.array([e.value for e in estimates])
        low, high = (np.array([getattr(e, end) for e in estimates]) for end in ("low", "high"))
        known = np.isfinite(low) & np.isfinite(high)
        color, marker = CYCLE[i % len(CYCLE)], "osD^v"[i % 5]
        axes.hlines(y[known], low[known], high[known], color=color, linewidth=1.6, alpha=0.55)
        axes.plot(
            value, y, marker, color=color, markersize=5 if k <= 40 else 3.5, label=name, linestyle="none"
        )
    axes.set_yticks(range(k), [_short(n) for n in class_names], fontsize=_NORMAL if k <= 40 else 6.5)
    axes.set_ylim(k - 0.5, -0.5)
    ends = [e.low if math.isfinite(e.low) else e.value for es in figures.values() for e in es]
    least = min((v for v in ends if math.isfinite(v)), default=0.0)
    axes.set_xlim(max(0.0, math.floor(10 * (least - 0.02)) / 10), 1.005)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.tick_params(length=0)
    axes.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=each,
        fontsize=_NORMAL,
        frameon=False,
        handletextpad=0.3,
    )
    return figure


def pareto(
    points: Sequence[tuple[str, float, float]],
    *,
    x_label: str,
    y_label: str,
    x_scale: Literal["linear", "log"] = "log",
    highlight: Sequence[str] = (),
) -> Figure:
    """Cost against quality, every point named, with the front of those that nothing else beats in both.

    Args:
        points: `(name, cost, quality)`: a low cost and a high quality are good.
        x_label: What the cost is, with its unit.
        y_label: What the quality is.
        x_scale: `log` or `linear`.
        highlight: Names drawn in orange.
    """
    figure = _figure(8.4, 5.2)
    axes = _axes(figure)
    axes.set_xscale(x_scale)
    cost, quality = (np.array([p[i] for p in points], np.float64) for i in (1, 2))
    front = pareto_front(cost, quality)
    axes.plot(cost[front], quality[front], color=BLUE, linewidth=1.2, alpha=0.6, drawstyle="steps-post")
    on_front = np.isin(np.arange(len(points)), front)
    for i, (name, x, y) in enumerate(points):
        color = ORANGE if name in highlight else BLUE if on_front[i] else "#9CA3AF"
        axes.plot([x], [y], "o", color=color, markersize=8 if on_front[i] else 6, zorder=3)
    axes.margins(0.12, 0.12)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.set_xlabel(x_label, fontsize=_NORMAL)
    axes.set_ylabel(y_label, fontsize=_NORMAL)
    _name_points(figure, axes, points, [on_front[i] or p[0] in highlight for i, p in enumerate(points)])
    return figure


def pareto_front(cost: ArrayLike, quality: ArrayLike) -> NDArray[np.int64]:
    """Indices, by rising cost, of the points that no other point beats in both (low cost, high quality).

    Example:
        >>> pareto_front([1, 2, 3, 4], [0.5, 0.8, 0.7, 0.9]).tolist()
        [0, 1, 3]
    """
    x, y = np.asarray(cost, np.float64), np.asarray(quality, np.float64)
    order = np.lexsort((-y, x))
    best = np.maximum.accumulate(np.append(-math.inf, y[order]))[:-1]
    return order[y[order] > best]


def save(figure: Figure, path: Path, *, dpi: int = 150) -> Path:
    """Writes a figure as PNG, all or nothing.

    Args:
        figure: The figure.
        path: Where to; its folder must be there.
        dpi: Pixels per inch.

    Returns:
        The path.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        figure.savefig(part, format="png", dpi=dpi, facecolor="white")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def series(history: Sequence[Mapping[str, Any]], name: str) -> NDArray[np.float64]:
    """float64 `(E,)` of one quantity over the epochs, NaN where an epoch has none.

    Example:
        >>> series([{"loss": 1.5}, {}, {"loss": ""}, {"loss": "0.5"}], "loss").tolist()
        [1.5, nan, nan, 0.5]
    """
    given = [epoch.get(name) for epoch in history]
    return np.array([math.nan if v is None or v == "" else float(v) for v in given], np.float64)


# --- style -----------------------------------------------------------------------------------------------


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def _axes(
    figure: Figure | SubFigure, rows: int = 1, columns: int = 1, index: int = 1, *, grid: bool = True
) -> Axes:
    axes = figure.add_subplot(rows, columns, index)
    _style(axes, grid=grid)
    return axes


def _style(axes: Axes, *, grid: bool = True) -> None:
    axes.set_facecolor("white")
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#9CA3AF")
    axes.tick_params(labelsize=_SMALL, color="#9CA3AF", labelcolor=INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(color=LIGHT, linewidth=0.8)


def _legend(axes: Axes, **arguments: Any) -> None:
    if axes.get_legend_handles_labels()[0]:
        legend = axes.legend(fontsize=_SMALL, framealpha=0.9, edgecolor=LIGHT, facecolor="white", **arguments)
        legend.get_title().set_fontsize(_SMALL)


def _metrics(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is measured, loss first, without `val_` and without bookkeeping."""
    names = dict.fromkeys(str(name).removeprefix("val_") for epoch in history for name in epoch)
    numeric = [n for n in names if n not in _NOT_MEASURED and n != "loss"]
    measured = [n for n in numeric if np.isfinite([*series(history, n), *series(history, f"val_{n}")]).any()]
    return (["loss"] if "loss" in names else []) + measured


def _is_share(metric: str, history: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a metric may be written in percent: never a loss."""
    if not any(word in metric for word in ("accuracy", "precision", "recall")) or "loss" in metric:
        return False
    values = np.concatenate([series(history, metric), series(history, f"val_{metric}")])
    return bool(np.nanmax(values, initial=0.0) <= 1.0)


def _quantity(metric: str) -> str:
    return {"accuracy": "accuracy (share of pictures)", "loss": "loss"}.get(metric, metric.replace("_", " "))


def _value(metric: str, value: float) -> str:
    return f"{value:.1%}" if "accuracy" in metric else f"{value:.3g}"


def _phases(axes: Axes, history: Sequence[Mapping[str, Any]]) -> None:
    names = [epoch.get("phase") for epoch in history]
    starts = [i for i, name in enumerate(names) if i == 0 or name != names[i - 1]]
    if len(starts) < 2:
        return
    for n, (start, end) in enumerate(zip(starts, [*starts[1:], len(names)])):
        if n % 2:
            axes.axvspan(start + 0.5, end + 0.5, color="#F3F4F6", zorder=-1)
        axes.text(
            (start + end + 1) / 2,
            1.01,
            str(names[start]),
            transform=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=_SMALL,
            color=GRAY,
        )
    axes.set_xlim(0.5, len(names) + 0.5)


def _name_points(
    figure: Figure, axes: Axes, points: Sequence[tuple[str, float, float]], strong: Sequence[bool]
) -> None:
    """Writes names beside points, each where it covers the least of what is there already."""
    figure.draw_without_rendering()
    dots = axes.transData.transform([(p[1], p[2]) for p in points])
    scale = figure.dpi / 72
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in dots]
    for i in sorted(range(len(points)), key=lambda i: not strong[i]):
        width, height = 0.6 * _SMALL * len(points[i][0]) * scale, 1.25 * _SMALL * scale
        tries: list[tuple[float, int, tuple[float, float, float, float]]] = []
        for right, up in (
            (1, 0.4),
            (1, -0.4),
            (-1, 0.4),
            (-1, -0.4),
            (0, 1),
            (0, -1),
            (1, 1.2),
            (1, -1.2),
            (-1, 1.2),
        ):
            x = dots[i][0] + (8 * scale if right > 0 else -8 * scale - width if right < 0 else -width / 2)
            y = dots[i][1] + up * height * 1.3 - height / 2
            box = (x, y, x + width, y + height)
            tries.append(
                (sum(_overlap(box, other) for j, other in enumerate(taken) if j != i), len(tries), box)
            )
        box = min(tries)[2]
        taken.append(box)
        axes.annotate(
            points[i][0],
            xy=(points[i][1], points[i][2]),
            xytext=((box[0] - dots[i][0]) / scale, ((box[1] + box[3]) / 2 - dots[i][1]) / scale),
            textcoords="offset points",
            va="center",
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
            fontsize=_SMALL,
            color=INK if strong[i] else GRAY,
            annotation_clip=False,
        )


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _thin(length: int, most: int = 600) -> NDArray[np.int64]:
    """Positions of at most `most` points of a curve, both ends among them."""
    return np.unique(np.linspace(0, length - 1, min(length, most)).round().astype(np.int64))


def _short(name: str, most: int = 24) -> str:
    """A name short enough for an axis, and free of what matplotlib would take for mathematics."""
    text = "".join(c if c.isprintable() else "�" for c in str(name)).replace("$", r"\$")
    return text if len(text) <= most else text[: most - 1] + "…"


def _count(value: float) -> str:
    return f"{value:.0f}" if value == round(value) else f"{value:.1f}"


def _or_one(value: float) -> float:
    return 1.0 if math.isnan(value) else value
