"""Apps as they are written in a configuration file, and what is answered where something is wrong with one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import requests

APP = {"provider": "commsease", "endpoint": "http://127.0.0.1:9/cb"}


def told(response: requests.Response) -> tuple[str, str, str]:
    """Return field, problem and fix of an answer that has one problem."""
    assert 409 == response.status_code, response.text
    (one,) = response.json()["errors"]
    return one["field"], one["problem"], one["fix"]


def configured(folder: Path, text: str) -> Path:
    """Return a configuration file with this text."""
    (folder / "mock.toml").write_text(text, encoding="utf-8")
    return folder / "mock.toml"


def table(name: str = "a", **more: Any) -> str:
    """Return the table of an app."""
    values = {**APP, **more}
    return "\n".join([f"[apps.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""])
