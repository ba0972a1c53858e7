"""Whole runs with the receiver as the gate's own process: real stores, and ends in the middle."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import jsonschema
import psycopg
import pytest
from im_callback.conformance.around.command import free_port

from tests.around.running import AROUND, command
from tests.around.store import Store, storing
from tests.around.test_command import alive, pids, soon
from tests.conformance.little_server import serving
from tests.plugin.processes import MODULE, SECONDS, Ended, environment, pytest_in
from tests.programs import needed
from tests.provider_mock_ledger.postgres import Cluster, programs

pytestmark = pytest.mark.long

SCHEMA = json.loads(files("im_callback.conformance.report").joinpath("result.schema.json").read_text(encoding="utf-8"))
TELLING = set(AROUND) - {"fails-as-told"}
SOME = ["--receiver-check=*.preflight.*", *(f"--receiver-check=*.{slug}" for slug in TELLING)]


def options(port: int, effects: str, text: str) -> list[str]:
    """Return the options of a run against what a command starts, with its store at a port."""
    return [
        "--receiver-url=http://127.0.0.1:0/hook",
        "--receiver-provider=rongcloud",
        f"--receiver-effects={effects}",
        f"--receiver-command=touch $$; {text}",
        f"--receiver-downstream=127.0.0.1:{port}",
        "--receiver-settle=1",
    ]


def valid(ended: Ended) -> Ended:
    """Return what ended with a valid result that agrees with the exit status."""
    assert ended.result is not None, ended.output
    jsonschema.Draft202012Validator(SCHEMA).validate(ended.result)
    assert ended.status == ended.result["exit_status"], ended.output
    return ended


@contextmanager
def shown(store: Store) -> Iterator[str]:
    """Yield the address at which the store's records can be read, not through the proxy."""
    with serving(lambda _: (200, "application/json", json.dumps(store.records).encode())) as little:
        yield little.url


@pytest.fixture(scope="module")
def postgres() -> Iterator[int]:
    """The port of a PostgreSQL with the table that the receiver writes to."""
    needed("initdb")
    found = programs()
    assert found is not None
    folder = Path(tempfile.mkdtemp(prefix="around-pg-"))
    port = free_port()
    shutil.chown(folder, "postgres", "postgres") if Path.home() == Path("/root") else None
    try:
        server = Cluster(folder, found, durable=False)
        with (folder / "data/postgresql.conf").open("a") as settings:
            settings.write(f"listen_addresses = '127.0.0.1'\nport = {port}\n")
        server.start()
        try:
            with psycopg.connect(f"host=127.0.0.1 port={port} user=postgres", autocommit=True) as one:
                one.execute("CREATE TABLE events (at serial, key text UNIQUE, said text)")
            yield port
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_good(postgres: int, tmp_path: Path) -> None:
    """A good receiver with its store in PostgreSQL passes whatever is done to it and to its store."""

    def records() -> bytes:
        with psycopg.connect(f"host=127.0.0.1 port={postgres} user=postgres") as one:
            rows = one.execute("SELECT said FROM events ORDER BY at").fetchall()
        return f"[{','.join(said for (said,) in rows)}]".encode()

    with serving(lambda _: (200, "application/json", records())) as little:
        ended = valid(pytest_in(tmp_path, "-rs", *options(postgres, little.url, command("Sql")), *SOME))
    assert 0 == ended.status, ended.output
    assert {one.rpartition(".")[2] for one in ended.verdicts} > TELLING
    assert {"pass"} == set(ended.verdicts.values()), ended.output
    (line,) = ended.lines("downstream: ")
    assert line.startswith(f"downstream: 127.0.0.1:{postgres}, through the proxy at 127.0.0.1:")
    assert ended.lines("command: touch $$; ")
    assert not any(alive(pid) for pid in pids(tmp_path, 6))


def test_does_not_start(tmp_path: Path) -> None:
    """A receiver that does not come up fails the run at once, with what it printed, and without its secrets."""
    text = "echo bad configuration, token=abc123def456 at $KEPT_SECRET; exit 7"
    ended = valid(
        pytest_in(tmp_path, *options(1, "http://127.0.0.1:1/", text), *SOME, KEPT_SECRET="inTheEnvironment1", CI="true")
    )
    assert 1 == ended.status
    assert "fail" == ended.verdicts["rongcloud.preflight.reachable"]
    assert {"fail", "could-not-run"} == set(ended.verdicts.values())
    assert "ended with status 7 before it answered" in ended.output
    assert "   | bad configuration, token=*** at ***" in ended.output.splitlines()
    assert ended.result is not None
    assert ["bad configuration, token=*** at ***"] == ended.result["checks"][0]["log"]
    assert "abc123def456" not in ended.output + (tmp_path / "result.json").read_text(encoding="utf-8")


def test_dies_in_the_middle(tmp_path: Path) -> None:
    """A receiver that ends by itself is the finding, with how it ended and its last words; the rest could not run."""
    with storing() as store, shown(store) as effects:
        ended = valid(pytest_in(tmp_path, *options(store.port, effects, command("Mortal"))))
    assert 1 == ended.status
    assert ended.result is not None
    gone = [one for one in ended.result["checks"] if "its process ended with status 9" in one["actual"]]
    assert gone, ended.output
    assert "out of memory, password=*** key is verysecretkey1" in "\n".join(gone[0]["log"])
    assert "could-not-run" == ended.verdicts["rongcloud.acknowledgement.acked-survives-kill"]


def test_store_dies_in_the_middle(tmp_path: Path) -> None:
    """Where the store goes away for good the run ends, and not green."""
    with storing() as store, shown(store) as effects:
        store.limit = 10
        some = ("preflight.*", "deduplication.*")
        chosen = [f"--receiver-check=rongcloud.{one}" for one in some]
        ended = valid(pytest_in(tmp_path, *options(store.port, effects, command()), *chosen))
    assert 1 == ended.status, ended.output
    assert "harness-error" not in ended.verdicts.values()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_gate_dies_in_the_middle(how: signal.Signals, tmp_path: Path) -> None:
    """Whatever ends the gate, nothing of the receiver is left, and no result is taken for one."""
    with storing() as store, shown(store) as effects:
        run = [*MODULE, *options(store.port, effects, command()), "--receiver-json=result.json"]
        with subprocess.Popen(run, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL) as gate:
            try:
                assert soon(lambda: len(store.records) > 20)
                found = pids(tmp_path, 1)
                gate.send_signal(how)
                assert 0 != gate.wait(SECONDS)
            finally:
                gate.kill()
        assert soon(lambda: not any(alive(pid) for pid in found))
    assert not (tmp_path / "result.json").exists()


def test_occupied(tmp_path: Path) -> None:
    """Where something answers already nothing is started or judged: it would be the wrong receiver."""
    with serving(lambda _: (200, "text/plain", b"")) as little:
        ended = pytest_in(tmp_path, f"--receiver-url={little.url}", "--receiver-command=touch started")
    assert (4, None) == (ended.status, ended.result)
    assert "ERROR: --receiver-command: something listens at port" in ended.output
    assert not (tmp_path / "started").exists()
    assert [] == little.got
