"""Pretrained models by name: a file that is written once, and then is a model like any other."""

import pytest

from visus.models import imagenet_classes, load
from visus.models.archive import model_file
from visus.models.published import published_file
from visus.structures import InputError


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VISUS_CACHE", str(tmp_path))
    return tmp_path


def test_a_name_stands_for_the_published_net(cache):
    file = published_file("efficientnet-lite0")
    assert file.is_relative_to(cache)
    written = file.stat().st_mtime_ns
    assert published_file("classify/efficientnet-lite0") == file == model_file("efficientnet-lite0")
    assert file.stat().st_mtime_ns == written
    assert load("efficientnet-lite0").class_names == tuple(name for _, name in imagenet_classes())


def test_what_was_never_trained_is_refused(cache):
    with pytest.raises(
        InputError, match=r"no published weights.*visus train FOLDER --model classify/lenet-5"
    ):
        published_file("lenet-5")
    assert not list(cache.iterdir())


def test_a_file_or_folder_of_that_name_comes_first(cache, monkeypatch):
    monkeypatch.chdir(cache)
    (cache / "lenet-5").mkdir()
    with pytest.raises(InputError, match=r"lenet-5 should hold model\.keras"):
        model_file("lenet-5")
