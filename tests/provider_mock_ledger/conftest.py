"""Every behaviour is tried on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from im_callback.provider_mock.delivery.ledger import Ledger

from tests.programs import needed
from tests.provider_mock_ledger.postgres import Cluster, cluster, programs
from tests.provider_mock_ledger.values import Clock


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A server of this run's own."""
    needed("initdb")
    found = programs()
    assert found is not None
    with cluster(found) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a ledger that does not exist yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    server: Cluster = request.getfixturevalue("postgres")
    return server.new_schema()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until it is set."""
    return Clock()


@pytest.fixture
def opened(clock: Clock) -> Iterator[Callable[..., Ledger]]:
    """Opens ledgers that are closed after the test, if the test did not close them."""
    ledgers: list[Ledger] = []

    def open_(url: str, **options: object) -> Ledger:
        ledgers.append(Ledger(url, **{"clock": clock, **options}))  # type: ignore[arg-type]
        return ledgers[-1]

    yield open_
    for ledger in ledgers:
        ledger.close()


@pytest.fixture
def ledger(url: str, opened: Callable[..., Ledger]) -> Ledger:
    """A ledger that is still empty."""
    return opened(url)
