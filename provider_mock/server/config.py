"""Reads the configuration file of the server: TOML with a table for each app and token, and one for the server's own rules."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from im_callback.provider_mock.addresses import BadAddress, Network, network
from im_callback.provider_mock.server import option
from im_callback.provider_mock.server import settings as checked
from im_callback.provider_mock.server.models import Rules
from im_callback.provider_mock.server.options import LATEST, VARIABLE, AppSettings
from im_callback.provider_mock.server.scenarios import Phase
from im_callback.provider_mock.server.scenarios import problems as phase_problems
from im_callback.provider_mock.server.tokens import RESERVED, SCOPES, TokenSettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SECRETS = tuple(
    (name, f"{name}_env", f"{name}_file")
    for name in ("app_secret", "api_secret", "previous_secret", "previous_api_secret")
)
"""The keys of which one can be given."""
_REFS = ("secret_ref", "api_secret_ref", "previous_secret_ref", "previous_api_secret_ref")
_SERVER = {
    "type": "object",
    "description": "write a table: [server]",
    "additionalProperties": False,
    "properties": {
        "secret_folder": {
            "type": "string",
            "minLength": 1,
            "description": "give the folder of files that can hold secrets of apps of the API",
        },
        "secret_variables": {
            "type": "array",
            "description": "give a list of environment variables that can hold secrets of apps of the API, "
            'such as ["SHOP_SECRET"]',
            "items": {
                "type": "string",
                "pattern": VARIABLE,
                "description": "give the name of an environment variable",
            },
        },
        "allow_addresses": {
            "type": "array",
            "description": 'give a list of link-local addresses that can be called, such as ["169.254.7.7"]',
            "items": {
                "type": "string",
                "description": 'give an address as text, such as "169.254.7.7" or "169.254.7.0/24"',
            },
        },
    },
}
_PHASE = {
    "type": "object",
    "description": "write a table for each phase: [[scenarios.NAME.phases]]",
    "additionalProperties": False,
    "required": ["name", "seconds"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "description": "give the phase a name"},
        "seconds": {"type": "number", "description": "give how many seconds it takes, such as 120"},
        "rate": {"type": "number", "description": "give deliveries a second, such as 20"},
        "faults": {
            "type": "array",
            "description": 'give a list of faults, such as ["lose-ack:share=0.2"]',
            "items": {"type": "string", "description": "give a fault as text"},
        },
    },
}
_SCENARIOS = {
    "type": "object",
    "description": "write a table for each scenario: [scenarios.NAME]",
    "additionalProperties": {
        "type": "object",
        "description": "write a table for each scenario: [scenarios.NAME]",
        "additionalProperties": False,
        "required": ["phases"],
        "properties": {
            "phases": {
                "type": "array",
                "minItems": 1,
                "description": "write a table for each phase: [[scenarios.NAME.phases]]",
                "items": _PHASE,
            }
        },
    },
}
_TOKENS = {
    "type": "object",
    "description": "write a table for each token: [tokens.NAME]",
    # What stands there in the place of a table could be a token.
    "writeOnly": True,
    "propertyNames": {
        "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$",
        "description": "use up to 64 letters, digits, _ and -",
    },
    "additionalProperties": {
        "type": "object",
        "description": "write a table for each token: [tokens.NAME]",
        "writeOnly": True,
        "additionalProperties": False,
        "required": ["scopes"],
        "properties": {
            "file": {
                "type": "string",
                "minLength": 1,
                "description": "give the path of a file that holds the token alone",
            },
            "variable": {
                "type": "string",
                "pattern": VARIABLE,
                "description": "give the name of an environment variable that holds the token",
                "writeOnly": True,
            },
            "scopes": {
                "type": "array",
                "minItems": 1,
                "description": 'give a list of scopes, such as ["read", "send"]',
                "items": {"enum": list(SCOPES), "description": f"give {', '.join(SCOPES)}"},
            },
            "expires": {
                "type": "integer",
                "minimum": 0,
                "maximum": LATEST,
                "description": "give a time with its zone, such as 2030-01-31T12:00:00Z, or UTC milliseconds",
                "writeOnly": True,
            },
        },
    },
}
_TABLES = {"description": "write a table for each app: [apps.NAME]"}


class BadConfig(ValueError):
    """The file cannot be used. `lines` has one sentence for each thing that is wrong: file, place, value and fix."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


@dataclass(frozen=True)
class Configuration:
    """What is in a file: the apps by name, in its order, what the server allows, the phases of scenarios and the tokens by name."""

    apps: Mapping[str, AppSettings] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)
    scenarios: Mapping[str, tuple[Phase, ...]] = field(default_factory=dict)
    tokens: Mapping[str, TokenSettings] = field(default_factory=dict)


def read(path: Path) -> Configuration:
    """Return what is in a file; relative paths in it are relative to it. Raises BadConfig.

    An app whose provider's package is broken is none of its mistakes.
    """
    try:
        # Some editors begin a file with a byte order mark, which is no TOML.
        document = _in_millis(tomllib.loads(path.read_bytes().decode("utf-8-sig")))
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
    rules, lines = _rules(document.get("server", {}), path.parent)
    apps: dict[str, AppSettings] = {}
    for name, table in document.get("apps", {}).items():
        apps[name] = _settings(table, path.parent)
        lines += [f"apps.{name}{line}" for line in _wrong(name, table, apps[name], rules)]
    scenarios = {name: _phases(table) for name, table in document.get("scenarios", {}).items()}
    for name, phases in scenarios.items():
        for one in phase_problems(phases):
            lines.append(f"scenarios.{name}{one.field.replace('/', '.')}: {one.problem}; {one.fix}")
    tokens: dict[str, TokenSettings] = {}
    for name, table in document.get("tokens", {}).items():
        tokens[name], problems = _token(name, table, path.parent)
        same = next((other for other, one in tokens.items() if other != name and one.ref == tokens[name].ref), None)
        if same and not problems:
            problems = [f": is where tokens.{same} is; give each a token of its own"]
        lines += [f"tokens.{name}{line}" for line in problems]
    if lines:
        raise BadConfig([f"{path}: {line}" for line in lines])
    return Configuration(apps, rules, scenarios, tokens)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the file, as TOML reads it; descriptions are the fixes of what is wrong with a value."""
    apps = {"type": "object", "additionalProperties": option.of_file(AppSettings) | _TABLES} | _TABLES
    properties = {"server": _SERVER, "apps": apps, "scenarios": _SCENARIOS, "tokens": _TOKENS}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _in_millis(value: Any) -> Any:
    """Return a value of TOML with times, those that say their zone, in UTC milliseconds."""
    if isinstance(value, dict):
        return {name: _in_millis(one) for name, one in value.items()}
    if isinstance(value, datetime) and value.tzinfo is not None:
        return round(value.timestamp() * 1000)
    return value


def _phases(table: Mapping[str, Any]) -> tuple[Phase, ...]:
    return tuple(
        Phase(one["name"], float(one["seconds"]), float(one.get("rate", 0)), tuple(one.get("faults", ())))
        for one in table["phases"]
    )


def _token(name: str, table: Mapping[str, Any], folder: Path) -> tuple[TokenSettings, list[str]]:
    """Return where a token is and what it may do, and what is wrong with that."""
    lines: list[str] = []
    if name in RESERVED:
        lines.append(": the server has a token of this name itself; choose another name")
    if ("file" in table) == ("variable" in table):
        lines.append(
            ": has file and variable; give one of them" if "file" in table else ".file is missing; give it, or variable"
        )
    expires = datetime.fromtimestamp(table["expires"] / 1000, timezone.utc) if "expires" in table else None
    ref = f"file:{folder / table['file']}" if "file" in table else f"env:{table.get('variable')}"
    return TokenSettings(ref, frozenset(table["scopes"]), expires), lines


def _rules(table: Mapping[str, Any], folder: Path) -> tuple[Rules, list[str]]:
    """Return what the server allows, and what is wrong with it."""
    lines: list[str] = []
    allowed: tuple[Network, ...] = ()
    try:
        allowed = tuple(network(text) for text in table.get("allow_addresses", ()))
    except BadAddress as error:
        lines.append(f"server.allow_addresses: {error}")
    secrets = Path(os.path.normpath(Path.cwd() / folder / table.get("secret_folder", "")))
    if not secrets.is_dir():
        lines.append(f"server.secret_folder: there is no folder {str(secrets)!r}; make it, or name another")
    return Rules(secrets, frozenset(table.get("secret_variables", ())), allowed), lines


def _broken(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield how the document differs from its schema; values that may be secrets are not shown."""
    for path, problem, fix in option.wrong(document, schema()):
        yield f"{'.'.join(map(str, path))} {problem}; {fix}"


def _settings(table: Mapping[str, Any], folder: Path) -> AppSettings:
    values = option.given_in_file(AppSettings, table, folder)
    for (_, variable, file), ref in zip(SECRETS, _REFS, strict=True):
        if variable in table:
            values[ref] = f"env:{table[variable]}"
        elif file in table:
            values[ref] = f"file:{folder / table[file]}"
    return option.given(AppSettings, values)


def _wrong(name: str, table: Mapping[str, Any], settings: AppSettings, rules: Rules) -> Iterator[str]:
    """Yield what the schema cannot say."""
    for keys in SECRETS:
        if len(given := [key for key in keys if key in table]) > 1:
            yield f".{given[1]} is given beside {given[0]}; give one of them"
            return
    for problem in checked.problems(name, settings, rules):
        if isinstance(problem, checked.OfPackage):
            continue
        place = problem.field.removeprefix("/options").replace("/", ".")
        if place == "name":
            yield f": {problem.problem}; {problem.fix}"
        else:
            yield f"{place}: {problem.problem}; {problem.fix}"
