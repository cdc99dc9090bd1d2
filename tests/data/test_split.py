"""Splits: sizes by hand, guarantees as properties, and the same result whatever the order."""

import hashlib
import math
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from visus.data import Dataset, load, split
from visus.data.content import copies
from visus.data.split import (
    at_least,
    group_keys,
    keep_copies_together,
    kfold,
    leave_one_group_out,
    per_class,
    read_split,
    select,
    write_split,
)
from visus.structures import Classification, InputError, Sample

PIXEL = np.zeros((1, 2), np.uint8)


def made(labels, groups=None, splits=None):
    """A set of samples called s0, s1, ... with these labels."""
    labels = list(labels)
    return Dataset(
        tuple(
            Sample(
                PIXEL,
                None if label is None else Classification(label=int(label)),
                f"s{i}",
                group=None if groups is None else groups[i],
                split=None if splits is None else splits[i],
            )
            for i, label in enumerate(labels)
        ),
        tuple(f"c{k}" for k in range(max((int(v) for v in labels if v is not None), default=0) + 1)),
        name="made",
    )


def sizes(dataset):
    return Counter(s.split for s in dataset)


def places(dataset):
    return {s.source: s.split for s in dataset}


def test_sizes_of_two_steps():
    data = made(i % 5 for i in range(5000))
    first = split(data, test=0.2)
    assert sizes(first) == {"train": 4000, "test": 1000}
    second = split(first, val=0.25)
    assert sizes(second) == {"train": 3000, "val": 1000, "test": 1000}
    assert [s.source for s in first.split("test")] == [s.source for s in second.split("test")]


def test_sizes_by_share_percent_and_count():
    assert sizes(split(made(i % 6 for i in range(1800)), test=0.3)) == {"train": 1260, "test": 540}
    assert sizes(split(made([0] * 100), test=0.07)) == {"train": 93, "test": 7}  # in floats 7.000000000000001
    assert sizes(split(made([0] * 101), test="15%", val=20)) == {"train": 65, "test": 16, "val": 20}
    assert sizes(split(made([0] * 10), test=0.01)) == {"train": 9, "test": 1}


@given(n=st.integers(20, 400), percent=st.integers(1, 60))
@settings(max_examples=50, deadline=None)
def test_held_out_rounds_up_as_scikit_learn(n, percent):
    data = made([0] * n)
    held = sizes(split(data, test=percent / 100))["test"]
    assert held == math.ceil(Fraction(n * percent, 100))
    if not (percent / 100 * n) % 1 < 1e-9:  # where floats are exact enough, scikit-learn agrees
        assert held == len(train_test_split(range(n), test_size=percent / 100)[1])


def test_percent_boundaries_round_half_to_even():
    data = made(list(range(5)) * 734)
    assert len(data) == 3670
    parts = [select(data, text) for text in ("train[:10%]", "train[10%:25%]", "train[25%:]")]
    assert [len(p) for p in parts] == [367, 551, 2752]
    assert [s.source for p in parts for s in p] == [s.source for s in data]
    assert len(select(made([0, 1] * 5), "train[:25%]")) == 2  # 2.5
    assert len(select(made([0, 1] * 7), "train[:25%]")) == 4  # 3.5


def test_slices():
    data = made([0, 1] * 5, splits=["train"] * 6 + ["test"] * 4)
    names = [s.source for s in select(data, "train[:2] + test[-1:]+train[-50%:4]")]
    assert names == ["s0", "s1", "s9", "s3"]
    assert len(select(data, "all")) == 10
    assert len(select(data, "all[3:100]")) == 7
    for wrong in ("train[:10]]", "", "train[1]", "val", "train[a:b]"):
        with pytest.raises(InputError):
            select(data, wrong)


def test_a_slice_through_sorted_classes_needs_a_seed():
    data = made([0] * 50 + [1] * 50)
    with pytest.raises(InputError, match="sorted by class"):
        select(data, "train[:10%]")
    parts = [select(data, text, seed=3) for text in ("train[:10%]", "train[10%:]")]
    assert sorted(s.source for p in parts for s in p) == sorted(s.source for s in data)
    assert set(parts[1].labels()) == {0, 1}
    assert len(select(data, "train")) == 100


def test_who_goes_where_is_the_order_of_hashes():
    data = made([0] * 9 + [1] * 6)

    def rank(i):
        return hashlib.blake2b(f"7\0s{i}".encode(), digest_size=16).digest()

    expected = {*sorted(range(9), key=rank)[:3], *sorted(range(9, 15), key=rank)[:2]}
    assert {int(s.source[1:]) for s in split(data, test=5, seed=7).split("test")} == expected


@given(
    labels=st.lists(st.integers(0, 4), min_size=30, max_size=150),
    test=st.floats(0.1, 0.4),
    val=st.floats(0.1, 0.3),
    seed=st.integers(0, 2**31),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_stratified_guarantees(labels, test, val, seed, data):
    labels += [0, 1, 2, 3, 4] * 3
    whole = made(labels)
    parts = split(whole, test=test, val=val, seed=seed)
    n = len(labels)
    assert [s.source for s in parts] == [s.source for s in whole]
    assert set(sizes(parts)) == {"train", "val", "test"}
    assert sizes(parts)["test"] == math.ceil(n * Fraction(str(test)))
    assert sizes(parts)["val"] == math.ceil(n * Fraction(str(val)))
    for label, total in Counter(labels).items():
        held = sum(s.split == "test" for s in parts if s.target.label == label)
        assert held >= 1
        # Exactly proportional, but for rounding and the one sample that every class must get.
        assert abs(held - total * sizes(parts)["test"] / n) <= 1 + len(set(labels)) / 2
    order = data.draw(st.permutations(range(n)))
    assert places(split(whole.subset(order), test=test, val=val, seed=seed)) == places(parts)


@given(
    labels=st.lists(st.integers(0, 2), min_size=40, max_size=120),
    width=st.integers(1, 6),
    seed=st.integers(0, 1000),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_no_group_stands_on_two_sides(labels, width, seed, data):
    groups = [f"g{i // width}" for i in range(len(labels))]
    labels += [0, 1, 2] * 4
    groups += [f"extra{i}" for i in range(12)]
    whole = made(labels, groups)
    parts = split(whole, test=0.25, val=0.2, seed=seed)
    assert set(sizes(parts)) == {"train", "val", "test"}
    assert max(Counter(group for group, _ in {(s.group, s.split) for s in parts}).values()) == 1
    assert abs(sizes(parts)["test"] - 0.25 * len(labels)) <= width + 1
    order = data.draw(st.permutations(range(len(labels))))
    assert places(split(whole.subset(order), test=0.25, val=0.2, seed=seed)) == places(parts)


def test_groups_keep_the_classes_in_proportion():
    rng = np.random.default_rng(0)
    groups, labels = [], []
    for g in range(60):  # each patient has one disease, common or rare, and 1 to 20 pictures
        size, label = rng.integers(1, 21), int(g % 5 == 0)
        groups += [f"p{g}"] * size
        labels += [label] * size
    parts = split(made(labels, groups), test=0.25, seed=1)
    share = np.mean([s.target.label for s in parts])
    held = parts.split("test")
    assert abs(len(held) / len(labels) - 0.25) < 0.02
    assert abs(np.mean([s.target.label for s in held]) - share) < 0.03
    seeds = {tuple(places(split(made(labels, groups), test=0.25, seed=seed)).values()) for seed in range(5)}
    assert len(seeds) == 5


def test_where_groups_come_from():
    data = made([0, 1] * 6)
    data = replace(data, samples=tuple(s.replace(source=f"film{i // 3}_{i}.png") for i, s in enumerate(data)))
    assert group_keys(data) is None
    assert group_keys(data, r"film(\d)_") == [str(i // 3) for i in range(12)]
    assert group_keys(data, r"film(?P<group>\d)_(\d+)") == group_keys(data, r"film(\d)_")
    assert group_keys(data, r"film\d")[0] == "film0"
    assert group_keys(data, lambda s: s.source[4]) == group_keys(data, r"film(\d)_")
    assert group_keys(made([0, 0], ["a", None])) == ["a", "\0s1"]
    assert group_keys(made([0, 0], ["a", "b"]), False) is None
    with pytest.raises(InputError, match="finds no group in film0_0"):
        group_keys(data, "nothing")
    with pytest.raises(InputError, match="have no groups"):
        group_keys(data, True)
    with pytest.raises(InputError, match="regular expression"):
        group_keys(data, "(")
    parts = split(data, test=0.5, group=r"film(\d)_")
    assert len({(s.source[4], s.split) for s in parts}) == 4


def test_a_split_that_is_there_is_respected():
    data = made([0, 1] * 10, splits=["train"] * 12 + ["test"] * 8)
    assert places(split(data, test=0.5)) == places(data)
    parts = split(data, val=0.25, test=0.9)
    assert sizes(parts) == {"train": 9, "val": 3, "test": 8}
    assert all(s.split == "test" for s in parts.samples[12:])
    anew = split(data, test=0.5, redo=True)
    assert sizes(anew) == {"train": 10, "test": 10}
    assert places(anew) != places(data)


def test_an_added_picture_moves_few_others():
    before = places(split(made([0, 1] * 500), test=0.2))
    after = places(split(made([0, 1] * 500 + [0]), test=0.2))
    assert sum(after[source] != place for source, place in before.items()) <= 2


def test_several_labels_per_picture_are_balanced_too():
    rng = np.random.default_rng(0)
    labels = rng.random((400, 4)) < [0.5, 0.2, 0.05, 0.02]
    labels[:8, 3] = True
    samples = tuple(Sample(PIXEL, Classification(labels=row), f"s{i}") for i, row in enumerate(labels))
    parts = split(Dataset(samples, ("a", "b", "c", "d")), test=0.25)
    assert sizes(parts) == {"train": 300, "test": 100}
    held = np.array([s.target.labels for s in parts.split("test")]).sum(0)
    assert np.abs(held - labels.sum(0) / 4).max() <= 2


@pytest.mark.parametrize(
    ("labels", "arguments", "message"),
    [
        ([0, 0, 0, 1, 1], {"test": 0.3, "val": 0.3}, r"'c1' \(2\)"),
        ([0, 0, 0, None], {"test": 0.5}, "s3"),
        ([0, 0, 1, 1], {"test": 1}, "fewer than the 2 classes"),
        ([0, 0], {"test": 2}, "nothing to train on"),
        ([0, 0], {"test": 1.5}, "1.5"),
        ([0, 0], {"test": -1}, "-1"),
        ([0, 0], {"test": 0.0}, "0.0"),
        ([0, 0], {"test": "half"}, "half"),
        ([0, 0], {"test": "1/0"}, "1/0"),
        ([0, 0], {"test": True}, "True"),
    ],
)
def test_what_cannot_be_split(labels, arguments, message):
    with pytest.raises(InputError, match=message):
        split(made(labels), **arguments)


def test_a_class_in_too_few_groups_is_named():
    data = made([0, 0, 1, 1, 0, 0], ["a", "a", "b", "b", "c", "c"])
    with pytest.raises(InputError, match=r"'c1' \(1\)"):
        split(data, test=0.3)
    assert len(split(data, test=0.3, stratify=False).splits) == 2
    with pytest.raises(InputError, match="at least 2 groups"):
        split(made([0] * 4, ["a"] * 4), test=0.5, stratify=False)


def test_unlabelled_and_too_small_classes_can_be_split_without_strata():
    assert sizes(split(made([0, None, 1, None]), test=1, stratify=False)) == {"train": 3, "test": 1}


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("stratify", [False, True])
def test_folds(grouped, stratify):
    labels = [0] * 40 + [1] * 20
    groups = [f"g{i // 4}" for i in range(60)] if grouped else None
    data = made(labels, groups, ["test" if i % 30 == 0 else None for i in range(60)])
    folds = list(kfold(data, 4, seed=2, stratify=stratify))
    assert len(folds) == 4
    held = [s.source for fold in folds for s in fold.split("val")]
    assert sorted(held) == sorted(s.source for s in data if s.split != "test")
    for fold in folds:
        assert sum(s.split == "test" for s in fold) == 2
        if stratify:
            assert 2 <= sum(s.target.label for s in fold.split("val")) <= 8
        if grouped:
            sides = {(s.group, s.split) for s in fold if s.split != "test"}
            assert len(sides) == len({group for group, _ in sides})
    if not (grouped and stratify):  # scikit-learn breaks ties between groups by order of their appearance
        backwards = list(kfold(data.subset(range(59, -1, -1)), 4, seed=2, stratify=stratify))
        assert [places(fold) for fold in backwards] == [places(fold) for fold in folds]


def test_folds_that_cannot_be():
    with pytest.raises(InputError, match=r"'c1' \(2\)"):
        list(kfold(made([0] * 10 + [1] * 2), 3))
    with pytest.raises(InputError, match="at least 2 folds"):
        list(kfold(made([0] * 10), 1))
    with pytest.raises(InputError, match="at least 11 samples"):
        list(kfold(made([0] * 10), 11, stratify=False))
    with pytest.raises(InputError, match="at least 3 groups"):
        list(kfold(made([0] * 10, ["a"] * 5 + ["b"] * 5), 3, stratify=False))


def test_leaving_one_group_out():
    data = made([0, 1, 0, 1, 0], ["b", "b", "a", "a", None])
    folds = dict(leave_one_group_out(data))
    assert set(folds) == {"a", "b", "\0s4"}
    assert [s.split for s in folds["a"]] == ["train", "train", "val", "val", "train"]
    with pytest.raises(InputError, match="two groups"):
        list(leave_one_group_out(made([0, 1])))


def test_so_many_of_every_class():
    data = made([0] * 5 + [1] * 4)
    parts = per_class(data, 3, seed=1)
    assert parts.split("train").counts() == {"c0": 3, "c1": 3}
    assert parts.split("test").counts() == {"c0": 2, "c1": 1}
    with pytest.raises(InputError, match=r"'c1' \(4\)"):
        per_class(data, 4)


def test_rare_classes_are_left_out():
    data = made([0, 2, 2, 1, 2, 0])
    scores = np.array([0.5, 0.1, 0.4], np.float32)
    data = replace(
        data, samples=(data[0].replace(target=Classification(label=0, scores=scores)), *data.samples[1:])
    )
    kept = at_least(data, 2)
    assert kept.class_names == ("c0", "c2")
    assert kept.labels().tolist() == [0, 1, 1, 1, 0]
    assert kept[0].target.scores.tolist() == scores[[0, 2]].tolist()
    assert "1 classes with fewer than 2" in kept.notes[0]
    with pytest.raises(InputError, match="largest has 3"):
        at_least(data, 4)


def test_split_files(tmp_path):
    data = made([0, 1] * 6, [None, "x, y"] * 6)
    odd = ['a "b", c.png', "d\ne.png", "é\udce9.png"]
    data = replace(
        data, samples=tuple(s.replace(source=odd[i]) if i < 3 else s for i, s in enumerate(data.samples))
    )
    parts = split(data, test=0.25, group=False)
    write_split(parts, tmp_path / "split.csv")
    assert (
        (tmp_path / "split.csv")
        .read_text(errors="surrogateescape")
        .startswith("source,label,split,group,content\n")
    )
    again = read_split(data.subset(range(11, -1, -1)), tmp_path / "split.csv")
    assert places(again) == places(parts)
    assert [s.source for s in again] == [s.source for s in data][::-1]
    assert {s.source: s.group for s in again} == {s.source: s.group for s in data}
    assert [p.name for p in tmp_path.iterdir()] == ["split.csv"]


def test_split_files_that_do_not_fit(tmp_path):
    file = tmp_path / "split.csv"
    parts = split(made([0, 1] * 4), test=0.25)
    write_split(parts, file)
    with pytest.raises(InputError, match="1 sources are not in the set, such as s7"):
        read_split(parts.subset(range(7)), file)
    with pytest.raises(InputError, match="2 sources are not in the file, such as s8"):
        read_split(made([0, 1] * 5), file)
    with pytest.raises(InputError, match="knows s0 as 'c0', the set as 'c1'"):
        read_split(made([1, 0] * 4), file)
    with pytest.raises(InputError, match="two are called 's0'"):
        write_split(parts.subset([0, 0]), file)
    with pytest.raises(InputError, match="have no split"):
        write_split(made([0, 1]), file)
    for text in ("", "a,b\n1,2\n", "source,split\ns0,test\ns0,train\n", 'source,split\n"s0,test\n'):
        file.write_text(text)
        with pytest.raises(InputError, match=r"split\.csv"):
            read_split(parts, file)


@pytest.mark.data("flowers5")
def test_flowers(data_folder):
    data = load(data_folder)
    assert places(split(data, val=0.5)) == places(data)
    assert split(data, test=0.1).split("test").counts() == dict.fromkeys(data.class_names, 20)
    assert sizes(split(data, test=0.1)) == {"train": 900, "val": 250, "test": 100}


@pytest.mark.data("orl_faces")
def test_five_faces_of_everybody(data_folder):
    parts = per_class(load(data_folder), 5)
    assert set(parts.split("train").counts().values()) == {5}
    assert set(parts.split("test").counts().values()) == {5}


@pytest.mark.data("pets3")
def test_two_sizes_of_one_photograph_stay_together(data_folder):
    data = load(data_folder / "JPEGImages", format="file_names", pattern="last_underscore")
    twins = {"Abyssinian_177.jpg": "Abyssinian_11.jpg", "Abyssinian_172.jpg": "Abyssinian_122.jpg"}
    for seed in range(5):
        parts = places(split(data, test=0.3, seed=seed, group=lambda s: twins.get(s.source, s.source)))
        assert all(parts[a] == parts[b] for a, b in twins.items())


def test_copies_of_a_file_stay_in_one_split(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(30):
        for name in ("a", "b"):
            path = tmp_path / name / f"{i:02}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(rng.bytes(100))  # split by name and content, never decoded
    for i in range(10):
        (tmp_path / "a" / f"{i:02} copy.png").write_bytes((tmp_path / "a" / f"{i:02}.png").read_bytes())
    (tmp_path / "b" / "foreign.png").write_bytes((tmp_path / "a" / "00.png").read_bytes())
    data = load(tmp_path)
    assert len(copies(data)) == 10
    together, notes = keep_copies_together(data)
    parts = split(together, test=0.3, val=0.2)
    where = {Path(s.source).as_posix(): s.split for s in parts}
    assert all(where[f"a/{i:02}.png"] == where[f"a/{i:02} copy.png"] for i in range(10))
    assert "21 files are copies of each other" in notes[0]
    assert "they count as one group" in notes[0]
    assert "in two classes" in notes[1]
    torn = replace(
        data, samples=tuple(s.replace(split="train" if "copy" in s.source else "test") for s in data)
    )
    assert "some are in two splits" in keep_copies_together(torn)[1][0]


def test_a_set_without_copies_is_left_alone():
    data = load((np.zeros((4, 3, 3), np.uint8), [0, 1, 0, 1]))
    assert keep_copies_together(data) == (data, [])
