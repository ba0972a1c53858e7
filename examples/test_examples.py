"""Every receiver in this folder passes the whole gate, which starts it; and two faults that only real threads show are caught.

Not part of `make test`: `make examples` builds them first, with what their package managers fetch.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from im_callback.conformance.around.command import free_port

from tests.effects import servers
from tests.plugin.processes import Ended, pytest_in
from tests.programs import needed
from tests.provider_mock_ledger import postgres

HERE = Path(__file__).parent
BUILT = ("node_modules", "target", "__pycache__")
SECONDS = 900
"""Longer than a build takes that has to fetch everything first."""
COMMSEASE = {"COMMSEASE_APP_KEY": "test-key", "COMMSEASE_APP_SECRET": "test-secret"}
RONGCLOUD = {"RONGCLOUD_APP_KEY": "test-key", "RONGCLOUD_APP_SECRET": "test-secret"}
TENCENT = {"TENCENT_SDK_APPID": "1400000001", "TENCENT_TOKEN": "test-token"}
# One record for everybody who has come, as the application shows them; the room itself has no name.
GO_STATUS = (
    "SELECT (CASE name WHEN '' THEN payload::jsonb ELSE payload::jsonb || jsonb_build_object('userIds', jsonb_build_array(name))"
    " END)::text FROM shown WHERE feed = 'chatroom-status'"
)
SPRING = (
    "SELECT payload FROM (SELECT feed, payload, shown_at AS at FROM entry UNION ALL SELECT feed, payload, at FROM state)"
    " AS shown WHERE feed = '{}' ORDER BY at"
)
DJANGO_AFTER = (
    "SELECT payload FROM (SELECT payload, time, seq FROM callbacks_message"
    " UNION ALL SELECT payload, time, 0 FROM callbacks_presence) AS shown ORDER BY time, seq"
)


@dataclass(frozen=True)
class Gate:
    """One feed at one path: where its effects are read, and how many checks pass at least.

    `effects` may name {folder}, {store} and {port}; what is judged may shrink only on purpose, hence `passed`.
    """

    feed: str
    path: str
    passed: int
    query: str = ""
    effects: str = "{store}"


@dataclass(frozen=True)
class Example:
    """A receiver: the folder, how it is built and started there, and its gates.

    `store` is what runs behind it; the receiver reaches it through the gate's proxy.
    """

    folder: str
    programs: tuple[str, ...]
    build: str
    command: str
    provider: str
    gates: tuple[Gate, ...]
    store: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


EXAMPLES = {
    one.folder: one
    for one in (
        Example(
            "go_receiver",
            ("go",),
            "go build -o receiver .",
            "DATABASE_URL='{proxied}?pool_max_conns=16' exec {built}/receiver",
            "rongcloud",
            (
                Gate("chatroom-kv", "/chatroom-kv", 66, "SELECT payload FROM shown WHERE feed = 'chatroom-kv'"),
                Gate("chatroom-status", "/chatroom-status", 65, GO_STATUS),
            ),
            "postgresql",
            RONGCLOUD,
        ),
        Example(
            "spring_receiver",
            ("mvn", "javac"),
            "mvn -q -B package",
            # A small machine starts it faster so, and again after each kill.
            "DATABASE_URL={jdbc} exec java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -jar {built}/target/receiver.jar",
            "commsease",
            (
                Gate("data-sync", "/data-sync", 70, SPRING.format("data-sync")),
                Gate("rtc", "/rtc", 68, SPRING.format("rtc")),
            ),
            "postgresql",
            COMMSEASE,
        ),
        Example(
            "express_receiver",
            ("node", "npm"),
            "npm ci --silent",
            "REDIS_URL={proxied} exec node {built}/server.js",
            "rongcloud",
            (
                Gate("message-route", "/message-route", 56, effects="{store}/messages:*"),
                Gate("chatroom-kv", "/chatroom-kv", 66, effects="{store}/attributes:*"),
            ),
            "redis",
            RONGCLOUD,
        ),
        Example(
            "fastapi_receiver",
            (),
            "",
            "PYTHONPATH={packages} DATABASE={folder}/receiver.db"
            f" exec {sys.executable} -m uvicorn --app-dir {{built}} --port {{port}} receiver:app",
            "commsease",
            (
                Gate(
                    "data-sync",
                    "/data-sync",
                    68,
                    "SELECT payload FROM (SELECT payload, at FROM message UNION ALL SELECT payload, at FROM presence) ORDER BY at",
                    "sqlite:///{folder}/receiver.db",
                ),
                Gate(
                    "third-party", "/third-party", 59, "SELECT payload FROM question", "sqlite:///{folder}/receiver.db"
                ),
            ),
            "",
            COMMSEASE,
        ),
        Example(
            "django_receiver",
            (),
            "",
            "export PYTHONPATH={packages} DATABASE_URL={proxied}; "
            f"cd {{built}} && {sys.executable} manage.py migrate -v 0"
            f" && exec {sys.executable} -m waitress --listen=127.0.0.1:{{port}} --threads=8 wsgi:application",
            "tencent",
            (
                Gate("after", "/after", 68, DJANGO_AFTER),
                Gate("before", "/before", 59, "SELECT payload FROM callbacks_question ORDER BY time, seq"),
            ),
            "postgresql",
            {**TENCENT, "DJANGO_SECRET_KEY": "only-for-tests"},
        ),
        Example(
            "php_receiver",
            ("php", "psql"),
            "",
            "psql -q {proxied} -f {built}/schema.sql; DATABASE_DSN={pdo} PHP_CLI_SERVER_WORKERS=8"
            " exec php -S 127.0.0.1:{port} {built}/index.php",
            "tencent",
            (
                Gate("after", "/after", 60, "SELECT payload FROM message ORDER BY seq"),
                Gate("room", "/room", 55, "SELECT payload FROM member WHERE present = 1"),
            ),
            "postgresql",
            TENCENT,
        ),
    )
}
GATES = [
    # In one process, so that each is built once.
    pytest.param(one, gate, id=f"{one.folder}-{gate.feed}", marks=pytest.mark.xdist_group(one.folder))
    for one in EXAMPLES.values()
    for gate in one.gates
]


@dataclass(frozen=True)
class Faulty:
    """One of the examples with texts replaced in its files, the feed at which it is judged, and what fails there.

    `may_fail` is what the same race can show in, if its moment comes.
    """

    example: str
    feed: str
    fails: frozenset[str]
    replaced: Mapping[str, tuple[tuple[str, str], ...]]
    may_fail: frozenset[str] = frozenset()


GO_KEEPS = "	_, err := tx.Exec(ctx, newerWins, c.feed, c.room, c.name, c.version, c.removed, c.payload)"
FAULTY = {
    "go-reads-first-and-writes-afterwards": Faulty(
        "go_receiver",
        "chatroom-kv",
        frozenset({"ordering.versions-at-once"}),
        {
            "store.go": (
                ('	"slices"', '	"slices"\n	"time"'),
                (
                    "\n	WHERE excluded.version > state.version OR (excluded.version = state.version AND excluded.removed)",
                    "",
                ),
                (
                    GO_KEEPS,
                    """	const ask = "SELECT version FROM state WHERE feed = $1 AND room = $2 AND name = $3"
	var newest int64
	err := tx.QueryRow(ctx, ask, c.feed, c.room, c.name).Scan(&newest)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	if err == nil && (c.version < newest || c.version == newest && !c.removed) {
		return nil
	}
	time.Sleep(time.Millisecond) // as the way to a database takes that is not on the same machine
	_, err = tx.Exec(ctx, newerWins, c.feed, c.room, c.name, c.version, c.removed, c.payload)""",
                ),
            )
        },
    ),
    "java-looks-first-and-inserts-afterwards": Faulty(
        "spring_receiver",
        "data-sync",
        frozenset({"deduplication.concurrent"}),
        {
            "src/main/resources/schema.sql": ((",\n    UNIQUE (feed, identity)", ""),),
            "src/main/java/receiver/Store.java": (
                ('\n                        + " ON CONFLICT (feed, identity) DO NOTHING"', ""),
                (
                    '        database.sql("INSERT INTO entry',
                    """        boolean known = database.sql("SELECT count(*) FROM entry WHERE feed = ? AND identity = ?")
                .params(feed, identity).query(Integer.class).single() > 0;
        if (known) {
            return;
        }
        database.sql("INSERT INTO entry""",
                ),
            ),
        },
        frozenset({"deduplication.across-receivers"}),
    ),
}


Build = Callable[[Example], Path]
LOCK = HERE.parent / "requirements/examples.txt"


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python packages of the examples, beside our own environment: as a folder for PYTHONPATH."""
    folder = tmp_path_factory.mktemp("packages")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    subprocess.run([*pip, "--target", folder, "--requirement", LOCK], check=True, timeout=SECONDS)
    return folder


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    """A PostgreSQL that listens at a port."""
    needed("initdb")
    with postgres.cluster(postgres.programs(), port=free_port()) as one:
        yield one


@pytest.fixture(scope="session")
def redis_port() -> Iterator[int]:
    """The port of a Redis."""
    needed("redis-server")
    with servers.redis_server() as port:
        yield port


def built_in(folder: Path, one: Example, replaced: Mapping[str, tuple[tuple[str, str], ...]] | None = None) -> Path:
    """Build a copy of an example, with texts replaced in its files, and return where it stands."""
    needed(*one.programs)
    shutil.copytree(HERE / one.folder, folder, ignore=shutil.ignore_patterns(*BUILT))
    for name, texts in (replaced or {}).items():
        text = (folder / name).read_text(encoding="utf-8")
        for old, new in texts:
            assert text.count(old) == 1, f"{name} does not have once: {old}"
            text = text.replace(old, new)
        (folder / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        one.build,
        shell=True,
        check=False,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout
    return folder


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Builds each example once."""
    built: dict[str, Path] = {}

    def one(example: Example) -> Path:
        if example.folder not in built:
            built[example.folder] = built_in(tmp_path_factory.mktemp("built") / example.folder, example)
        return built[example.folder]

    return one


NUMBERS = count(1)


@contextmanager
def stored(one: Example, request: pytest.FixtureRequest) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Give an empty store: what its places are called in a command, and the gate's options for it."""
    if one.store == "postgresql":
        cluster = request.getfixturevalue("cluster")
        name = f"example_{os.getpid()}_{next(NUMBERS)}"
        cluster.sql("postgres", f"CREATE DATABASE {name} TEMPLATE template0")
        at = f"postgresql://postgres@127.0.0.1:{cluster.port}/{name}"
        proxied = f"postgresql://postgres@127.0.0.1:{{downstream}}/{name}"
        jdbc = f"'jdbc:postgresql://127.0.0.1:{{downstream}}/{name}?user=postgres'"
        pdo = f"'pgsql:host=127.0.0.1;port={{downstream}};dbname={name};user=postgres;connect_timeout=1'"
        yield (
            {"store": at, "proxied": proxied, "jdbc": jdbc, "pdo": pdo},
            [f"--receiver-downstream=127.0.0.1:{cluster.port}"],
        )
    elif one.store == "redis":
        port = request.getfixturevalue("redis_port")
        at, proxied = (f"redis://:{servers.PASSWORD}@127.0.0.1:{where}" for where in (port, "{downstream}"))
        yield {"store": at, "proxied": proxied}, [f"--receiver-downstream=127.0.0.1:{port}"]
    else:
        yield {}, []


def gate(one: Example, at: Gate, built: Path, folder: Path, request: pytest.FixtureRequest, *more: str) -> Ended:
    """Run the whole gate against a built example."""
    with stored(one, request) as (store, options):
        places = {"built": str(built), "folder": str(folder), **store}
        if "{packages}" in one.command:
            # In the receiver's environment alone: some are plugins to pytest.
            places["packages"] = str(request.getfixturevalue("packages"))

        def filled(text: str) -> str:
            for name, value in places.items():
                text = text.replace(f"{{{name}}}", value)
            return text

        return pytest_in(
            folder,
            f"--receiver-url=http://127.0.0.1:0{at.path}",
            f"--receiver-command={filled(one.command)}",
            f"--receiver-provider={one.provider}",
            f"--receiver-feed={at.feed}",
            f"--receiver-effects={filled(at.effects)}",
            *([f"--receiver-effects-query={at.query}"] if at.query else []),
            *options,
            *more,
            **one.variables,
        )


@pytest.mark.parametrize(("one", "at"), GATES)
def test_a_good_one_passes(
    one: Example, at: Gate, build: Build, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Nothing is blamed in it, and next to nothing is left out."""
    ended = gate(one, at, build(one), tmp_path, request)
    counts = Counter(ended.verdicts.values())
    sys.stdout.write(f"{one.folder} {at.feed}: {dict(counts)}, records {', '.join(ended.result['handles'])}\n")
    sys.stdout.write(f"    {ended.output.splitlines()[-1].strip(' =')}\n")
    assert ended.status == 0, ended.output
    assert set(counts) <= {"pass", "not-applicable"}, ended.output
    assert counts["pass"] >= at.passed, ended.output


@pytest.mark.parametrize("name", FAULTY)
def test_what_threads_break_is_caught(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """One fault that shows only where requests are handled at the same time, and exactly the checks that name it."""
    faulty = FAULTY[name]
    one = EXAMPLES[faulty.example]
    (at,) = (each for each in one.gates if each.feed == faulty.feed)
    ended = gate(one, at, built_in(tmp_path / "built", one, faulty.replaced), tmp_path, request)
    failed = {check for check, verdict in ended.verdicts.items() if verdict not in ("pass", "not-applicable")}
    due, possible = ({f"{one.provider}.{check}" for check in checks} for checks in (faulty.fails, faulty.may_fail))
    assert due == failed - possible, ended.output
    assert ended.status == 1, ended.output
