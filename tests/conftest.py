"""Shared test fixtures: real data sets by name, and quiet frameworks."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


def _folder(name: str) -> Path | None:
    root = os.environ.get("VISUS_DATA")
    folder = Path(root) / name if root else None
    return folder if folder is not None and folder.is_dir() else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips, visibly, the tests whose real data set is not there."""
    for item in items:
        for mark in item.iter_markers("data"):
            if _folder(mark.args[0]) is None:
                item.add_marker(pytest.mark.skip(reason=f"VISUS_DATA has no folder {mark.args[0]!r}"))


@pytest.fixture
def data_folder(request: pytest.FixtureRequest) -> Path:
    """The folder of the set named by the test's `@pytest.mark.data(name)`."""
    mark = request.node.get_closest_marker("data")
    assert mark is not None, "data_folder needs @pytest.mark.data(name) on the test"
    folder = _folder(mark.args[0])
    assert folder is not None
    return folder
