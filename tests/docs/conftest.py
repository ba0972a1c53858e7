"""Stores that pages read effects from, started by the first page that needs one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from im_callback.conformance.around.command import free_port

from tests.browser import browser
from tests.effects import servers
from tests.programs import needed
from tests.provider_mock_ledger import postgres

__all__ = ["browser"]


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgres.Cluster]:
    """A PostgreSQL with a user `app`."""
    needed("initdb")
    with postgres.cluster(postgres.programs(), port=free_port()) as cluster:
        cluster.sql("postgres", "CREATE ROLE app SUPERUSER LOGIN")
        yield cluster


@pytest.fixture
def postgresql_port(postgresql_server: postgres.Cluster) -> int:
    """The port of a PostgreSQL with a user `app` and an empty database of that name."""
    postgresql_server.sql("postgres", "DROP DATABASE IF EXISTS app WITH (FORCE)")
    postgresql_server.sql("postgres", "CREATE DATABASE app TEMPLATE template0")
    assert postgresql_server.port is not None
    return postgresql_server.port


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[servers.Mariadb]:
    """A MariaDB with a user `app`, whose password is `secret`."""
    needed("mariadbd", "mariadb-install-db")
    with servers.mariadb() as server:
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("CREATE USER app@'%' IDENTIFIED BY 'secret'")
            cursor.execute("GRANT ALL ON app.* TO app@'%'")
        yield server


@pytest.fixture
def mysql_port(mysql_server: servers.Mariadb) -> int:
    """The port of a MariaDB with that user and an empty database `app`."""
    with mysql_server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS app")
        cursor.execute("CREATE DATABASE app CHARACTER SET utf8mb4")
    return mysql_server.port


@pytest.fixture(scope="session")
def redis_server() -> Iterator[int]:
    """The port of a Redis that wants no password."""
    needed("redis-server")
    with servers.redis_server(password="") as port:
        yield port


@pytest.fixture
def redis_port(redis_server: int) -> int:
    """The port of an empty Redis."""
    with redis.Redis(port=redis_server) as client:
        client.flushall()
    return redis_server
