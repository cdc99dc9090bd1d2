"""Looking before training: the check finds what shows nothing, the sheet shows what the model sees."""

import numpy as np
import pytest

from visus.data import Dataset
from visus.data.augment import Brightness, HorizontalFlip, Policy, augmentation_sheet, check, policy
from visus.structures import Classification, ImageSpec, Sample

SPEC = ImageSpec(40, 60)


@pytest.fixture
def dataset(tmp_path):
    rng = np.random.default_rng(0)
    samples = [
        Sample(rng.integers(60, 200, (30, 50, 3), np.uint8), Classification(label=i % 2), f"set#{i}")
        for i in range(6)
    ]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    return Dataset((*samples, Sample(broken, Classification(label=0), "broken")), ("häßlich", "schön"))


def test_check_names_black_and_white_versions(dataset):
    dark = Policy(((Brightness(1.0), 1.0),))
    findings = check(dark, dataset, SPEC, versions=40)
    assert {f.problem for f in findings} == {"dark", "bright"}
    for finding in findings:
        assert finding.mean < 5 or finding.mean > 250
        assert abs(finding.drawn[0]["parameters"]["delta"]) > 0.4
        assert "Brightness" in str(finding)
    assert check(policy("standard"), dataset, SPEC) == []


def test_check_does_not_blame_the_policy_for_a_black_picture():
    black = Sample(np.zeros((30, 50, 3), np.uint8), source="black")
    assert check(Policy(((HorizontalFlip(), 1.0),)), [black], SPEC) == []


def test_check_reports_lost_objects():
    class Boxes:
        def __init__(self, boxes):
            self.boxes = boxes

        def moved(self, affine, image_size):
            return Boxes([])

    sample = Sample(np.full((30, 50, 3), 99, np.uint8), Boxes([1]), "boxed")
    findings = check(Policy(((HorizontalFlip(), 1.0),)), [sample], SPEC, versions=1)
    assert [f.problem for f in findings] == ["objects lost"]


def test_sheet_has_a_row_for_each_picture(dataset):
    page = augmentation_sheet(dataset, policy("light"), SPEC, pictures=3, versions=4)
    assert page.dtype == np.uint8
    # Cells of 64 x 96 with gaps of 6: five across; three down with captions.
    assert page.shape[1] == 5 * (96 + 6) + 6
    assert (page.shape[0] - 6) % 3 == 0
    again = augmentation_sheet(dataset, policy("light"), SPEC, pictures=3, versions=4)
    np.testing.assert_array_equal(page, again)
