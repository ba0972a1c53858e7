"""No process outlives its test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.provider_mock_load.running import reap


@pytest.fixture(autouse=True)
def _reaped() -> Iterator[None]:
    yield
    reap()
