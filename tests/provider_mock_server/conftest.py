"""Services on ledgers of their own, closed after each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from im_callback.provider_mock.server.service import Service


@pytest.fixture
def open_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Opens services, by default all on one SQLite file; what a test did not close is closed after it."""
    opened: list[Service] = []

    def open_(database: str | None = None, **options: object) -> Service:
        options.setdefault("secrets", tmp_path / "secrets")
        opened.append(Service(database or str(tmp_path / "mock.db"), **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_
    for service in opened:
        service.close()


@pytest.fixture
def service(open_service: Callable[..., Service]) -> Service:
    """A service without apps."""
    return open_service()
