"""What commands print as JSON, where a CI system reads the log."""

from __future__ import annotations

import json

import pytest
from im_callback.provider_mock.commands.shared.printed import line


@pytest.mark.parametrize(
    "said", ["##[add-mask]x", "a ###[error]x", "##vso[task.complete]", "# one #[two]", "\ud800##[x]"]
)
def test_line(said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A receiver's words are the same to who reads JSON, and no command to who reads lines."""
    line({"reply": said})
    printed = capsys.readouterr().out
    assert {"reply": said} == json.loads(printed)
    assert "##" not in printed
    assert 1 == printed.count("\n")
