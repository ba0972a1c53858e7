"""Effects in Redis: a stream, list, sorted set, set, hash or text under one key, or under all keys of a pattern.

What the key holds says what a record is: an entry of a stream; a member of a list (the oldest first, also where new ones
are put in front) or of a sorted set (by score); a hash, or each of its fields where all of them hold JSON objects.
Members that are JSON are parsed. Hashes, sets and the keys of a pattern have no order: theirs is then not judged.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from im_callback.conformance.effects.kept import Kept
from im_callback.conformance.effects.source import SECONDS, BadEffects, EffectsError, SourceOptions, missing_driver
from im_callback.conformance.effects.texts import said, value_of

if TYPE_CHECKING:
    from redis import Redis

SCHEMES = ("redis", "rediss")
KEY, FIELD, VALUE = "_key", "_field", "_value"
"""What a record also holds: the key that it was read from, and the field of a hash with a value that is no object."""
BATCH = 500
"""Keys that are asked for at once."""
ANCHOR = 8
"""Members at the end of what was there before the run: as long as they stand there, what follows is new."""
T = TypeVar("T")
_GLOB = re.compile(r"(?<!\\)[*?\[]")
_NUMBER = re.compile(r"(\d+)")


def open_source(spec: str, options: SourceOptions) -> Store:
    """Return what reads the key, or the keys, that the address names; `BadEffects` where it names none."""
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise missing_driver("Redis", "redis", "redis") from None
    where, name, database = _parted(options.filled(spec))
    client = Redis(
        host=where.hostname or "localhost",
        port=where.port or 6379,
        db=database,
        username=unquote(where.username) if where.username else None,
        password=unquote(where.password) if where.password else None,
        socket_timeout=SECONDS,
        socket_connect_timeout=SECONDS,
        retry=Retry(NoBackoff(), 0),
        ssl=where.scheme == "rediss",
        ssl_ca_certs=str(options.ca_file) if options.ca_file else None,
    )
    return Store(client, name, f"{where.hostname}:{where.port or 6379}", recurring=options.recurring)


def _parted(spec: str) -> tuple[Any, str, int]:
    """Return the address in parts, the key and the number of the database."""
    try:
        where = urlsplit(spec.replace("?", "%3F") if "?db=" not in spec else spec, allow_fragments=False)
        _ = where.port
    except ValueError as error:
        raise BadEffects(f"--receiver-effects={spec}: {error}; give redis://HOST:PORT/KEY") from None
    first, slash, rest = where.path.lstrip("/").partition("/")
    numbered = bool(slash) and first.isdecimal()
    name = unquote(rest if numbered else where.path.lstrip("/"))
    given = parse_qs(where.query).get("db", [first if numbered else "0"])[0]
    if not name or not given.isdecimal():
        raise BadEffects(
            f"--receiver-effects={spec}: it names no key; give redis://HOST:PORT/KEY, or redis://HOST:PORT/DATABASE/KEY "
            "with the number of the database; a KEY with * stands for all keys of that pattern"
        )
    return where, name, int(given)


class Reader(Protocol):
    """Reads the records under one key."""

    unordered: bool

    def mark(self, *, passing: bool) -> None:
        """Note what is there now, to pass it over with `passing`."""

    def __call__(self, *, whole: bool = False) -> list[Any]:
        """Return the records."""


class Store:
    """Reads what stands under a key, or under every key of a pattern."""

    def __init__(self, client: Redis, name: str, place: str, *, recurring: bool) -> None:
        self._client = client
        self._name = name
        self._place = place
        self._many = bool(_GLOB.search(name))
        self._recurring = recurring
        self._readers: dict[bytes, Reader] = {}
        self._single: Kept[Any] = Kept()
        self._passed: set[bytes] = set()
        self._deadline = 0.0
        self.unordered = False
        """Whether what was read has no order."""

    def mark(self) -> None:
        """Pass over what is there now."""
        self._told(self._mark)

    def __call__(self) -> list[Any]:
        """Return the records of this run; `EffectsError` where Redis does not answer, or the key holds something else."""
        return self._told(lambda: self._read(whole=False))

    def whole(self) -> list[Any]:
        """Return all records."""
        return self._told(lambda: self._read(whole=True))

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def _told(self, act: Callable[[], T]) -> T:
        from redis.exceptions import AuthenticationError, AuthorizationError, RedisError, ResponseError

        self._deadline = time.monotonic() + SECONDS
        try:
            return act()
        except (AuthenticationError, AuthorizationError) as error:
            self._client.close()
            raise EffectsError(
                f"Redis at {self._place} lets nobody in ({error})", "Give redis://USER:PASSWORD@HOST:PORT/KEY"
            ) from None
        except (RedisError, OSError) as error:
            self._client.close()
            if isinstance(error, ResponseError) and "NOAUTH" in str(error):
                fix = "Give redis://USER:PASSWORD@HOST:PORT/KEY"
            else:
                fix = "Is it there, and is --receiver-effects right?"
            raise EffectsError(f"Redis at {self._place} does not give the effects ({error})", fix) from None

    def _keys(self) -> list[bytes]:
        if not self._many:
            return [self._name.encode()]
        found: set[bytes] = set()
        for key in self._client.scan_iter(match=self._name.encode(), count=BATCH * 2):
            found.add(key)
            self._in_time()
        return sorted(found, key=_by_numbers)

    def _in_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise EffectsError(
                f"reading from Redis at {self._place} took more than {SECONDS:g} s",
                "Let the key or the pattern name this run's records alone ({run} stands for what their identifiers begin with)",
            )

    def _mark(self) -> None:
        keys = self._keys()
        singles = [key for key, kind in self._kinds(keys) if self._reader(key, kind) is None]
        if not self._recurring:
            # One record, and complete: what this run adds has a key of its own.
            self._passed = {
                key for key, value in self._singles(singles) if len(_single_record((key, value, True))) == 1
            }
        for key in keys:
            if key in self._readers:
                self._readers[key].mark(passing=not self._recurring)
                self._in_time()

    def _read(self, *, whole: bool) -> list[Any]:
        keys = [key for key in self._keys() if whole or key not in self._passed]
        unread = [key for key in keys if key not in self._readers]
        singles = [key for key, kind in self._kinds(unread) if self._reader(key, kind) is None]
        if not keys or (not self._many and singles and not self._client.exists(singles[0])):
            return []
        values = self._singles(singles)
        made = dict(
            zip(singles, self._single.records([(*one, self._many) for one in values], _single_record), strict=True)
        )
        self.unordered = bool(singles) or any(self._readers[key].unordered for key in keys if key in self._readers)
        records: list[Any] = []
        for key in keys:
            if key in made:
                records += made[key]
            elif key in self._readers:
                records += self._readers[key](whole=whole)
                self._in_time()
        return records

    def _kinds(self, keys: Sequence[bytes]) -> list[tuple[bytes, str]]:
        """Return what the keys hold, in Redis's words."""
        kinds = self._asked(keys, lambda pipe, key: pipe.type(key))
        return [(key, said(kind)) for key, kind in zip(keys, kinds, strict=True)]

    def _reader(self, key: bytes, kind: str) -> Reader | None:
        """Return, and keep, what reads a key with many records in an order; None where it is one value."""
        made = READERS.get(kind)
        if made is not None and key not in self._readers:
            self._readers[key] = made(self._client, key, tagged=self._many)
        return self._readers.get(key)

    def _singles(self, keys: Sequence[bytes]) -> list[tuple[bytes, Any]]:
        """Return the hashes and texts under keys, each as something that can be compared."""
        kinds = dict(self._kinds(keys))
        hashes = [key for key in keys if kinds[key] == "hash"]
        texts = [key for key in keys if kinds[key] == "string"]
        if odd := sorted(set(kinds.values()) - {"hash", "string", "none"}):
            raise EffectsError(
                f"a key holds {odd[0]}", "Give one that holds a stream, list, sorted set, set, hash or text"
            )
        values: dict[bytes, Any] = {
            key: tuple(sorted(value.items()))
            for key, value in zip(hashes, self._asked(hashes, lambda pipe, key: pipe.hgetall(key)), strict=True)
        }
        values |= zip(texts, self._asked(texts, lambda pipe, key: pipe.get(key)), strict=True)
        return [(key, values.get(key)) for key in keys]

    def _asked(self, keys: Sequence[bytes], ask: Callable[[Any, bytes], Any]) -> list[Any]:
        found: list[Any] = []
        for start in range(0, len(keys), BATCH):
            with self._client.pipeline(transaction=False) as pipe:
                for key in keys[start : start + BATCH]:
                    ask(pipe, key)
                found += pipe.execute()
            self._in_time()
        return found


def _by_numbers(key: bytes) -> list[Any]:
    """Return what keys are sorted by: user:9 stands before user:10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in _NUMBER.split(said(key)) if part]


def _single_record(found: tuple[bytes, Any, bool]) -> list[Any]:
    """Return the records of a hash or a text: one, or one for each field where all hold objects."""
    key, value, tagged = found
    if value is None:
        return []
    if isinstance(value, bytes):
        inner = value_of(said(value))
        return [_tagged(one, key, tagged) for one in (inner if isinstance(inner, list) else [inner])]
    fields = {said(field): value_of(said(held)) for field, held in value}
    if fields and all(isinstance(held, dict) for held in fields.values()):
        return [_tagged({**held, FIELD: field}, key, tagged) for field, held in fields.items()]
    return [_tagged({said(field): said(held) for field, held in value}, key, tagged)]


def _tagged(record: Any, key: bytes, tagged: bool) -> Any:
    """Return a record with the key that it was read from, where several are read."""
    return {**record, KEY: said(key)} if tagged and isinstance(record, dict) else record


class Members:
    """What the readers of members have in common: a key, and records that are made once."""

    unordered = False

    def __init__(self, client: Any, key: bytes, *, tagged: bool) -> None:
        self._client = client
        self._key = key
        self._tagged = tagged
        self._kept: Kept[bytes] = Kept()

    def mark(self, *, passing: bool) -> None:
        """Note what is there now, to pass it over with `passing`."""
        if passing:
            self._kept.note_old(self._members())

    def __call__(self, *, whole: bool = False) -> list[Any]:
        """Return the records."""
        return self._kept.records(self._members(), self._record, whole=whole)

    def _record(self, member: bytes) -> Any:
        return _tagged(value_of(said(member)), self._key, self._tagged)

    def _members(self) -> list[Any]:
        raise NotImplementedError


class SortedSet(Members):
    """A sorted set, by score."""

    def _members(self) -> list[Any]:
        return list(self._client.zrange(self._key, 0, -1))


class Set(Members):
    """A set, which has no order."""

    unordered = True

    def _members(self) -> list[Any]:
        return sorted(self._client.smembers(self._key))


class List(Members):
    """A list, the oldest first: whether new members are put behind the others or in front shows when it grows.

    Members that were there before the run are not read again as long as those next to the new ones stand where they
    stood: a list that is cut to a length, or whose members change places, is read whole.
    """

    def __init__(self, client: Any, key: bytes, *, tagged: bool) -> None:
        super().__init__(client, key, tagged=tagged)
        self._old = 0
        self._first: list[bytes] = []
        self._last: list[bytes] = []
        self._in_front: bool | None = None

    def mark(self, *, passing: bool) -> None:
        """Note what is there now, to pass it over with `passing`."""
        with self._client.pipeline(transaction=True) as pipe:
            pipe.llen(self._key)
            pipe.lrange(self._key, 0, ANCHOR - 1)
            pipe.lrange(self._key, -ANCHOR, -1)
            length, self._first, self._last = pipe.execute()
        self._old = length if passing else 0

    def __call__(self, *, whole: bool = False) -> list[Any]:
        """Return the records, the oldest first."""
        members = None if whole else self._added()
        if members is None:
            members = self._members()
            self._notice(members)
        return self._kept.records(members[::-1] if self._in_front else members, self._record)

    def _members(self) -> list[Any]:
        return list(self._client.lrange(self._key, 0, -1))

    def _added(self) -> list[bytes] | None:
        """Return what was added since the mark, as it stands in the list; None where that cannot be told."""
        if not self._old:
            return None
        kept = len(self._last)
        with self._client.pipeline(transaction=True) as pipe:
            pipe.lrange(self._key, self._old - kept, -1)
            pipe.lrange(self._key, 0, kept - 1 - self._old)
            behind, in_front = pipe.execute()
        # Both hold where nothing was added, and where all members are alike.
        if self._in_front is not True and behind[:kept] == self._last and in_front[:kept] == self._first:
            return list(behind[kept:])
        if in_front[len(in_front) - kept :] == self._first:
            self._in_front = True
            return list(in_front[: len(in_front) - kept])
        return None

    def _notice(self, members: list[bytes]) -> None:
        """Find out at which end the list has grown since it was read last."""
        if self._in_front is not None:
            return
        first, last = self._first, self._last
        if first and members:
            self._in_front = _grown_in_front(first, last, members)
        self._first, self._last = members[:ANCHOR], members[-ANCHOR:]


def _grown_in_front(first: list[bytes], last: list[bytes], members: list[bytes]) -> bool | None:
    """Return whether a list that began and ended so has grown in front; None where that cannot be told."""
    behind = in_front = False
    if last[-1] in members:
        end = members.index(last[-1]) + 1
        behind = end < len(members) and members[max(0, end - len(last)) : end] == last[-end:]
    if first[0] in members:
        start = members.index(first[0])
        in_front = start > 0 and members[start : start + len(first)] == first[: len(members) - start]
    return in_front if behind != in_front else None


class Stream:
    """A stream, from the last entry that was there before the run.

    What has been read is not read again; where entries were deleted in between the run's own are read anew, and those that
    the application cut off at the beginning are kept.
    """

    unordered = False

    def __init__(self, client: Any, key: bytes, *, tagged: bool) -> None:
        self._client = client
        self._key = key
        self._tagged = tagged
        self._start = b"-"
        self._entries: dict[bytes, Any] = {}
        self._length = 0

    def mark(self, *, passing: bool) -> None:
        """Note what is there now, to pass it over with `passing`."""
        if not passing:
            return
        with self._client.pipeline(transaction=True) as pipe:
            pipe.xrevrange(self._key, count=1)
            pipe.xlen(self._key)
            newest, self._length = pipe.execute()
        if newest:
            self._start = _after(newest[0][0])

    def __call__(self, *, whole: bool = False) -> list[Any]:
        """Return the records, in the order of their ids."""
        if whole:
            return [self._record(fields) for _, fields in self._client.xrange(self._key)]
        newest = next(reversed(self._entries), None)
        start = _after(newest) if newest else self._start
        with self._client.pipeline(transaction=True) as pipe:
            pipe.xrange(self._key, min=start)
            pipe.xlen(self._key)
            pipe.xrange(self._key, count=1)
            added, length, first = pipe.execute()
        self._entries |= {name: self._record(fields) for name, fields in added}
        if length != self._length + len(added):
            self._without_deleted(first)
        self._length = length
        return list(self._entries.values())

    def _without_deleted(self, first: list[Any]) -> None:
        found = self._client.xrange(self._key, min=self._start)
        there = {name for name, _ in found}
        if not there and not first:
            # Emptied: what comes now begins anew.
            self._start, self._entries = b"-", {}
            return
        oldest = _numbers(first[0][0]) if first else (0, 0)
        self._entries = {
            name: record for name, record in self._entries.items() if name in there or _numbers(name) < oldest
        }
        for name, fields in found:
            self._entries.setdefault(name, self._record(fields))

    def _record(self, fields: Any) -> Any:
        record = {said(field): said(value) for field, value in (fields or {}).items()}
        return _tagged(record, self._key, self._tagged)


def _numbers(name: bytes) -> tuple[int, int]:
    first, _, second = name.partition(b"-")
    return int(first), int(second or 0)


def _after(name: bytes) -> bytes:
    """Return the least id behind another: Redis before 6.2 knows no open ranges."""
    first, second = _numbers(name)
    return f"{first}-{second + 1}".encode() if second < 2**64 - 1 else f"{first + 1}-0".encode()


READERS: dict[str, Callable[..., Reader]] = {"stream": Stream, "list": List, "zset": SortedSet, "set": Set}
"""By Redis's word for what a key holds, what reads it: many records under one key."""
