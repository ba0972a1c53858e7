"""A SQLite ledger's files: for their owner alone, and noticed when somebody takes them away under it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from im_callback.provider_mock.delivery.ledger import (
    Ledger,
    LedgerError,
    LedgerInUse,
    LedgerMissing,
    LedgerReader,
    LedgerUnavailable,
    NotALedger,
)

from tests.provider_mock_ledger.values import NOW, done, new
from tests.provider_mock_server.waiting import until

Open = Callable[..., Ledger]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the ledger is, in a folder of its own."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder / "ledger.db"


def side(path: Path, name: str) -> Path:
    """Return a file beside the ledger."""
    return path.with_name(path.name + name)


def mode(path: Path) -> str:
    """Return a file's permissions."""
    return oct(stat.S_IMODE(path.stat().st_mode))


class Harm(NamedTuple):
    """What somebody does to a ledger's files, how it is undone (None: it cannot be), and what is said."""

    do: Callable[[Path], object]
    undo: Callable[[Path], object] | None
    said: str


def moved_over(path: Path, *, other: bool) -> None:
    """Replace the ledger by a copy of it, or by a ledger of something else."""
    draft = path.with_name("draft")
    if other:
        with closing(sqlite3.connect(draft)) as connection:
            connection.execute("CREATE TABLE t (x)")
    else:
        shutil.copy(path, draft)
    draft.replace(path)


HARMS = {
    "deleted": Harm(Path.unlink, None, "was deleted or moved away; put the file back"),
    "moved away": Harm(
        lambda path: path.rename(path.with_name("away")),
        lambda path: path.with_name("away").rename(path),
        "was deleted or moved away",
    ),
    "a copy moved over it": Harm(lambda path: moved_over(path, other=False), None, "was replaced by another file"),
    "another moved over it": Harm(lambda path: moved_over(path, other=True), None, "was replaced by another file"),
    "emptied": Harm(lambda path: os.truncate(path, 0), None, "was emptied"),
    "log deleted": Harm(
        lambda path: side(path, "-wal").unlink(), None, "its ledger.db-wal was deleted or moved away; stop the server"
    ),
    "log replaced": Harm(
        lambda path: moved_over(side(path, "-wal"), other=False), None, "its ledger.db-wal was replaced"
    ),
    "log's index deleted": Harm(lambda path: side(path, "-shm").unlink(), None, "its ledger.db-shm was deleted"),
    "folder deleted": Harm(lambda path: shutil.rmtree(path.parent), None, "was deleted or moved away"),
    "folder moved away": Harm(
        lambda path: path.parent.rename(path.parent.with_name("away")),
        lambda path: path.parent.with_name("away").rename(path.parent),
        "was deleted or moved away",
    ),
    "read-only": Harm(lambda path: path.chmod(0o400), lambda path: path.chmod(0o600), "ledger.db is read-only; make"),
    "log read-only": Harm(
        lambda path: side(path, "-wal").chmod(0o400), lambda path: side(path, "-wal").chmod(0o600), "-wal is read-only"
    ),
    "folder read-only": Harm(
        lambda path: path.parent.chmod(0o500), lambda path: path.parent.chmod(0o700), "data is read-only; make"
    ),
}
UNDONE = [name for name, harm in HARMS.items() if harm.undo]
FOR_GOOD = [name for name, harm in HARMS.items() if not harm.undo]


@contextmanager
def harmed(path: Path, name: str) -> Iterator[Harm]:
    """Do it; what it leaves can be cleared away afterwards."""
    harm = HARMS[name]
    harm.do(path)
    try:
        yield harm
    finally:
        if path.parent.exists():
            path.parent.chmod(0o700)


class TestTaken:
    """Nothing is accepted, nothing is due, attempts are kept; it goes on when that is safe."""

    @pytest.mark.parametrize("name", HARMS)
    def test_noticed_at_once(self, name: str, path: Path) -> None:
        """By whoever uses it; the error names the file and the way out, and says that nothing is stored."""
        ledger = Ledger(str(path))
        ledger.accept([new(), new()])
        try:
            with harmed(path, name) as harm:
                with pytest.raises(LedgerUnavailable, match=harm.said) as caught:
                    ledger.accept([new()])
                assert caught.value.stored is False
                assert str(path) in str(caught.value)
                for use in (
                    lambda: ledger.due("shop", NOW, 10),
                    lambda: ledger.put_setting("k", "v"),
                    ledger.flush,
                ):
                    with pytest.raises(LedgerUnavailable, match=harm.said):
                        use()
        finally:
            ledger.close()

    @pytest.mark.parametrize("name", HARMS)
    def test_noticed_without_use(self, name: str, path: Path) -> None:
        """Within seconds, by itself."""
        ledger = Ledger(str(path))
        try:
            assert ledger.health().error is None
            with harmed(path, name) as harm:
                error = until(lambda: ledger.health().error)
                assert harm.said in error
                assert ledger.health().failing_seconds is not None
        finally:
            ledger.close()

    @pytest.mark.parametrize("name", UNDONE)
    def test_undone(self, name: str, path: Path, opened: Open) -> None:
        """What was recorded meanwhile is written, and it goes on without a restart."""
        ledger = opened(str(path))
        ids = ledger.accept([new() for _ in range(3)])
        with harmed(path, name) as harm:
            assert 1 == ledger.record([done(ids[0])])
            with pytest.raises(LedgerUnavailable):
                ledger.accept([new()])
            assert 1 == ledger.record([done(ids[1])])
            assert harm.undo is not None
            harm.undo(path)
            assert until(lambda: ledger.health().error is None and not ledger.health().queued)
            assert ids[2:] == [one.id for one in ledger.due("shop", NOW, 10)]
            assert 2 == ledger.counts()["acked"]
            assert 4 == len({*ids, *ledger.accept([new()])})

    @pytest.mark.parametrize("name", FOR_GOOD)
    def test_attempts_are_kept_in_bounds(self, name: str, path: Path) -> None:
        """As many as there is room for; closing says how many were lost."""
        ledger = Ledger(str(path), queued_attempts=10, patience=0.2)
        (delivery_id,) = ledger.accept([new()])
        with harmed(path, name):
            taken = sum(ledger.record([done(delivery_id, number)]) for number in range(1, 100))
            assert 10 <= taken < 99
            with pytest.raises(LedgerUnavailable, match="the last attempts of 1 deliveries"):
                ledger.close()

    @pytest.mark.parametrize("name", ["deleted", "folder deleted", "moved away"])
    def test_not_made_again(self, name: str, path: Path) -> None:
        """An empty ledger in its place would be taken for the whole truth."""
        ledger = Ledger(str(path), patience=0.2)
        (delivery_id,) = ledger.accept([new()])
        with harmed(path, name):
            ledger.record([done(delivery_id)])
            until(lambda: ledger.health().error)
            with pytest.raises(LedgerUnavailable):
                ledger.deliveries()
            with pytest.raises(LedgerUnavailable):
                ledger.close()
            assert not path.exists()

    @pytest.mark.parametrize("name", ["log deleted", "log replaced", "log's index deleted"])
    @pytest.mark.parametrize("killed", [False, True], ids=["closed", "killed"])
    def test_a_log_that_is_lost(self, name: str, killed: bool, path: Path, tmp_path: Path) -> None:
        """Takes nothing with it that was accepted, not even when the process is killed afterwards."""
        program = (
            "import sys; from im_callback.provider_mock.delivery.ledger import Ledger\n"
            "from tests.provider_mock_ledger.values import new\n"
            "ledger = Ledger(sys.argv[1]); print(*ledger.accept([new(n=n) for n in range(50)]), flush=True)\n"
            "sys.stdin.readline()\n"
            "from tests.provider_mock_server.waiting import until\n"
            "until(lambda: ledger.health().error); print('noticed', flush=True)\n"
            "sys.stdin.readline(); ledger.close()\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                ids = [int(one) for one in process.stdout.readline().split()]
                HARMS[name].do(path)
                print(file=process.stdin, flush=True)
                assert "noticed\n" == process.stdout.readline()
                if killed:
                    process.kill()
                else:
                    print(file=process.stdin, flush=True)
                process.wait(60)
            finally:
                process.kill()
        if killed:
            # What the first look saw is in the database by then: the log may be gone for good.
            side(path, "-wal").unlink(missing_ok=True)
            side(path, "-shm").unlink(missing_ok=True)
        with Ledger(str(path)) as ledger:
            assert ids == [one.id for one in ledger.due("shop", NOW, 100)]

    def test_the_file_that_was_moved_away(self, path: Path, tmp_path: Path) -> None:
        """Is whole, and the one in its place is not mixed with what the old one's log held."""
        ledger = Ledger(str(path))
        ids = ledger.accept([new() for _ in range(5)])
        path.rename(tmp_path / "backup.db")
        until(lambda: ledger.health().error)
        ledger.close()
        with Ledger(str(tmp_path / "backup.db")) as backup:
            assert ids == [one.id for one in backup.due("shop", NOW, 10)]
        with Ledger(str(path)) as afresh:
            assert [] == afresh.due("shop", NOW, 10)

    def test_the_lock_deleted(self, path: Path, opened: Open) -> None:
        """It is taken again, so that nobody else can have it, and all goes on."""
        ledger = opened(str(path))
        side(path, ".lock").unlink()
        assert until(side(path, ".lock").exists)
        with pytest.raises(LedgerInUse):
            until(lambda: Ledger(str(path)).close())
        assert [1] == ledger.accept([new()])

    def test_the_lock_taken_by_another(self, path: Path) -> None:
        """Then two would write; this one stops, and says so."""
        import fcntl

        ledger = Ledger(str(path))
        mine = path.with_name("another.lock")
        with mine.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            mine.replace(side(path, ".lock"))
            assert "is in use" in until(lambda: ledger.health().error)
            with pytest.raises(LedgerUnavailable, match="stop one of the two processes"):
                ledger.accept([new()])
        # The other one is gone: what it wrote cannot be known.
        with pytest.raises(LedgerUnavailable, match="stop one of the two processes"):
            ledger.accept([new()])
        ledger.close()


class TestOwner:
    """Nobody else reads what is in it."""

    @pytest.fixture(autouse=True)
    def generous(self) -> Iterator[None]:
        """A umask that forbids nothing."""
        before = os.umask(0)
        yield
        os.umask(before)

    def test_new_files(self, path: Path, opened: Open) -> None:
        """Whatever the umask."""
        opened(str(path)).accept([new()])
        assert {"0o600"} == {mode(one) for one in path.parent.iterdir()}
        assert {path.name + one for one in ("", "-wal", "-shm", ".lock")} == {one.name for one in path.parent.iterdir()}

    def test_files_that_were_wider(self, path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Are narrowed, and that is said."""
        with Ledger(str(path)) as ledger:
            ledger.accept([new()])
            crashed = path.with_name("crashed.db")
            for one in ("", "-wal"):
                shutil.copy(side(path, one), side(crashed, one))
        for one in ("", "-wal", ".lock"):
            side(crashed, one).touch()
            side(crashed, one).chmod(0o664)
        with Ledger(str(crashed)) as ledger:
            assert {"0o600"} == {mode(side(crashed, one)) for one in ("", "-wal", "-shm", ".lock")}
            assert 1 == ledger.counts()["waiting"]
        assert f"{crashed} could be used by others (mode 664)" in caplog.text

    def test_a_reader(self, path: Path) -> None:
        """Widens nothing, with or without a writer beside it."""
        with Ledger(str(path)) as ledger:
            ledger.accept([new()])
            with LedgerReader(str(path)) as reader:
                reader.counts()
                assert {"0o600"} == {mode(one) for one in path.parent.iterdir()}
        with LedgerReader(str(path)) as reader:
            reader.counts()
            assert {"0o600"} == {mode(one) for one in path.parent.iterdir()}


class TestPlace:
    """What cannot be a ledger is said when it is opened."""

    @pytest.mark.parametrize("opener", [Ledger, LedgerReader])
    def test_a_folder(self, opener: Open, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also the current one; no lock is left beside it."""
        monkeypatch.chdir(path.parent)
        for place in (".", "", str(path.parent), "sqlite:///.", ".."):
            with pytest.raises(LedgerError, match=r"is a folder; name a file in it, such as /|has no file"):
                opener(place)
        assert ["data"] == [one.name for one in path.parent.parent.iterdir()]

    def test_a_pipe(self, path: Path) -> None:
        """Opening it would wait for ever."""
        os.mkfifo(path)
        with pytest.raises(NotALedger, match="is no regular file"):
            Ledger(str(path))

    def test_links_in_a_circle(self, path: Path) -> None:
        """Lead nowhere."""
        path.symlink_to(path)
        with pytest.raises(LedgerMissing, match="cannot be reached"):
            Ledger(str(path))

    def test_a_name_too_long(self, path: Path) -> None:
        """Of 300 characters."""
        with pytest.raises(LedgerMissing, match=r"cannot be reached: File name too long"):
            Ledger(str(path.with_name("x" * 300)))

    @pytest.mark.parametrize("what", ["file", "folder"])
    def test_read_only(self, what: str, path: Path) -> None:
        """Nothing can be accepted there."""
        Ledger(str(path)).close()
        place = path if what == "file" else path.parent
        place.chmod(0o500)
        try:
            with pytest.raises(LedgerUnavailable, match=f"cannot be written: {place} is read-only|cannot be locked"):
                Ledger(str(path))
        finally:
            place.chmod(0o700)

    def test_a_file_in_the_way_of_the_folder(self, path: Path) -> None:
        """It is no folder."""
        path.touch()
        with pytest.raises(LedgerMissing, match="which is no folder"):
            Ledger(str(path / "ledger.db"))
