"""Plots: what is drawn is what was given, and nothing outside of the figure is touched."""

import io
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from visus.draw import plots
from visus.structures import Estimate

HISTORY = [
    {
        "epoch": 1,
        "phase": "head",
        "loss": 1.4,
        "accuracy": 0.5,
        "val_loss": 1.2,
        "val_accuracy": 0.6,
        "seconds": 9,
    },
    {
        "epoch": 2,
        "phase": "head",
        "loss": 0.9,
        "accuracy": 0.7,
        "val_loss": 1.0,
        "val_accuracy": 0.7,
        "seconds": 9,
    },
    {
        "epoch": 1,
        "phase": "tune",
        "loss": 0.5,
        "accuracy": 0.9,
        "val_loss": 0.8,
        "val_accuracy": 0.8,
        "seconds": 99,
    },
    {
        "epoch": 2,
        "phase": "tune",
        "loss": 0.3,
        "accuracy": 1.0,
        "val_loss": 0.9,
        "val_accuracy": 0.75,
        "seconds": 99,
    },
]


def texts(axes) -> list[str]:
    return [t.get_text() for t in axes.texts]


def drawn(figure: Figure) -> Figure:
    figure.draw_without_rendering()
    return figure


def test_training_is_solid_validation_dashed_and_the_kept_epoch_marked():
    figure = drawn(plots.curves(HISTORY, best=2))
    loss, accuracy = figure.axes
    lines = {line.get_label(): line for line in loss.lines}
    assert lines["training"].get_linestyle() == "-"
    assert lines["validation"].get_linestyle() == "--"
    assert lines["training"].get_ydata().tolist() == [1.4, 0.9, 0.5, 0.3]
    mark = lines["kept: epoch 3, 0.8"]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (3, 0.8)
    assert "kept: epoch 3, 80.0%" in [line.get_label() for line in accuracy.lines]
    assert texts(loss) == ["head", "tune"]
    assert "seconds" not in str([axes.get_ylabel() for axes in figure.axes])


def test_percent_is_written_for_shares_and_never_for_a_loss():
    loss, accuracy = drawn(plots.curves(HISTORY)).axes
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy (share of pictures)")
    assert all("%" not in label.get_text() for label in loss.get_yticklabels())
    assert all("%" in label.get_text() for label in accuracy.get_yticklabels())


def test_histories_with_gaps_and_of_nothing_are_drawn():
    gappy = [{"loss": 1.0}, {"loss": math.nan, "val_loss": ""}, {"loss": "0.5", "val_loss": None}]
    figure = drawn(plots.curves(gappy, best=1))
    assert len(figure.axes) == 1
    drawn(plots.curves([]))
    drawn(plots.curves([{"loss": math.nan}]))


def test_histories_are_compared_by_their_best_epoch():
    figure = drawn(plots.compare_histories({"adam": HISTORY, "sgd": HISTORY[:2]}, "val_accuracy"))
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [(d.get_xdata()[0], d.get_ydata()[0]) for d in dots] == [(3, 0.8), (2, 0.7)]
    assert figure.axes[0].get_ylabel() == "validation accuracy (share of pictures)"


def test_confusion_matrix_writes_its_counts_and_colours_errors_apart():
    matrix = np.array([[8, 2], [0, 10]])
    axes = drawn(plots.confusion_matrix(matrix, ["cat", "dog"])).axes[0]
    assert {t.get_position(): t.get_text() for t in axes.texts} == {(0, 0): "8", (1, 0): "2", (1, 1): "10"}
    picture = axes.images[0].get_array()
    assert picture[0, 0, 2] > picture[0, 0, 0]  # right: blue
    assert picture[0, 1, 0] > picture[0, 1, 2]  # wrong: orange
    assert picture[1, 0, :3].tolist() == [1, 1, 1]  # nothing: white
    assert [t.get_text() for t in axes.get_yticklabels()] == ["cat", "dog"]


@pytest.mark.parametrize("k", [1, 26, 100, 250])
def test_confusion_matrix_of_any_size(k: int):
    figure = drawn(
        plots.confusion_matrix(np.eye(k) * 3, [f"a rather long name of class {i}" for i in range(k)])
    )
    axes = figure.axes[0]
    assert len(axes.texts) == (1 if k == 1 else 0)
    assert len(axes.get_xticks()) <= 100
    assert max(figure.get_size_inches()) < 20


def test_names_of_strangers_are_text_and_not_mathematics():
    names = ["$\\frac{1}", "100$ note $", "line\nfeed", "ok"]
    figure = drawn(plots.confusion_matrix(np.eye(4), names))
    assert "\n" not in figure.axes[0].get_yticklabels()[2].get_text()
    estimates = [Estimate(0.5, 0.4, 0.6)] * 4
    drawn(plots.class_bars(names, {"f1": estimates}))


class Curve:
    fpr = np.array([0, 0, 0.5, 0.5, 1])
    recall = np.array([0, 0.5, 0.5, 1, 1])
    precision = np.array([1, 1, 0.5, 2 / 3, 0.5])


def test_ranking_names_the_hardest_of_many_classes():
    areas = {f"c{i}": (Estimate(0.5 + i / 100), Estimate(0.6)) for i in range(12)}
    areas["none"] = (Estimate(math.nan), Estimate(math.nan))
    figure = drawn(plots.ranking(dict.fromkeys(areas, Curve()), areas))
    named = [t.get_text().split("\n")[0] for t in figure.legends[0].get_texts()]
    assert named == ["c0", "c1", "c2", "c3", "c4"]
    assert figure.legends[0].get_title().get_text() == "the 5 hardest of 13"
    # Precision-recall: height P_n between R_(n-1) and R_n, whose area is the average precision.
    line = figure.axes[1].lines[0]
    x, y = line.get_data()
    assert float(np.sum(np.diff(x) * y[1:])) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert line.get_drawstyle() == "steps-pre"


def test_reliability_bars_add_up_to_the_larger_of_promise_and_truth():
    edges = np.linspace(0, 1, 4)
    figure = drawn(plots.reliability(edges, [0, 5, 5], [math.nan, 0.5, 0.9], [math.nan, 0.6, 0.4], ece=0.3))
    axes, below = figure.axes
    tops = {}
    for bar in axes.patches:
        if math.isfinite(bar.get_height()):
            middle = round(bar.get_x() + bar.get_width() / 2, 3)
            tops[middle] = max(tops.get(middle, 0), bar.get_y() + bar.get_height())
    assert tops == {0.5: pytest.approx(0.6), 0.833: pytest.approx(0.9)}
    assert [bar.get_height() for bar in below.patches] == [0, 5, 5]
    assert axes.get_title(loc="left") == "expected calibration error 0.300"


def test_histogram_counts_right_and_wrong():
    figure = drawn(plots.score_histogram([0.1, 0.9, 0.95, 1.0], [False, True, True, False], bins=2))
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == [1, 1, 0, 2]
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == ["wrong (2)", "right (2)"]


def test_class_bars_show_the_intervals_and_the_first_class_at_the_top():
    recall = [Estimate(0.5, 0.3, 0.7), Estimate(1.0), Estimate(math.nan)]
    axes = drawn(plots.class_bars(["a", "b", "absent"], {"recall": recall})).axes[0]
    segments = axes.collections[0].get_segments()
    assert np.allclose(segments, [[[0.3, 0], [0.7, 0]]])
    top, bottom = axes.get_ylim()[::-1]
    assert top < 0 < bottom
    assert axes.get_xlim()[0] <= 0.3


def test_pareto_front_equals_comparing_all_pairs():
    rng = np.random.default_rng(0)
    cost, quality = rng.integers(1, 20, 60), rng.integers(0, 20, 60)
    front = plots.pareto_front(cost, quality)
    values = set(zip(cost.tolist(), quality.tolist()))

    def beaten(c: int, q: int) -> bool:
        return any(a <= c and b >= q and (a, b) != (c, q) for a, b in values)

    assert {(cost[i], quality[i]) for i in front} == {v for v in values if not beaten(*v)}
    assert np.all(np.diff(cost[front]) > 0)


def test_pareto_names_do_not_cover_one_another():
    points = [(f"model {i}", 10 + i % 3, 0.7 + 0.01 * i) for i in range(9)]
    figure = drawn(plots.pareto(points, x_label="ms", y_label="accuracy", highlight=["model 3"]))
    boxes = [t.get_window_extent() for t in figure.axes[0].texts]
    assert len(boxes) == 9
    covered = sum(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert covered <= 1


def test_save_leaves_a_png_and_nothing_else(tmp_path: Path):
    path = plots.save(plots.score_histogram([0.5], [True]), tmp_path / "h.png", dpi=100)
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.width > picture.height
    assert [p.name for p in tmp_path.iterdir()] == ["h.png"]


def test_no_global_setting_is_changed_and_threads_agree():
    before = dict(matplotlib.rcParams)

    def draw(_: int) -> bytes:
        buffer = io.BytesIO()
        plots.curves(HISTORY, best=2).savefig(buffer, format="png", dpi=50)
        return buffer.getvalue()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(draw, range(8)))) == 1
    assert dict(matplotlib.rcParams) == before
