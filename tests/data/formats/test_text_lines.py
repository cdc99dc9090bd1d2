"""Text lists: the last separator counts, and every line is accounted for."""

import pytest

from visus.data import Dataset, load
from visus.data.formats import text_lines
from visus.structures import Classification, InputError, Sample


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("a.jpg", "b c.jpg", "sub/d.jpg", "#e.jpg"):
        (tmp_path / name).touch()
    return tmp_path


def read(folder, text, name="list.txt", **options):
    (folder / name).write_bytes(text.encode())
    return text_lines.read(folder / name, **options)


def named(data):
    return [(s.source, data.class_names[s.target.label]) for s in data]


def test_lines(folder):
    data = read(folder, "\ufeff# a comment\r\na.jpg 1\r\n\r\nb c.jpg\t0\r\nsub/d.jpg   1")
    assert named(data) == [("a.jpg", "1"), ("b c.jpg", "0"), ("sub/d.jpg", "1")]
    assert data.class_names == ("0", "1")
    assert (data.splits, data.root) == ((), folder)


def test_separators_and_names(folder):
    data = read(folder, "a.jpg;two words\nb c.jpg;x\n", separator=";")
    assert named(data) == [("a.jpg", "two words"), ("b c.jpg", "x")]
    data = read(folder, "#e.jpg 1\na.jpg 0", comments=False, class_names=("no", "yes"))
    assert named(data) == [("#e.jpg", "yes"), ("a.jpg", "no")]


def test_a_list_named_after_its_split(folder):
    assert read(folder, "a.jpg 1", "train.txt").splits == ("train",)
    assert read(folder, "a.jpg 1", "valid.lst").splits == ("val",)
    assert read(folder, "a.jpg 1", "train.txt", split="test").splits == ("test",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.jpg 1\na.jpg\n", r"list\.txt, line 2 has no label: expected PATH LABEL, received 'a.jpg'"),
        ("a.jpg 1\ngone.jpg 1\n", r"list\.txt, line 2: gone\.jpg"),
        ("a.jpg 1\na.jpg 2\n", "line 2 lists a.jpg again"),
        ("a.jpg cat\n", r"line 1 has the label 'cat'"),
        ("a.jpg 7\n", r"0\.\.1"),
        ("", "no line"),
        ("# nothing\n\n", "no line"),
        ("a.jpg 1\nb\0.jpg 1", "NUL byte"),
        ("../../etc/passwd 1", "leads out of"),
    ],
)
def test_lines_that_are_wrong(folder, text, message):
    with pytest.raises(InputError, match=message):
        read(folder, text, class_names=("no", "yes"), root=folder)


def test_missing_pictures_can_be_skipped(folder):
    data = read(folder, "gone.jpg 1\na.jpg 0\n", missing="skip")
    assert len(data) == 1
    assert "1 pictures do not exist" in data.notes[0]


def test_sniffing(folder):
    for text, looks in (
        ("a.jpg 1\n", True),
        ("# note\n\nx/y z.PNG\tcat\n", True),
        ("a.jpg\n", False),
        ("left.png right.png\n", False),
        ("daisy\nroses\n", False),
        ("0\tn01440764\ttench\n", False),
    ):
        (folder / "list.txt").write_text(text)
        assert text_lines.sniff(folder / "list.txt") is looks


def test_writing_what_looks_like_a_comment(folder):
    data = read(folder, "#e.jpg cat\nb c.jpg cat", comments=False)
    assert text_lines.write(data, folder / "out.txt") == ()
    assert (folder / "out.txt").read_text() == "./#e.jpg\tcat\nb c.jpg\tcat\n"
    assert named(load(folder / "out.txt", separator="\t")) == named(data)


def test_what_a_list_cannot_hold(folder):
    sample = Sample(folder / "a.jpg", Classification(label=1), "a.jpg", group="g", split="train")
    lost = text_lines.write(Dataset((sample,), ("x", "y")), folder / "out.txt")
    assert [text.split()[2] for text in lost[:2]] == ["splits", "groups"]
    assert "class_names" in lost[2]
    bad = sample.replace(image=folder / "a\nb.jpg")
    with pytest.raises(InputError, match="one line"):
        text_lines.write(Dataset((bad,), ("x", "y")), folder / "bad.txt")


def test_a_list_that_is_not_utf_8_is_read_with_a_note(tmp_path):
    (tmp_path / "café.png").touch()
    (tmp_path / "l.txt").write_bytes("café.png größer\n".encode("cp1252"))
    data = text_lines.read(tmp_path / "l.txt")
    assert data.class_names == ("größer",)
    assert data.notes == ("l.txt is not UTF-8; it was read as cp1252.",)
    with pytest.raises(InputError, match="no encoding named 'nonsense'"):
        text_lines.read(tmp_path / "l.txt", encoding="nonsense")
