"""What a receiver prints is kept with its moment, and shown without its secrets."""

from __future__ import annotations

import os

import pytest
from im_callback.conformance.around.log import LONGEST, Line, Log, within
from im_callback.conformance.report import log_lines
from im_callback.conformance.report.masking import Masking

NOTHING = Masking.hiding([])


def followed(*pieces: bytes, tag: str = "") -> Log:
    """Return the log of what was printed piece by piece."""
    log = Log()
    out, printed = os.pipe()
    thread = log.follow(out, tag)
    for piece in pieces:
        os.write(printed, piece)
    os.close(printed)
    thread.join()
    return log


class TestLog:
    """Lines as they were printed, as many and as long as can be borne."""

    @pytest.mark.parametrize(
        ("expected", "pieces"),
        [
            (["one", "two"], [b"one\ntw", b"o\r\n"]),
            (["no end"], [b"no end"]),
            (["", "x"], [b"\nx\n"]),
            (["回", r"\xff"], ["回\n".encode()[:2], "回\n".encode()[2:], b"\xff\n"]),
        ],
    )
    def test_lines(self, expected: list[str], pieces: list[bytes]) -> None:
        """Pieces are put together, and what is no UTF-8 is shown as what it is."""
        assert expected == followed(*pieces).since(0)

    def test_long(self) -> None:
        """A line that never ends does not fill the memory."""
        lines = followed(*[b"x" * 4000] * 60).since(0)
        assert len(lines) > 1
        assert all(len(line) < LONGEST + 50 for line in lines)

    def test_many(self) -> None:
        """The oldest go first."""
        log = Log(limit=3)
        for number in range(5):
            log.add(str(number))
        assert ["2", "3", "4"] == log.since(0)
        assert ["4"] == log.last(1)

    def test_since(self) -> None:
        """A mark divides what came before from what came after."""
        now = iter(range(100))
        log = Log(clock=lambda: next(now))
        log.add("before")
        mark = log.mark()
        log.add("after")
        assert ["after"] == log.since(mark)

    def test_tag(self) -> None:
        """Lines say whose they are where two print into one log."""
        assert ["second: a", "second: b"] == followed(b"a\nb", tag="second: ").since(0)

    def test_within(self) -> None:
        """The lines of several moments, each once."""
        lines = [Line(0.0, millis, str(millis)) for millis in (5, 10, 15, 20, 25)]
        assert ["10", "15", "25"] == [one.text for one in within(lines, [(10, 15), (12, 19), (25, 99)])]


class TestShown:
    """Reports show few lines, and no secret."""

    @pytest.mark.parametrize(
        ("expected", "line"),
        [
            ("postgresql://app:***@db:5432/shop refused", "postgresql://app:s3cret@db:5432/shop refused"),
            ("Authorization: ***", "Authorization: Bearer abc.def.ghi"),
            ("header 'cookie': '***'", "header 'cookie': 'sid=abc; x=y'"),
            ("sent Bearer *** and waited", "sent Bearer abcdef123456 and waited"),
            ("db_password=*** host=db", "db_password=x host=db"),
            ('{"api_key": "***"}', '{"api_key": "a1b2c3d4e5"}'),
            ("invalid token: expired", "invalid token: expired"),
            ("bad signature for key room-7", "bad signature for key room-7"),
            ("KeyError: 'msgidClient'", "KeyError: 'msgidClient'"),
        ],
    )
    def test_masked(self, expected: str, line: str) -> None:
        """What stands behind a telling name is masked, and sentences stay."""
        assert [expected] == log_lines.shown([line], NOTHING, 5)

    def test_known(self) -> None:
        """So is what the run knows, and what the environment holds under such a name."""
        mask = log_lines.of_environment(
            {"STRIPE_SECRET": "sk1234567890", "HOME": "/home/a1b2c3d4", "DB": "mysql://u:p4ssw0rd12@h/x", "TOKEN": "on"}
        )
        assert "*** /home/a1b2c3d4 *** on" == mask("sk1234567890 /home/a1b2c3d4 p4ssw0rd12 on")
        assert ["the ***"] == log_lines.shown(["the app-secret-1"], Masking.hiding(["app-secret-1"]), 5)

    def test_few(self) -> None:
        """The last ones are shown, and how many are left out."""
        assert ["… 3 lines before", "3", "4"] == log_lines.shown(list("01234"), NOTHING, 2)
        assert log_lines.LONGEST == len(log_lines.shown(["x" * 999], NOTHING, 2)[0])
