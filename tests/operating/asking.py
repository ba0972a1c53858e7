"""Asks the API of a server that is a process of its own."""

from __future__ import annotations

from typing import Any

import requests

from tests.provider_mock_server.running import Running


def ask(server: Running, method: str, path: str, body: Any = None) -> Any:
    """Return the answer to a request below `/api/v1`."""
    answer = requests.request(method, f"{server.url}/api/v1{path}", json=body, timeout=30)
    assert answer.ok, answer.text
    return answer.json()
