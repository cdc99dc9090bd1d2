"""Event files, read back with TensorBoard's own readers."""

import io

import numpy as np
import pytest
from PIL import Image

from visus.data.records import frame, read_records
from visus.train.events import EventWriter

event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
from tensorboard.backend.event_processing import plugin_event_accumulator  # noqa: E402
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader  # noqa: E402
from tensorboard.util import tensor_util  # noqa: E402


def accumulated(folder):
    # size_guidance 0: keep everything
    everything = dict.fromkeys(("scalars", "tensors"), 0)
    return event_accumulator.EventAccumulator(str(folder), size_guidance=everything).Reload()


def values(folder, tag):
    """The tensor of every event with that tag, with the plugin's name and content."""
    found = []
    for path in sorted(folder.iterdir()):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if value.tag == tag:
                    plugin = value.metadata.plugin_data
                    found.append((event.step, tensor_util.make_ndarray(value.tensor), plugin))
    return found


def test_file_name_and_version(tmp_path):
    with EventWriter(tmp_path / "run") as events:
        pass
    assert events.path.name.startswith("events.out.tfevents.")
    version, start = EventFileLoader(str(events.path)).Load()
    assert version.file_version == "brain.Event:2"
    assert (start.session_log.status, start.step) == (1, 0)
    assert len(list(read_records(events.path))) == 2


def test_scalars(tmp_path):
    with EventWriter(tmp_path) as events:
        events.scalar("loss", 0.25, step=0)
        events.scalars({"loss": 1e-8, "ä/β": -3.5}, step=300)
        events.scalar("loss", float("nan"), step=2**40)
    read = accumulated(tmp_path)
    assert [(s.step, s.value) for s in read.Scalars("loss")][:2] == [(0, 0.25), (300, pytest.approx(1e-8))]
    assert read.Scalars("loss")[2].step == 2**40 and np.isnan(read.Scalars("loss")[2].value)
    assert read.Scalars("ä/β")[0].value == -3.5


@pytest.mark.parametrize("floats", [False, True])
def test_images(tmp_path, floats):
    pictures = np.random.default_rng(0).integers(0, 256, (5, 4, 7, 3), np.uint8)
    with EventWriter(tmp_path) as events:
        events.images("seen", pictures / 255 if floats else pictures, step=2, max_images=3)
    ((step, strings, plugin),) = values(tmp_path, "seen")
    assert (step, plugin.plugin_name) == (2, "images")
    assert strings[:2].tolist() == [b"7", b"4"]  # width, height
    decoded = [np.array(Image.open(io.BytesIO(png))) for png in strings[2:]]
    assert np.array_equal(decoded, pictures[:3])


def test_one_gray_image(tmp_path):
    with EventWriter(tmp_path) as events:
        events.images("gray", np.arange(6, dtype=np.uint8).reshape(2, 3), step=0)
    ((_, strings, _),) = values(tmp_path, "gray")
    assert np.array(Image.open(io.BytesIO(strings[2]))).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "bad",
    [np.zeros((2, 2, 2), np.uint8), np.full((2, 3), 1.5), np.zeros((2, 3), int), np.full((2, 3), np.nan)],
)
def test_images_of_another_form_are_refused(tmp_path, bad):
    with EventWriter(tmp_path) as events, pytest.raises(ValueError, match="Received"):
        events.images("bad", bad, step=0)


def test_histogram(tmp_path):
    with EventWriter(tmp_path) as events:
        events.histogram("w", [0.0, 0.1, 0.9, 1.0, np.nan, np.inf], step=4, bins=2)
        events.histogram("constant", np.full(3, 2.0), step=4)
        events.histogram("nothing", [], step=4)
    ((step, rows, plugin),) = values(tmp_path, "w")
    assert (step, plugin.plugin_name) == (4, "histograms")
    assert rows.tolist() == [[0.0, 0.5, 2.0], [0.5, 1.0, 2.0]]
    assert values(tmp_path, "constant")[0][1][:, 2].sum() == 3


def test_text(tmp_path):
    with EventWriter(tmp_path) as events:
        events.text("note", "**hello** ✓", step=1)
    ((_, strings, plugin),) = values(tmp_path, "note")
    assert plugin.plugin_name == "text" and strings[0].decode() == "**hello** ✓"


def test_pr_curve_against_counting(tmp_path):
    truth, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    with EventWriter(tmp_path) as events:
        events.pr_curve("cat", truth, scores, step=0, thresholds=11)
    ((_, table, plugin),) = values(tmp_path, "cat")
    from tensorboard.plugins.pr_curve.plugin_data_pb2 import PrCurvePluginData

    assert PrCurvePluginData.FromString(plugin.content).num_thresholds == 11
    for i, limit in enumerate(np.linspace(0, 1, 11)):
        called = scores >= limit
        tp, fp = (called & (truth == 1)).sum(), (called & (truth == 0)).sum()
        expected = [tp, fp, 2 - fp, 2 - tp, tp / max(tp + fp, 1), tp / 2]
        assert table[:, i].tolist() == pytest.approx(expected)


def test_hparams(tmp_path):
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    with EventWriter(tmp_path) as events:
        events.hparams(
            {"lr": 0.1, "units": np.int64(16), "augment": True, "optimizer": "adam", "size": (3, 4)}
        )
        events.finished()
    ((_, _, plugin),) = values(tmp_path, "_hparams_/session_start_info")
    hparams = HParamsPluginData.FromString(plugin.content).session_start_info.hparams
    assert (hparams["lr"].number_value, hparams["units"].number_value) == (0.1, 16)
    assert (hparams["augment"].bool_value, hparams["optimizer"].string_value) == (True, "adam")
    assert hparams["size"].string_value == "(3, 4)"
    ((_, _, plugin),) = values(tmp_path, "_hparams_/session_end_info")
    assert HParamsPluginData.FromString(plugin.content).session_end_info.status == 1


def test_graph(tmp_path):
    with EventWriter(tmp_path) as events:
        events.graph([("in", "Input", []), ("trunk/conv", "Conv2D", ["in"])])
    nodes = accumulated(tmp_path).Graph().node
    assert [(n.name, n.op, list(n.input)) for n in nodes] == [
        ("in", "Input", []),
        ("trunk/conv", "Conv2D", ["in"]),
    ]


def test_a_resumed_run_has_no_doubled_points(tmp_path):
    with EventWriter(tmp_path) as first:
        for step in range(1, 6):
            first.scalar("loss", step, step)
    with first.path.open("ab") as file:
        file.write(frame(b"killed while writing")[:15])
    with EventWriter(tmp_path, purge_step=4) as second:
        for step in range(4, 8):
            second.scalar("loss", 10 * step, step)
    assert second.path.name > first.path.name
    points = [(s.step, s.value) for s in accumulated(tmp_path).Scalars("loss")]
    assert points == [(1, 1), (2, 2), (3, 3), (4, 40), (5, 50), (6, 60), (7, 70)]
    server = plugin_event_accumulator.EventAccumulator(str(tmp_path)).Reload()  # TensorBoard's other reader
    assert [(e.step, tensor_util.make_ndarray(e.tensor_proto)) for e in server.Tensors("loss")] == points


def test_a_second_writer_adds_to_a_run(tmp_path):
    for tag in ("a", "b"):
        with EventWriter(tmp_path) as events:
            events.scalar(tag, 1.0, step=3)
    server = plugin_event_accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert len(server.Tensors("a")) == len(server.Tensors("b")) == 1


def test_events_are_on_disk_before_the_writer_is_closed(tmp_path):
    events = EventWriter(tmp_path)
    events.scalar("loss", 1.0, 1)
    assert len(list(read_records(events.path))) == 3
    events.close()
    events.close()
