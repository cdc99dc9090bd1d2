"""Labels in file names: the examples of the textbooks, and no silent drop."""

import pytest

from visus.data import load
from visus.data.datasets import histology
from visus.data.formats import file_names
from visus.data.formats.file_names import PATTERNS, columns, parse
from visus.structures import InputError


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(
    ("name", "pattern", "found"),
    [
        ("cat.12.jpg", "first_dot", {"label": "cat"}),
        ("x.y/dog.0.jpg", "first_dot", {"label": "dog"}),
        ("Abyssinian_1.jpg", "last_underscore", {"label": "Abyssinian"}),
        ("deep/yorkshire_terrier_12.jpg", "last_underscore", {"label": "yorkshire_terrier"}),
        ("01_TUMOR/a_b.tif", "numbered_folder", {"index": "01", "label": "TUMOR"}),
        ("007-bond_james/x/1.tif", r"(?P<n>\d+)-(?P<label>\w+)", {"n": "007", "label": "bond_james"}),
    ],
)
def test_patterns(name, pattern, found):
    assert parse(name, PATTERNS.get(pattern, pattern)) == found


def test_a_histology_tile():
    name = "01_TUMOR/1A11_CRC-Prim-HE-07_022.tif_Row_601_Col_151.tif"
    assert parse(name, histology.PATTERN) == {"index": "01", "label": "TUMOR", "group": "CRC-Prim-HE-07"}
    assert parse(name, histology.TILE) == {
        "source": "1A11_CRC-Prim-HE-07_022.tif",
        "row": "601",
        "column": "151",
    }


TISSUES = ("TUMOR", "STROMA", "COMPLEX", "LYMPHO", "DEBRIS", "MUCOSA", "ADIPOSE", "EMPTY")


def test_the_order_of_the_classes_is_the_folders_or_the_alphabet(tmp_path):
    for i, tissue in enumerate(TISSUES):
        touch(tmp_path, f"{i + 1:02d}_{tissue}/AB_CRC-Prim-HE-0{i}_022.tif_Row_1_Col_{i}.tif")
    data = load(tmp_path, format="file_names", pattern="numbered_folder")
    assert data.class_names == TISSUES
    assert data.labels().tolist() == list(range(8))
    by_name = load(tmp_path, format="file_names", pattern=r"\d_(?P<label>\w+)/")
    assert by_name.class_names == tuple(sorted(TISSUES))
    assert by_name.labels().tolist() == [sorted(TISSUES).index(tissue) for tissue in TISSUES]
    assert columns(data, histology.TILE)["column"] == [str(i) for i in range(8)]
    tiles = histology.load(tmp_path)
    assert [s.group for s in tiles] == [f"CRC-Prim-HE-0{i}" for i in range(8)]
    assert (tiles.name, tiles.class_names) == ("histology", TISSUES)


def test_groups_and_splits(tmp_path):
    touch(tmp_path, "train/p1_cat_1.jpg", "valid/p2_dog_1.jpg")
    pattern = r"(?P<split>\w+)/(?P<group>p\d)_(?P<label>[a-z]+)"
    data = file_names.read(tmp_path, pattern=pattern)
    assert [(s.group, s.split) for s in data] == [("p1", "train"), ("p2", "val")]


def test_every_name_that_does_not_match_is_listed(tmp_path):
    touch(tmp_path, "cat.1.jpg", "README.jpg", "nothing_here.png", "notes.txt")
    with pytest.raises(InputError, match=r"1 of 3 names .*: nothing_here\.png"):
        file_names.read(tmp_path, pattern=r"^(?P<label>[^._]+)\.")
    with pytest.raises(InputError, match="2 of 3 names"):
        file_names.read(tmp_path, pattern=r"(?P<label>cat)?")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "neither a regular expression"),
        ("[a-z]+", "needs a named group"),
        (r"(?P<label>[ab])(?P<index>.)", "whole number"),
        (r"(?P<label>[ab])x?(?P<index>\d)", "has the numbers 1 and 2"),
    ],
)
def test_patterns_that_are_none(tmp_path, pattern, message):
    touch(tmp_path, "a1.jpg", "ax2.jpg")
    with pytest.raises(InputError, match=message):
        file_names.read(tmp_path, pattern=pattern)


def test_an_empty_folder(tmp_path):
    with pytest.raises(InputError, match="holds no picture"):
        file_names.read(tmp_path, pattern="first_dot")


@pytest.mark.data("pets3")
def test_pets(data_folder):
    data = load(data_folder / "JPEGImages", format="file_names", pattern="last_underscore")
    assert data.counts() == {"Abyssinian": 99, "Bengal": 98, "american_bulldog": 99}


@pytest.mark.data("pbc_blood_cells")
def test_the_finer_classes_of_granulocytes(data_folder):
    data = load(data_folder / "ig", format="file_names", pattern=r"^(?P<label>[A-Z]+)_")
    assert data.counts() == {"IG": 4, "MMY": 38, "MY": 39, "PMY": 19}


def test_the_pattern_follows_the_name_of_the_format(tmp_path):
    for name in ("cat_1.jpg", "dog_2.jpg"):
        (tmp_path / name).touch()
    data = load(tmp_path, format="file_names:last_underscore")
    assert data.class_names == ("cat", "dog")
    assert load(tmp_path, format="file_names:^(?P<label>...)(?:_)").class_names == ("cat", "dog")
    with pytest.raises(InputError, match="needs its pattern, as in file_names:PATTERN"):
        load(tmp_path, format="file_names")
    with pytest.raises(InputError, match="pictures takes nothing after a colon"):
        load(tmp_path, format="pictures:first_dot")
