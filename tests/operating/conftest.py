"""A server whose metrics are looked at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from im_callback.provider_mock.server.options import AppSettings

from tests.provider_mock_server.served import TOKEN, Served, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that has delivered something and wants a token."""
    with served(tmp_path_factory.mktemp("served"), token=TOKEN) as one:
        one.service.apps.put("shop", AppSettings("commsease", "http://127.0.0.1:9/"))
        one.settled(one.accept("shop", "commsease.login"), "acked")
        yield one


@pytest.fixture(scope="module")
def metrics(server: Served) -> str:
    """What it shows to Prometheus."""
    return server.session.get(f"{server.url}/metrics", timeout=30).text
