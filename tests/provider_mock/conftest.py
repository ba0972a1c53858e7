"""What the client's tests begin with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from im_callback.provider_mock.delivery.sockets.connections import Connections


@pytest.fixture
def connections() -> Iterator[Connections[str]]:
    """No requests under way yet."""
    opened: Connections[str] = Connections()
    yield opened
    opened.close()
