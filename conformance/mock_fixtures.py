"""The pytest fixtures `provider_mock` and `im_app`: a mock of the session's own, and an app of it for each test.

It is loaded by every pytest, so it imports nothing of ours before a fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from im_callback.provider_mock.client import MockApp, MockServer


@pytest.fixture(scope="session")
def provider_mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockServer]:
    """Return a client of a server that was started for this session, on a free port and a database of its own."""
    from im_callback.conformance.mock_process import server

    with server(tmp_path_factory.mktemp("provider-mock")) as running:
        yield running


@pytest.fixture
def im_app_settings() -> dict[str, Any]:
    """Return the settings of `im_app`, at least `provider` and `endpoint`; override it in a conftest.py."""
    pytest.fail(
        "im_app does not know your receiver; override the fixture im_app_settings in a conftest.py: "
        'return {"provider": "…", "endpoint": "http://127.0.0.1:PORT/PATH"}',
        pytrace=False,
    )


@pytest.fixture
def im_app(provider_mock: MockServer, im_app_settings: dict[str, Any]) -> Iterator[MockApp]:
    """Return an app of this test's own, whose receiver is the one of `im_app_settings`; afterwards it is removed."""
    app = provider_mock.add_app(**im_app_settings)
    yield app
    app.remove()
