"""Every example in a docstring is run; those that need files of the reader's are marked +SKIP in the source."""

import doctest
import importlib
import pkgutil

import pytest

import visus

MODULES = sorted(
    name for _, name, _ in pkgutil.walk_packages(visus.__path__, "visus.") if name != "visus.__main__"
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name):
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.failed == 0
