"""The result file: tried before anything is sent, wherever its path leads; written whole or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from im_callback.conformance import resultfile
from im_callback.conformance.resultfile import ResultFile, Unwritable

TEXT = '{"verdict": "pass"}\n'
NOBODY = 65534


@pytest.fixture
def as_nobody(tmp_path: Path) -> Callable[[], AbstractContextManager[Path]]:
    """Act as a user who may not write everything, in a folder of theirs."""

    @contextmanager
    def acting() -> Iterator[Path]:
        if os.geteuid() != 0:
            yield tmp_path
            return
        with tempfile.TemporaryDirectory() as folder:  # pytest's own may not be entered by others
            os.chown(folder, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, 0)
            try:
                yield Path(folder)
            finally:
                os.setresuid(0, 0, 0)

    return acting


def full(*_: Any, **__: Any) -> Any:
    """Be a disk without space."""
    raise OSError(28, "No space left on device")


class TestRegular:
    """A path that leads to a regular file, or to none yet."""

    @pytest.mark.parametrize("name", ["result.json", "./a/../result.json", "ünï.json", "x" * 255])
    def test_new(self, name: str, tmp_path: Path) -> None:
        """It is made at the end, with the rights of any new file, and nothing stays beside it."""
        (tmp_path / "a").mkdir()
        file = ResultFile(tmp_path / name)
        assert ["a"] == os.listdir(tmp_path)
        file.clear()
        file.write(TEXT)
        assert TEXT == (tmp_path / name).read_text()
        (tmp_path / "other").touch()
        assert (tmp_path / "other").stat().st_mode == (tmp_path / name).stat().st_mode
        assert 3 == len(os.listdir(tmp_path))

    def test_earlier(self, tmp_path: Path) -> None:
        """An earlier result stays while the file is only tried, goes when the run starts, and is replaced."""
        path = tmp_path / "result.json"
        path.write_text("earlier" * 100)
        file = ResultFile(path)
        assert path.read_text().startswith("earlier")
        file.clear()
        assert not path.exists()
        file.write(TEXT)
        assert TEXT == path.read_text()

    @pytest.mark.parametrize("there", [True, False])
    def test_link(self, there: bool, tmp_path: Path) -> None:
        """A link stays one, also where it leads to nothing yet."""
        (tmp_path / "kept").mkdir()
        target, link = tmp_path / "kept" / "real.json", tmp_path / "result.json"
        link.symlink_to(Path("kept") / "real.json")
        if there:
            target.write_text("earlier")
        file = ResultFile(link)
        file.clear()
        file.write(TEXT)
        assert link.is_symlink()
        assert TEXT == target.read_text()

    def test_full(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the disk fills, nothing half is left, neither there nor beside it."""
        file = ResultFile(tmp_path / "result.json")
        file.clear()
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(Unwritable, match=r"result\.json could not be written \(No space left on device\)"):
            file.write(TEXT)
        assert [] == os.listdir(tmp_path)

    def test_full_late(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither where the disk says so only when it is asked to keep it."""
        file = ResultFile(tmp_path / "result.json")
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(Unwritable, match="No space left on device"):
            file.write(TEXT)
        assert [] == os.listdir(tmp_path)

    def test_folder_closed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file in a folder that takes no new ones, as a file that is mounted, is written in its place."""
        path = tmp_path / "result.json"
        path.write_text("earlier" * 100)
        monkeypatch.setattr(ResultFile, "_beside", full)
        monkeypatch.setattr(Path, "unlink", full)
        file = ResultFile(path)
        file.clear()
        assert "" == path.read_text()
        file.write(TEXT)
        assert TEXT == path.read_text()
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(Unwritable):
            file.write(TEXT)
        assert "" == path.read_text()

    def test_mounted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither does a file that cannot be replaced stay as it was."""
        path = tmp_path / "result.json"
        monkeypatch.setattr(Path, "replace", full)
        ResultFile(path).write(TEXT)
        assert TEXT == path.read_text()
        assert ["result.json"] == os.listdir(tmp_path)

    def test_folder_gone(self, tmp_path: Path) -> None:
        """A folder that goes away during the run is named at the end."""
        (tmp_path / "a").mkdir()
        file = ResultFile(tmp_path / "a" / "result.json")
        file.clear()
        (tmp_path / "a").rmdir()
        with pytest.raises(Unwritable, match="No such file or directory"):
            file.write(TEXT)


class TestRefused:
    """What cannot be written is known before anything is sent."""

    def refusal(self, path: Path) -> str:
        """Return what is said."""
        with pytest.raises(Unwritable) as caught:
            ResultFile(path)
        return str(caught.value)

    def test_folder(self, tmp_path: Path) -> None:
        """A folder, or one that is not there."""
        assert "it is a folder; give a file in it" == self.refusal(tmp_path)
        assert self.refusal(tmp_path / "a" / "b").startswith(f"there is no folder {tmp_path / 'a'}; make it")
        (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
        assert self.refusal(tmp_path / "link").startswith(f"there is no folder {tmp_path / 'a'}; make it")

    def test_loop(self, tmp_path: Path) -> None:
        """Links that lead in a circle."""
        (tmp_path / "a").symlink_to(tmp_path / "b")
        (tmp_path / "b").symlink_to(tmp_path / "a")
        assert "Too many levels of symbolic links" in self.refusal(tmp_path / "a")

    def test_through_a_file(self, tmp_path: Path) -> None:
        """A path through a file."""
        (tmp_path / "a").touch()
        assert "Not a directory" in self.refusal(tmp_path / "a" / "b")

    @pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
    def test_name(self, name: str, tmp_path: Path) -> None:
        """A name that no file can have."""
        assert "give a file" in self.refusal(tmp_path / name)

    def test_protected(self, as_nobody: Callable[[], AbstractContextManager[Path]]) -> None:
        """A file, or a folder, that is write-protected."""
        with as_nobody() as folder:
            file = folder / "result.json"
            file.write_text("earlier")
            file.chmod(0o444)
            assert "it is write-protected; give another file" in self.refusal(file)
            folder.chmod(0o555)
            assert "Permission denied" in self.refusal(folder / "new.json")
            folder.chmod(0o755)
            assert "earlier" == file.read_text()

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
    def test_full(self) -> None:
        """A device without space."""
        assert "No space left on device" in self.refusal(Path("/dev/full"))

    @pytest.mark.skipif(not Path("/proc/version").exists(), reason="there is no /proc")
    def test_proc(self) -> None:
        """A folder in which nobody makes files."""
        assert "it cannot be written (" in self.refusal(Path("/proc/result.json"))


class TestStreams:
    """A path that leads to a stream."""

    def test_null(self) -> None:
        """A device takes it, and stays what it is."""
        file = ResultFile(Path(os.devnull))
        file.clear()
        file.write(TEXT)
        assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)

    def test_nobody_reads(self, tmp_path: Path) -> None:
        """A pipe without a reader is refused; it is not waited for."""
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(Unwritable, match="nobody reads from this pipe; start its reader first"):
            ResultFile(tmp_path / "pipe")

    def test_pipe(self, tmp_path: Path) -> None:
        """A reader that is there at the start gets all of it, also more than fits into the pipe."""
        os.mkfifo(tmp_path / "pipe")
        reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        file = ResultFile(tmp_path / "pipe")
        file.clear()
        os.set_blocking(reader, True)
        got: list[bytes] = []

        def read() -> None:
            while part := os.read(reader, 4096):
                got.append(part)

        thread = threading.Thread(target=read)
        thread.start()
        file.write(TEXT * 20_000)
        thread.join()
        os.close(reader)
        assert TEXT * 20_000 == b"".join(got).decode()

    def test_reader_gone(self, tmp_path: Path) -> None:
        """A reader that goes away is named."""
        os.mkfifo(tmp_path / "pipe")
        reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        file = ResultFile(tmp_path / "pipe")
        os.close(reader)
        with pytest.raises(Unwritable, match="Broken pipe"):
            file.write(TEXT)

    def test_reader_sleeps(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A reader that reads nothing is not waited for without end."""
        monkeypatch.setattr(resultfile, "PATIENCE", 0.05)
        os.mkfifo(tmp_path / "pipe")
        reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        file = ResultFile(tmp_path / "pipe")
        with pytest.raises(Unwritable, match="nobody has read from it for"):
            file.write(TEXT * 20_000)
        os.close(reader)

    @pytest.mark.parametrize("way", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
    @pytest.mark.parametrize("to", ["pipe", "file"])
    def test_standard_output(self, way: str, to: str, tmp_path: Path) -> None:
        """Standard output gets it where it stands, after what was printed before and before what follows."""
        if way.startswith("/") and not Path(way).exists():
            pytest.skip(f"there is no {way}")
        (tmp_path / "link").symlink_to("/dev/stdout")
        program = (
            "from pathlib import Path; from im_callback.conformance.resultfile import ResultFile; import sys\n"
            "print('before', flush=True); file = ResultFile(Path(sys.argv[1])); file.clear()\n"
            "print('more'); file.write('result\\n'); print('after')"
        )
        command = [sys.executable, "-c", program, str(tmp_path / way)]
        if to == "pipe":
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        else:
            with (tmp_path / "out").open("w") as opened:
                subprocess.run(command, stdout=opened, check=True)
            out = (tmp_path / "out").read_text()
        assert "before\nmore\nresult\nafter\n" == out
