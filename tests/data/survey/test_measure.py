"""What is measured of one picture, against slow and independent computations."""

import hashlib
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import laplace
from skimage import data as pictures

from visus.data.survey import measure as measuring
from visus.data.survey.measure import Picture, measure, measure_all
from visus.structures import Sample

CAT = pictures.chelsea()[60:240, 100:330]  # 180 x 230, at most 256 a side: measured as it is


def test_values_of_a_photograph():
    found = measure(Sample(CAT))
    luma = (CAT @ [0.299, 0.587, 0.114]).round()
    assert (found.height, found.width, found.channels, found.bits, found.format) == (180, 230, 3, 8, "array")
    assert found.colour
    assert np.allclose(found.mean, CAT.mean((0, 1)), atol=1e-3)
    assert np.allclose(found.std, CAT.std((0, 1)), atol=1e-3)
    assert found.brightness == pytest.approx(luma.mean(), abs=0.05)
    assert found.spread == pytest.approx(luma.std(), abs=0.05)
    assert found.sharpness == pytest.approx(laplace(luma)[1:-1, 1:-1].std(), rel=0.01)
    assert found.digest == hashlib.sha256(b"uint8 (180, 230, 3) " + CAT.tobytes()).hexdigest()
    assert found.size == CAT.nbytes


def test_border_is_the_median_of_the_four_sides():
    image = np.full((100, 140, 3), (200, 180, 20), np.uint8)
    image[20:80, 30:110] = (0, 0, 255)
    assert measure(Sample(image)).border.tolist() == [200, 180, 20]


def test_large_pictures_are_measured_on_a_copy():
    large = np.repeat(np.repeat(CAT, 4, 0), 4, 1)  # 720 x 920
    small, big = measure(Sample(CAT)), measure(Sample(large))
    assert (big.height, big.width) == (720, 920)
    assert np.abs(big.mean - small.mean).max() < 0.5
    assert bin(small.dhash ^ big.dhash).count("1") <= 2


def test_gray_equals_its_rgb_copy():
    gray = CAT[:, :, 1]
    one, three = measure(Sample(gray)), measure(Sample(np.repeat(gray[:, :, None], 3, axis=2)))
    assert one.digest == three.digest
    assert (one.channels, three.channels) == (1, 3)
    assert not one.colour
    assert not three.colour
    assert one.brightness == three.brightness == pytest.approx(gray.mean(), abs=1e-3)
    assert measure(Sample(gray[:, :, None])).digest == one.digest


def test_measuring_together_equals_one_by_one():
    rng = np.random.default_rng(0)
    samples = [Sample(rng.integers(0, 256, (28, 20), dtype=np.uint8)) for _ in range(150)]
    samples[70:75] = [Sample(CAT[:30, :41]) for _ in range(5)]
    together = measure_all(samples, workers=2)
    assert len(together) == 150
    for sample, found in zip(samples, together):
        alone = measure(sample)
        for name in Picture.__slots__:
            assert np.all(getattr(alone, name) == getattr(found, name)), name


def test_tiny_pictures_have_values():
    for shape in ((1, 1), (2, 5), (1, 300, 3)):
        found = measure(Sample(np.full(shape, 40, np.uint8)))
        assert not found.problem
        assert found.brightness == 40
        assert found.sharpness == found.spread == found.contrast == 0


def test_files_tell_their_format_and_orientation(tmp_path):
    turned = Image.fromarray(np.rot90(CAT))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(CAT).save(tmp_path / "upright.png")
    upright, found = measure(Sample(tmp_path / "upright.png")), measure(Sample(tmp_path / "turned.png"))
    assert (upright.format, upright.orientation, upright.size) == (
        "PNG",
        1,
        (tmp_path / "upright.png").stat().st_size,
    )
    assert found.orientation == 6
    assert (found.height, found.width) == (180, 230)
    assert found.digest == upright.digest


def test_trouble_is_told_not_raised(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "page.jpg").write_text("<html>404</html>")
    Image.fromarray(CAT).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    names = ("empty.jpg", "page.jpg", "cut.jpg", "gone.jpg", "whole.jpg")
    found = measure_all([Sample(tmp_path / name) for name in names])
    assert [p.problem for p in found] == ["empty", "not a picture", "truncated", "missing", ""]
    assert "HTML" in found[1].reason


def test_an_early_end_mark_is_noticed(tmp_path):
    Image.fromarray(CAT).save(tmp_path / "whole.jpg")
    data = bytearray((tmp_path / "whole.jpg").read_bytes())
    assert measure(Sample(tmp_path / "whole.jpg")).whole
    data[len(data) // 2 : len(data) // 2 + 2] = b"\xff\xd9"
    (tmp_path / "early.jpg").write_bytes(data)
    assert not measure(Sample(tmp_path / "early.jpg")).whole


def test_what_no_reader_foresaw_is_told_too(monkeypatch, tmp_path):
    def burst(path):
        raise RuntimeError("decoder went mad")

    monkeypatch.setattr(measuring, "probe", burst)
    found = measure(Sample(tmp_path / "any.jpg"))
    assert found.problem == "damaged"
    assert found.reason == "RuntimeError: decoder went mad"


def test_progress_ends_with_all_and_comes_from_the_calling_thread():
    told, threads = [], set()

    def progress(done, total):
        told.append((done, total))
        threads.add(threading.current_thread())

    measure_all([Sample(CAT)] * 200, workers=2, progress=progress)
    assert told == sorted(told)
    assert told[-1] == (200, 200)
    assert threads == {threading.main_thread()}


def test_an_interrupt_stops_soon(monkeypatch):
    started = []
    monkeypatch.setattr(
        measuring, "_block", lambda block: started.append(len(block)) or [Picture()] * len(block)
    )

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_all([Sample(CAT)] * 100_000, workers=2, progress=interrupt)
    assert sum(started) < 2_000


def test_nothing_to_measure():
    assert measure_all([]) == []


@pytest.mark.data("nasty_images")
def test_nasty_images_lose_nothing(data_folder):
    files = sorted(p for p in Path(data_folder).rglob("*") if p.is_file())
    found = measure_all([Sample(p) for p in files])
    assert len(found) == len(files)
    readable = [p for p in found if not p.problem]
    assert len(readable) > 300
    assert all(p.height > 0 and p.width > 0 and len(p.digest) == 64 for p in readable)
    assert all(p.reason for p in found if p.problem)
