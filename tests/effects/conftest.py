"""Servers that run as long as the tests do, started by the first test that needs one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.effects import servers
from tests.programs import needed
from tests.provider_mock_ledger import postgres


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgres.Cluster]:
    """A PostgreSQL."""
    needed("initdb")
    with postgres.cluster(postgres.programs()) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def mariadb() -> Iterator[servers.Mariadb]:
    """A MariaDB."""
    needed("mariadbd", "mariadb-install-db")
    with servers.mariadb() as server:
        yield server


@pytest.fixture(scope="session")
def redis_port() -> Iterator[int]:
    """The port of a Redis."""
    needed("redis-server")
    with servers.redis_server() as port:
        yield port
