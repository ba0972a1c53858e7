"""Kinds of values that are a provider's own: made up from the examples that the schema gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from im_callback.provider_mock.traffic.generate import Generator
from im_callback.schemas import load

PHASES = ["2026-W01", "2026-W02", "2026-W03"]
SCHEMA: dict[str, Any] = {
    "$schema": "https://im-callback-conformance.dev/dialect",
    "$id": "https://own.example/phase",
    "$comment": "Nothing orders phases.",
    "title": "A phase",
    "description": "A phase begins.",
    "x-event-type": "own.phase",
    "x-code": "phase",
    "x-status": "documented",
    "x-source": [{"document": "Own", "section": "Phases"}],
    "x-detect": {"required": ["week"]},
    "x-identity": ["/id"],
    "x-order": None,
    "type": "object",
    "required": ["week", "id", "mood"],
    "properties": {
        "week": {"type": "string", "pattern": "^[0-9]{4}-W[0-9]{2}$", "x-kind": "own.week", "examples": PHASES},
        "id": {"type": "string", "x-kind": "uuid"},
        "mood": {"type": "string", "x-kind": "own.mood"},
    },
}


def test_made_up(tmp_path: Path) -> None:
    """Where there are examples each is one of them; where there are none, a word will do."""
    (tmp_path / "phase.schema.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    (phase,) = load(tmp_path)
    generator = Generator(1, 1_767_225_600_000)
    made = [generator.event(phase).payload for _ in range(20)]
    assert set(PHASES) == {one["week"] for one in made}
    assert all(one["mood"] for one in made)
