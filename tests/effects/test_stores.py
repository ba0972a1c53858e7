"""Every source of effects, read from the real thing: what is added, changed and taken away is seen, and in its order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from im_callback.conformance.effects import Records, SourceOptions, open_effects

from tests.effects import stores
from tests.effects.stores import Store

Make = Callable[[type[Store]], Store]
KINDS: dict[str, tuple[type[Store], ...]] = {
    "": (stores.Sqlite, stores.SqliteWithoutKey, stores.JsonFile, stores.Printed),
    "postgresql": (stores.Postgres, stores.PostgresSerial),
    "mariadb": (stores.MariadbTable, stores.MariadbJoined),
    "redis_port": (
        stores.RedisList,
        stores.RedisListInFront,
        stores.RedisStream,
        stores.RedisSorted,
        stores.RedisHashes,
        stores.RedisFields,
    ),
}
ANN, BOB, EVE, DAN = ({"n": n, "who": who} for n, who in enumerate(("ann", "bob", "eve", "dan"), 1))


@pytest.fixture
def make(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Make]:
    """Return the function that makes an empty store."""
    with ExitStack() as opened:

        def made(kind: type[Store]) -> Store:
            server = next(name for name, kinds in KINDS.items() if kind in kinds)
            store = kind(request.getfixturevalue(server) if server else tmp_path)
            opened.callback(store.close)
            return store

        yield made


@pytest.fixture
def reading() -> Iterator[Callable[..., Records]]:
    """Return the function that opens a store."""
    with ExitStack() as opened:

        def made(store: Store, **options: Any) -> Records:
            read = open_effects(store.spec, SourceOptions(query=store.query, **options), store.mapping)
            opened.callback(read.close)
            return read

        yield made


def seen(records: list[Any]) -> list[Any]:
    """Return records without what hashes are tagged with."""
    return [{k: v for k, v in one.items() if k != "of"} if isinstance(one, dict) else one for one in records]


@pytest.mark.parametrize("kind", [one for kinds in KINDS.values() for one in kinds], ids=lambda kind: kind.__name__)
class TestEvery:
    """What holds for every kind of store."""

    def test_life(self, kind: type[Store], make: Make, reading: Callable[..., Records]) -> None:
        """Empty, added, changed, added between, taken away; what is there again is the same object."""
        store = make(kind)
        read = reading(store)
        read.mark()
        assert [] == list(read())
        store.add(ANN)
        assert [ANN] == seen(read())
        store.add(EVE, BOB)
        due = [ANN, BOB, EVE] if kind.sorts else [ANN, EVE, BOB]
        first = read()
        assert due == seen(first)
        if kind.__name__ != "Printed":
            assert [id(one) for one in first] == [id(one) for one in read()]
        if kind.mends:
            store.change(BOB, {**BOB, "who": "robert"})
            assert [{**one, "who": "robert"} if one is BOB else one for one in due] == seen(read())
            store.change({**BOB, "who": "robert"}, BOB)
        store.remove(BOB)
        assert [ANN, EVE] == seen(read())
        assert kind.unordered == read.unordered

    def test_old(self, kind: type[Store], make: Make, reading: Callable[..., Records]) -> None:
        """What was there before is passed over where that can be told, and read in whole on request."""
        store = make(kind)
        store.add(ANN, BOB)
        read = reading(store)
        read.mark()
        store.add(EVE)
        assert [EVE] == seen(read())[-1:]
        assert kind.passes_over == ([EVE] == seen(read()))
        store.add(DAN)
        assert [EVE, DAN] == seen(read())[-2:]
        assert [ANN, BOB, EVE, DAN] == seen(read.whole())
        read.skip_nothing()
        assert [ANN, BOB, EVE, DAN] == seen(read())

    def test_recurring(self, kind: type[Store], make: Make, reading: Callable[..., Records]) -> None:
        """Nothing is passed over where a record of before may be this run's too."""
        store = make(kind)
        store.add(ANN, BOB)
        read = reading(store, recurring=True)
        read.mark()
        store.add(EVE)
        assert [ANN, BOB, EVE] == seen(read())
