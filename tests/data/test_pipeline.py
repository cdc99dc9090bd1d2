"""The pipeline: the position is the only state, and threads change nothing but the speed."""

import itertools

import numpy as np
import pytest

from visus.data import Dataset
from visus.data.pipeline import Pipeline
from visus.data.store import PictureStore, decode, shrink
from visus.image.io import write
from visus.structures import Classification, ImageSpec, InputError, Sample

SPEC = ImageSpec(6, 8)


class Noise:
    """A random policy: adds one random number to the whole picture."""

    def apply(self, sample, rng, spec=None):
        """Shifts the value and keeps the size."""
        shift = rng.integers(0, 100)
        picture = np.broadcast_to(np.asarray(sample.image[:1, :1]) + np.uint8(shift), spec.shape)
        return sample.replace(image=picture)


def make(n=10, **arguments):
    samples = tuple(
        Sample(np.full((6, 8, 3), i, np.uint8), Classification(label=i % 3), f"array#{i}") for i in range(n)
    )
    return Pipeline(Dataset(samples, ("a", "b", "c")), SPEC, **{"batch_size": 4, **arguments})


def values(batches):
    return [batch[0][:, 0, 0, 0].tolist() for batch in batches]


def test_batches_are_float32_0_to_255_with_one_hot_targets():
    images, targets = next(make().epoch())
    assert images.dtype == targets.dtype == np.float32
    assert images.shape == (4, 6, 8, 3)
    assert targets.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]


def test_the_last_partial_batch_is_kept_unless_dropped():
    assert [len(v) for v in values(make().epoch())] == [4, 4, 2]
    assert [len(v) for v in values(make(drop_remainder=True).epoch())] == [4, 4]
    assert (make().steps, make(drop_remainder=True).steps) == (3, 2)


def test_every_pass_is_another_permutation_and_the_seed_fixes_it():
    passes = [sum(values(make(shuffle=True, seed=1).epoch(e)), []) for e in range(3)]
    assert all(sorted(p) == list(range(10)) for p in passes)
    assert passes[0] != passes[1] != passes[2]
    assert passes[1] == sum(values(make(shuffle=True, seed=1).epoch(1)), [])
    assert passes[1] != sum(values(make(shuffle=True, seed=2).epoch(1)), [])


def test_going_on_in_the_middle_gives_the_tail_of_the_uninterrupted_stream():
    arguments = {"shuffle": True, "policy": Noise(), "seed": 5}
    whole = values(make(**arguments).batches(0, 9))
    for cut in range(9):
        assert values(make(**arguments).batches(cut, 9 - cut)) == whole[cut:]


def test_the_number_of_workers_changes_nothing():
    runs = [values(make(shuffle=True, policy=Noise(), workers=w).batches(0, 6)) for w in (1, 2, 7)]
    assert runs[0] == runs[1] == runs[2]


def test_augmentation_differs_from_pass_to_pass():
    pipeline = make(policy=Noise())
    assert values(pipeline.epoch(0)) != values(pipeline.epoch(1))


def test_class_weights_become_sample_weights():
    weights = np.array([1.0, 2.0, 4.0], np.float32)
    assert [b[2].tolist() for b in make(class_weights=weights).epoch()] == [
        [1, 2, 4, 1],
        [2, 4, 1, 2],
        [4, 1],
    ]


def test_mix_gets_its_own_seeded_generator():
    def swap(images, targets, rng):
        order = rng.permutation(len(images))
        return images[order], targets[order]

    assert values(make(mix=swap).batches(2, 3)) == values(make(mix=swap).batches(0, 5))[2:]


def test_tf_data_delivers_the_same_batches():
    pipeline = make(shuffle=True)
    expected = list(pipeline.batches(1, 4))
    received = list(pipeline.dataset(1, 4).as_numpy_iterator())
    assert len(received) == 4
    for (x, y), (x2, y2) in zip(expected, received):
        np.testing.assert_array_equal(x, x2)
        np.testing.assert_array_equal(y, y2)


def test_an_endless_stream_can_be_abandoned():
    assert len(list(itertools.islice(make().batches(), 20))) == 20


def test_an_unreadable_picture_is_replaced_and_reported_once(tmp_path):
    for i in range(4):
        write(tmp_path / f"{i}.png", np.full((6, 8, 3), i, np.uint8))
    (tmp_path / "2.png").write_text("no picture")
    samples = tuple(Sample(tmp_path / f"{i}.png", Classification(label=i % 2), f"{i}.png") for i in range(4))
    pipeline = Pipeline(Dataset(samples, ("even", "odd")), SPEC, batch_size=4)
    images, targets = next(pipeline.epoch())
    assert images[:, 0, 0, 0].tolist() == [0, 1, 3, 3]
    assert targets.argmax(1).tolist() == [0, 1, 1, 1]
    assert list(pipeline.problems) == ["2.png"]


def test_no_readable_picture_at_all_is_an_error(tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    dataset = Dataset((Sample(tmp_path / "a.png", Classification(label=0), "a.png"),), ("x",))
    with pytest.raises(InputError, match="None of the 1 pictures"):
        next(Pipeline(dataset, SPEC, batch_size=1).epoch())


@pytest.mark.parametrize(("arguments", "message"), [({"batch_size": 0}, "at least 1"), ({"n": 0}, "empty")])
def test_unusable_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        make(**arguments)


def test_statistics_name_the_stages():
    pipeline = make(policy=Noise())
    list(pipeline.epoch())
    table = pipeline.statistics()
    assert table["augment"]["count"] == 10
    assert table["wait"]["count"] == 3
    assert 0 <= table["decode"]["p50_ms"] <= table["decode"]["p95_ms"]


def pictures_on_disk(folder, sizes):
    samples = []
    for i, (height, width) in enumerate(sizes):
        picture = np.random.default_rng(i).integers(0, 255, (height, width, 3), np.uint8)
        write(folder / f"{i}.png", picture)
        samples.append(Sample(folder / f"{i}.png", Classification(label=0), f"{i}.png"))
    return Dataset(tuple(samples), ("x",))


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_store_holds_what_decoding_gives(tmp_path, on_disk):
    dataset = pictures_on_disk(tmp_path, [(6, 8), (5, 9), (7, 3)])
    store = PictureStore.build(dataset, folder=tmp_path / "cache" if on_disk else None)
    assert len(store) == 3
    assert store.nbytes == 3 * (48 + 45 + 21)
    for picture, sample in zip(store, dataset):
        np.testing.assert_array_equal(picture, decode(sample))


def test_a_store_on_disk_is_used_again_until_the_data_changes(tmp_path):
    dataset = pictures_on_disk(tmp_path, [(6, 8)])
    done = []
    for expected in (1, 1):
        PictureStore.build(dataset, folder=tmp_path / "cache", progress=done.append)
        assert len(done) == expected
    write(tmp_path / "0.png", np.zeros((9, 9, 3), np.uint8))
    store = PictureStore.build(dataset, folder=tmp_path / "cache", progress=done.append)
    assert len(done) == 2
    assert store[0].shape == (9, 9, 3)


def test_a_store_leaves_out_what_cannot_be_read(tmp_path):
    dataset = pictures_on_disk(tmp_path, [(6, 8), (5, 9)])
    (tmp_path / "0.png").write_bytes(b"")
    store = PictureStore.build(dataset)
    assert [s.source for s in store.dataset] == ["1.png"]
    assert list(store.problems) == ["0.png"]
    assert store[0].shape == (5, 9, 3)


def test_shrink_only_shrinks():
    assert shrink(np.zeros((20, 40, 3), np.uint8), 10).shape == (10, 20, 3)
    assert shrink(np.zeros((8, 40, 3), np.uint8), 10).shape == (8, 40, 3)


def test_decode_fits_arrays_to_the_channels_wanted():
    gray = np.arange(48, dtype=np.uint8).reshape(6, 8)
    assert decode(Sample(gray)).shape == (6, 8, 3)
    assert decode(Sample(gray[..., None]), channels=1).shape == (6, 8)
    colour = np.zeros((6, 8, 3), np.uint8)
    colour[..., 1] = 100
    assert decode(Sample(colour), channels=1)[0, 0] == 59  # 0.587 * 100, ITU-R BT.601
