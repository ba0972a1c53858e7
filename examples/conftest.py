"""What the tests of the examples and of the CI templates share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import pytest
from im_callback.conformance.around.command import free_port

from tests.ci import steps
from tests.effects import servers
from tests.programs import needed, pytest_make_collect_report, pytest_runtest_makereport
from tests.provider_mock_ledger import postgres

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables by which pip installs this package as from a registry, and the others as locked."""
    return steps.shop(tmp_path_factory.mktemp("shop") / "shop")


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    """A PostgreSQL that listens at a port."""
    needed("initdb")
    with postgres.cluster(postgres.programs(), port=free_port()) as one:
        yield one


@pytest.fixture(scope="session")
def redis_port() -> Iterator[int]:
    """The port of a Redis without a password, as a CI service starts one."""
    needed("redis-server")
    with servers.redis_server(password="") as port:
        yield port


@pytest.fixture(scope="session")
def mariadb() -> Iterator[servers.Mariadb]:
    """A MariaDB that listens at a port."""
    needed("mariadb-install-db", "mariadbd")
    with servers.mariadb() as one:
        yield one


@pytest.fixture
def stored(request: pytest.FixtureRequest) -> Callable[[str], AbstractContextManager[dict[str, str]]]:
    """Give an empty store by its name, as a CI service has it beside a job: which texts mean another place here."""
    return contextmanager(partial(_stored, request))


def _stored(request: pytest.FixtureRequest, store: str) -> Iterator[dict[str, str]]:
    if store == "postgresql":
        cluster = request.getfixturevalue("cluster")
        cluster.sql("postgres", "DROP DATABASE IF EXISTS receiver WITH (FORCE)")
        cluster.sql("postgres", "CREATE DATABASE receiver TEMPLATE template0")
        yield dict.fromkeys(("127.0.0.1:5432", "database:5432"), f"127.0.0.1:{cluster.port}")
    elif store == "redis":
        yield {"127.0.0.1:6379": f"127.0.0.1:{request.getfixturevalue('redis_port')}"}
    elif store == "mariadb":
        mariadb = request.getfixturevalue("mariadb")
        with mariadb.connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE OR REPLACE DATABASE receiver CHARACTER SET utf8mb4")
            cursor.execute("CREATE OR REPLACE USER receiver@'%' IDENTIFIED BY 'receiver'")
            cursor.execute("GRANT ALL ON receiver.* TO receiver@'%'")
        yield {"127.0.0.1:3306": f"127.0.0.1:{mariadb.port}", "port=3306": f"port={mariadb.port}"}
    else:
        yield {}
