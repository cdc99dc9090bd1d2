"""The page of a survey: complete, bounded, and safe whatever the files are called."""

import re

import numpy as np
import pytest
from PIL import Image
from skimage import data as pictures

from visus.data import Dataset, load
from visus.data.survey import survey
from visus.data.survey.page import survey_page
from visus.structures import Classification, Sample

CAT = pictures.chelsea()


def _piece(i):
    return CAT[i % 200 : i % 200 + 90, (i * 7) % 300 : (i * 7) % 300 + 120]


def test_page_shows_findings_pictures_and_hostile_names(tmp_path):
    hostile = '<img src=x onerror="alert(1)">'
    for folder in ("train/$x_1$ cats", f"train/{hostile}", "val/$x_1$ cats", f"val/{hostile}"):
        (tmp_path / folder).mkdir(parents=True)
        for i in range(12):
            Image.fromarray(_piece(len(folder) * 12 + i)).save(tmp_path / folder / f"{i}.jpg")
    (tmp_path / f"train/{hostile}/empty \x1b[2J.jpg").write_bytes(b"")
    copy = (tmp_path / "train/$x_1$ cats/0.jpg").read_bytes()
    (tmp_path / "val/$x_1$ cats/copy.jpg").write_bytes(copy)
    result = survey(load(tmp_path, task=None), folder=tmp_path)
    html = survey_page(result).to_html()
    assert "Not sound." in html
    assert "duplicate-across-splits" in html
    assert hostile not in html
    assert "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;" in html
    assert "\x1b" not in html
    assert "no picture" in html
    for reference in re.findall(r'(?:src|href)="([^"]*)"', html):
        assert reference.startswith(("data:image/", "#s"))
    assert not re.search(r"<script|url\(|@import", html)


def test_page_of_arrays_with_many_classes_is_bounded():
    rng = np.random.default_rng(0)
    samples = [
        Sample(rng.integers(0, 256, (20, 28), dtype=np.uint8), Classification(label=i % 70), source=f"#{i}")
        for i in range(700)
    ]
    samples[:200] = [s.replace(image=samples[0].image) for s in samples[:200]]
    result = survey(Dataset(tuple(samples), tuple(f"class {i}" for i in range(70)), name="noise"))
    html = survey_page(result).to_html()
    assert html.count("<img") < 400
    assert len(html) < 1_500_000
    assert "and 58 more classes" in html


@pytest.mark.parametrize("count", [0, 1])
def test_page_of_next_to_nothing(tmp_path, count):
    broken = tmp_path / "a.jpg"
    broken.write_bytes(b"")
    samples = (Sample(broken, None, source="a.jpg"),) * count
    html = survey_page(survey(Dataset(samples, ()))).to_html()
    assert "check before training" in html
