"""Reads the configuration file of the server: TOML with a table for each app."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provider_mock.server import settings as checked
from provider_mock.server.models import OPTIONS, AppSettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from jsonschema import ValidationError

SECRETS = ("app_secret", "app_secret_env", "app_secret_file")
_TYPES = {
    "string": "text",
    "object": "a table",
    "array": "a list",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}


class BadConfig(ValueError):
    """The file cannot be used. `lines` has one sentence for each thing that is wrong: file, place, value and fix."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def read(path: Path) -> dict[str, AppSettings]:
    """Return the apps of a file by name, in its order; relative paths in it are relative to it. Raises BadConfig."""
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise BadConfig([f"{path}: cannot be read ({error.strerror}); give the path of a TOML file"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        # What the parser quotes of the file could be a secret: only its place is told.
        place = f" at line {found[1]}" if (found := str(error).rpartition("at line "))[1] else ""
        place = f" at line {found[2].partition(',')[0].rstrip(')')}" if place else ""
        raise BadConfig([f'{path}: is not TOML{place}; write [apps.NAME] and key = "value" below it']) from None
    except RecursionError:
        raise BadConfig([f'{path}: is nested too deeply; write [apps.NAME] and key = "value" below it']) from None
    lines = [f"{path}: {line}" for line in _broken(document)]
    if lines:
        raise BadConfig(lines)
    apps: dict[str, AppSettings] = {}
    for name, table in document.get("apps", {}).items():
        apps[name] = _settings(table, path.parent)
        lines += [f"{path}: apps.{name}{line}" for line in _wrong(name, table, apps[name])]
    if lines:
        raise BadConfig(lines)
    return apps


def _broken(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield how the document differs from its schema; values that may be secrets are not shown."""
    from jsonschema import Draft202012Validator

    schema = json.loads(files(__package__).joinpath("config.schema.json").read_text(encoding="utf-8"))
    found = Draft202012Validator(schema).iter_errors(document)
    for error in sorted(found, key=lambda error: ([str(part) for part in error.absolute_path], str(error.validator))):
        yield from _told(error)


def _told(error: ValidationError) -> Iterator[str]:
    place = ".".join(map(str, error.absolute_path))
    keyword = str(error.validator)
    schema: Any = error.schema
    value: Any = error.instance
    due: Any = error.validator_value
    fix = schema.get("description", "")
    if keyword == "additionalProperties":
        known = list(schema["properties"])
        for name in value:
            if name not in known:
                close = get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]}? " if close else ""
                shown = name if name.isprintable() else repr(name)
                yield f"{place + '.' if place else ''}{shown[:80]} is unknown; {hint}there are {', '.join(known)}"
    elif keyword == "required":
        missing = [name for name in due if name not in value]
        # One error comes for each name that is missing.
        name = next(name for name in missing if repr(name) in error.message)
        yield f"{place}.{name} is missing; {schema['properties'][name]['description']}"
    elif schema.get("writeOnly"):
        yield f"{place} cannot be used (its value is not shown: it may be a secret); {fix}"
    elif keyword == "type":
        yield f"{place} is {_shown(value)} and not {_TYPES[str(due)]}; {fix}"
    else:
        yield f"{place} is {_shown(value)}; {fix}"


def _settings(table: Mapping[str, Any], folder: Path) -> AppSettings:
    reference = None
    if "app_secret_env" in table:
        reference = f"env:{table['app_secret_env']}"
    elif "app_secret_file" in table:
        reference = f"file:{folder / table['app_secret_file']}"
    return AppSettings(
        table["provider"],
        table["endpoint"],
        table.get("app_key"),
        app_secret=table.get("app_secret"),
        secret_ref=reference,
        policy=table.get("policy"),
        options={name: table[name] for name in OPTIONS if name in table},
        concurrency=table.get("concurrency", 64),
        headers=table.get("headers", {}),
        ca_file=str(folder / table["ca_file"]) if "ca_file" in table else None,
        proxy=table.get("proxy"),
        faults=tuple(table.get("faults", ())),
    )


def _wrong(name: str, table: Mapping[str, Any], settings: AppSettings) -> Iterator[str]:
    """Yield what the schema cannot say."""
    if len(given := [key for key in SECRETS if key in table]) > 1:
        yield f".{given[1]} is given beside {given[0]}; give one of them"
        return
    for problem in checked.problems(name, settings):
        place = problem.field.removeprefix("/options").replace("/", ".")
        if place == "name":
            yield f": {problem.problem}; {problem.fix}"
        else:
            yield f"{place}: {problem.problem}; {problem.fix}"


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) <= 80 else f"{text[:79]}…"
