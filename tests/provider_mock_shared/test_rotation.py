"""A secret that is changed in one of two processes."""

from __future__ import annotations

from pathlib import Path

from im_callback.provider_mock.delivery.app import Overlap
from im_callback.provider_mock.server.service import Service

from tests.provider_mock.peers import OK
from tests.provider_mock_ledger.postgres import Cluster
from tests.provider_mock_server.rotating import OLD, accepted, rotate, running, shop
from tests.provider_mock_server.waiting import until


def overlap(service: Service) -> Overlap | None:
    """Return the overlap of its app, as a process knows it."""
    made = service.apps.entry("shop").app
    return None if made is None else made.overlap


def test_both_know(tmp_path: Path, postgres: Cluster) -> None:
    """Whoever delivers, and whoever is left, signs by the same rule."""
    database, secrets = postgres.new_database(), tmp_path / "secrets"
    with running() as receiver, Service(database, secrets=secrets) as one, Service(database, secrets=secrets) as two:
        one.apps.put("shop", shop(receiver, app_secret=OLD))
        before = accepted(two)
        assert ["old"] == receiver.came(1)
        rotate(two, receiver)
        assert before == until(lambda: found.last_id if (found := overlap(one)) else None)
        assert overlap(two) == overlap(one)
        receiver.script = OK
        accepted(one)
        assert ["old", "new"] == receiver.came(2)
        one.close()
        two.advance(60)
        assert ["old", "new", "old"] == receiver.came(3)
