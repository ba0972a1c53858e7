"""What the API accepted reaches the receiver, however often the server is killed under load.

`benchmarks/kills.py` does the same for as many rounds as one likes.
"""

from __future__ import annotations

import os

import pytest

from benchmarks import kills
from tests.programs import needed

pytestmark = pytest.mark.long

ROUNDS = int(os.environ.get("SERVER_KILL_ROUNDS", "3"))
"""How often; more of them for a soak run. Every fourth is killed while it starts."""


@pytest.mark.parametrize("postgresql", [False, True], ids=["sqlite", "postgresql"])
def test_killed_under_load(postgresql: bool) -> None:
    """Nothing lost, nothing stuck, the database sound; on PostgreSQL with the database crashed in every round."""
    if postgresql:
        needed("initdb")
    with kills.databases(postgresql=postgresql, durable=False) as (folder, database, crash):
        report = kills.run(ROUNDS, 1, folder, database, crash, lambda _: None)
    assert [] == report.errors
    assert [] == report.lost
    assert {} == report.unfinished
    assert 0 < report.accepted <= report.received
