"""Receivers that run as long as the tests do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.plugin.processes import receiver


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of the receiver that does everything right."""
    with receiver("receiver.py", tmp_path_factory.mktemp("good")) as base:
        yield base


@pytest.fixture(scope="session")
def naive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of the receiver that was written as such code is."""
    with receiver("naive.py", tmp_path_factory.mktemp("naive")) as base:
        yield base
