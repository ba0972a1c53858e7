"""Stores that pages read effects from, started by the first page that needs one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from im_callback.conformance.around.command import free_port

from tests.effects import servers
from tests.programs import needed
from tests.provider_mock_ledger import postgres


@pytest.fixture(scope="session")
def postgresql_port() -> Iterator[int]:
    """The port of a PostgreSQL with a user and a database `app`."""
    needed("initdb")
    with postgres.cluster(postgres.programs(), port=free_port()) as cluster:
        cluster.sql("postgres", "CREATE ROLE app SUPERUSER LOGIN")
        cluster.sql("postgres", "CREATE DATABASE app TEMPLATE template0")
        assert cluster.port is not None
        yield cluster.port


@pytest.fixture(scope="session")
def mysql_port() -> Iterator[int]:
    """The port of a MariaDB with a database `app` and a user of that name, whose password is `secret`."""
    needed("mariadbd", "mariadb-install-db")
    with servers.mariadb() as server:
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE app CHARACTER SET utf8mb4")
            cursor.execute("CREATE USER app@'%' IDENTIFIED BY 'secret'")
            cursor.execute("GRANT ALL ON app.* TO app@'%'")
        yield server.port


@pytest.fixture(scope="session")
def redis_port() -> Iterator[int]:
    """The port of a Redis that wants no password."""
    needed("redis-server")
    with servers.redis_server(password="") as port:
        yield port
