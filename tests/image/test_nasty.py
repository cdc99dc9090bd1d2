"""Hundreds of broken, hostile and unusual pictures, read in a process of its own under limits."""

import csv
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.data("nasty_images")
def test_every_nasty_picture_is_read_as_pillow_reads_it_or_refused_with_a_reason(data_folder):
    # The benchmark does the reading, within 4 GiB and 120 s of processor time, and crashes if anything does.
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.nasty_images", "--sweep", str(data_folder)],
        capture_output=True,
        cwd=ROOT,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    records = {record["file"]: record for record in json.loads(done.stdout)}
    with (data_folder / "manifest.csv").open(newline="") as file:
        manifest = list(csv.DictReader(file))
    assert list(records) == [row["file"] for row in manifest]  # nothing lost
    assert max(record["peak_mb"] for record in records.values()) < 600
    assert max(record["seconds"] for record in records.values()) < 10

    fine = [row for row in manifest if row["pillow_13.0.0"].startswith("ok ")]
    for row in fine:
        record = records[row["file"]]
        width, height = map(int, re.search(r"(\d+)x(\d+)", row["pillow_13.0.0"]).groups())
        if "exif-error" in row["pillow_13.0.0"] and record["outcome"] != "read":
            # Pillow raised at the first attempt to decode, and at the second returned what there was.
            assert record["outcome"] in ("damaged", "truncated"), record
            assert record["filled"] == [height, width, 3], record
        elif record["outcome"] == "read":
            assert record["shape"] in ([height, width, 3], [width, height, 3]), record
        else:
            # Samples without a brightness range: Pillow clips them, visus asks what is meant.
            assert "channels=0" in record["message"], record
            assert record["pillow"] == "read"

    compared = [record for record in records.values() if record["pillow"] == "read"]
    assert len(compared) > 300
    for record in compared:
        if record["file"] == "pillow/separate_planar_extra_samples.tiff":
            continue  # two signed channels, of which Pillow shows the first as if unsigned
        assert record["largest"] <= (2 if record["format"] in ("JPEG", "MPO") else 0), record
        assert record["mean"] <= 0.1, record
        if record["format"] not in ("MPO", "PSD"):  # of which visus reads the first picture only
            assert record["frames"] == record["pillow_frames"], record
            assert record.get("frames_read", record["frames"]) == record["frames"], record
    # The first frame is whole, a later one is not.
    assert sum("frames_error" in record for record in compared) < 15

    outcomes = Counter(record["outcome"] for record in records.values())
    assert set(outcomes) == {
        "read",
        "damaged",
        "not a picture",
        "unsupported",
        "truncated",
        "too large",
        "empty",
    }
    for record in records.values():
        if record["outcome"] != "read":
            assert record["file"] in record["message"]
            assert record["message"].endswith(".")
    assert records["made_here/bomb_40000x40000_1bit.png"]["outcome"] == "too large"
    assert records["made_here/html_named.jpg"]["outcome"] == "not a picture"
    assert records["made_here/portrait6_cut_90pct.jpg"]["outcome"] == "truncated"
    assert [records[f"exif_orientation/Portrait_{i}.jpg"]["shape"] for i in range(9)] == [[1800, 1200, 3]] * 9
