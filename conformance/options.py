"""Turns the options of a run, wherever they were given, into what the run takes."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from random import SystemRandom
from typing import Any, TypeVar
from urllib.parse import urlsplit

from im_callback.conformance import baseline, option_values, releases
from im_callback.conformance.around.command import filled, free_port, port_of, with_port
from im_callback.conformance.check import EXPLORED, Check, MissingSource, all_checks, unusable_checks
from im_callback.conformance.effects import BadEffects, ReadEffects, SourceOptions, compiled, open_effects
from im_callback.conformance.explore.finding import NoFinding, read
from im_callback.conformance.explore.strategies import NoHypothesis, must_be_there
from im_callback.conformance.given import BadOption, Given
from im_callback.conformance.report.masking import Masking, secrets_in
from im_callback.conformance.report.outputs import OUTPUTS, Document
from im_callback.conformance.resultfile import ResultFile, Unwritable
from im_callback.conformance.settings import Fixed, Settings
from im_callback.conformance.verdict import Level
from im_callback.conformance.words import counted
from im_callback.provider_mock import providers
from im_callback.provider_mock.addresses import BadAddress, sendable
from im_callback.provider_mock.contract import DOCUMENTED, BadCredentials, Credentials, Feed, Provider, UnknownFeed
from im_callback.provider_mock.headers import TOKEN, refused
from im_callback.schemas.nearest import choice, nearest, question

T = TypeVar("T")
FARTHEST = 1_000_000
"""Deliveries after which one is repeated, at most."""


def provider(given: Given) -> Provider:
    """Return the provider that was chosen; BadOption if there is none of that name."""
    name = given.one("provider")
    try:
        return providers.load(name or "commsease")
    except providers.UnknownProvider as error:
        raise BadOption(f"--receiver-provider={name}: {error}") from None


def arriving(given: Given, provider: Provider) -> tuple[Feed, ...]:
    """Return the feeds that arrive at the address; BadOption for one that the provider does not have."""
    value = given.one("feed")
    if value is None:
        return provider.usual_feeds
    names = [name.strip().removeprefix(f"{provider.name}.") for name in value.split(",") if name.strip()]
    try:
        # In the provider's order, each once.
        named = {provider.feed(name) for name in names}
    except UnknownFeed as error:
        raise BadOption(f"--receiver-feed={value}: {error}") from None
    if not named:
        raise BadOption(
            f"--receiver-feed={value}: name one or more of: {', '.join(provider.feed_names)}, separated by commas"
        )
    return tuple(feed for feed in provider.feeds if feed in named)


def _named(provider: Provider, feeds: Sequence[Feed]) -> str:
    if len(provider.feeds) == 1:
        return provider.name
    return f"{provider.name} ({', '.join(feed.name for feed in feeds)})"


def settings(given: Given) -> Settings:
    """Return everything that was asked for; BadOption names the option that cannot be used."""
    chosen, notes = _sampled(given, provider(given))
    folder = given.folder
    return Settings(
        url=_own_port(given, _url(str(given.typed("url")))),
        provider=chosen,
        credentials=_credentials(given, chosen),
        seed=_number(given, "seed", SystemRandom().randrange(2**32)),
        settle=_seconds(given),
        level=_level(given),
        handles=_told(
            given, "handles", lambda text: option_values.handles(text, chosen, arriving(given, chosen)) or None
        ),
        accounts=_told(given, "accounts", lambda text: option_values.accounts(text, folder)),
        fixed=_fixed(given, chosen),
        rate=_told(given, "rate", option_values.rate),
        dedupe_distance=_distance(given),
        wire=_told(given, "wire", lambda text: option_values.wire(text, chosen, arriving(given, chosen))) or DOCUMENTED,
        feeds=arriving(given, chosen),
        unordered=given.flag("effects-unordered"),
        **_exploring(given, chosen),
        headers=tuple(_header(text, chosen) for text in given.many("header")),
        ca_file=_file(given, "ca"),
        allow_incomplete=given.flag("allow-incomplete"),
        baseline=_baseline(given),
        pinned=_pinned(given),
        command=given.one("command"),
        wait=_told(given, "wait", option_values.seconds),
        downstream=_told(given, "downstream", option_values.place),
        downstream_port=_told(given, "downstream-port", option_values.port) or 0,
        folder=folder,
        notes=notes,
    )


def _sampled(given: Given, provider: Provider) -> tuple[Provider, tuple[str, ...]]:
    """Return the provider with a team's own samples, where there are any, and what is to be said of them."""
    path = _file(given, "samples")
    if path is None:
        return provider, ()
    from im_callback.conformance.own_samples import sampled
    from im_callback.provider_mock.recording.files import Unreadable, read

    try:
        with path.open("rb") as file:
            notes: list[str] = []
            found = sampled(provider, read(file, notes.append))
    except (OSError, Unreadable) as error:
        raise BadOption(f"--receiver-samples={given.one('samples')}: {error}") from None
    if not found.taken:
        reasons = "; ".join(f"{count} {why}" for why, count in found.left.items())
        raise BadOption(
            f"--receiver-samples={given.one('samples')}: it holds no payload of {provider.name} that can be a sample"
            f"{reasons and f' ({reasons})'}; record some of this provider"
        )
    own = sum(found.taken.values())
    types = counted(len(found.taken), "event type", "event types")
    told = f"{own} samples of {types} are recorded ones" if own > 1 else f"1 sample of {types} is a recorded one"
    left = (
        f"{counted(count, 'recorded payload is', 'recorded payloads are')} no sample: {why}"
        for why, count in found.left.items()
    )
    return found.provider, (f"{told}: {', '.join(found.taken)}", *left, *notes)


def _own_port(given: Given, url: str) -> str:
    """Return the address with a free port where it has port 0: there the command is to listen."""
    if port_of(url) != 0:
        return url
    if given.one("command") is None:
        raise BadOption(
            "--receiver-url: port 0 is for a receiver that --receiver-command starts; name the port where it listens"
        )
    return with_port(url, free_port(urlsplit(url).hostname or ""))


def effects(given: Given, settings: Settings) -> ReadEffects | None:
    """Return the function that reads the effects, or None where no source is given."""
    spec, mapping, query = (given.one(name) for name in ("effects", "effects-map", "effects-query"))
    folder, types = given.folder, [one.name for one in settings.provider.catalogue]
    how = SourceOptions(
        settings.headers,
        settings.ca_file,
        folder=folder,
        query=query,
        run=settings.tag,
        recurring=settings.meeting,
    )
    if spec and settings.command is not None:
        spec = filled(spec, {"port": str(port_of(settings.url))})
    if query and not spec:
        raise BadOption("--receiver-effects-query needs a database to ask: give its URL with --receiver-effects")
    try:
        # Compiled here also where a fixture gives the effects, so that a bad expression is a bad option.
        compiled(mapping, folder, types)
        return open_effects(spec, how, mapping, types) if spec else None
    except BadEffects as error:
        raise BadOption(str(error)) from None


def chosen_checks(given: Given, provider: Provider, feeds: Sequence[Feed]) -> list[Check]:
    """Return the checks that hold for the provider and were asked for; BadOption if there are none."""
    for broken in unusable_checks():
        raise BadOption(str(broken))
    holding = [one for one in all_checks(explored=_explores(given)) if one.among(feeds)]
    ids = Counter(one.id(provider) for one in holding)
    if doubled := [name for name, count in ids.items() if count > 1]:
        raise BadOption(f"two checks are called {doubled[0]}; rename one, or uninstall the package that adds it")
    try:
        for one in holding:
            for feed in one.among(feeds):
                one.source(feed)
    except MissingSource as error:
        raise BadOption(str(error)) from None
    if given.one("replay") is not None:
        return [one for one in holding if one.preflight or one.function.__module__ == EXPLORED]
    globs = given.many("check")
    for glob in globs:
        if not any(fnmatchcase(one.id(provider), glob) for one in holding):
            raise BadOption(
                f"--receiver-check={glob} matches no check of {_named(provider, feeds)}; {_meant(glob, ids)}"
                f"list them with: pytest --receiver-list --receiver-provider={provider.name}"
            )
    return [one for one in holding if not globs or any(fnmatchcase(one.id(provider), glob) for glob in globs)]


def _meant(glob: str, ids: Collection[str]) -> str:
    """Return the question whether another pattern was meant: one in which parts that no id has are the likely ones."""
    parts = glob.split(".")
    for place, part in enumerate(parts):
        there = sorted({words[place] for words in (one.split(".") for one in ids) if len(words) == len(parts)})
        if not any(fnmatchcase(one, part) for one in there):
            parts[place] = next(iter(nearest(part, there)), part)
    meant = ".".join(parts)
    if any(fnmatchcase(one, meant) for one in ids):
        return f"did you mean {meant!r}? "
    families = {f"{one.rpartition('.')[0]}.*" for one in ids}
    # As reports name them, without the provider; or a whole family.
    asked = question(glob, ids) or question(f"{glob}.*", families)
    return f"{asked} " if asked else ""


@dataclass(frozen=True, slots=True)
class Output:
    """A file that the result is written to, tried already, and the function that makes its text."""

    file: ResultFile
    text: Callable[[Document], str]

    def write(self, document: Document) -> Unwritable | None:
        """Write the whole result; return why that was not possible."""
        try:
            self.file.write(self.text(document))
        except Unwritable as error:
            return error
        return None


def outputs(given: Given, more: Iterable[tuple[str, str, str]] = ()) -> list[Output]:
    """Return where the results go; BadOption if one cannot be written.

    `more` are files that the door has options of its own for: the option as typed, the kind of output, and the path.
    """
    asked = [(f"--receiver-{kind}", kind, name) for kind in OUTPUTS if (name := given.one(kind)) is not None]
    found: list[Output] = []
    try:
        for option, kind, name in (*asked, *more):  # noqa: B007 - the one that cannot be written is named below
            found.append(Output(ResultFile(given.folder / name), OUTPUTS[kind]))
    except Unwritable as error:
        for opened in found:
            opened.file.close()
        raise BadOption(f"{option}={name}: {error}") from None
    return found


def list_checks(given: Given) -> None:
    """Print id, level, title and source of every check, of the provider that was named or of all."""
    named = given.one("provider")
    chosen = [provider(given)] if named else [providers.load(name) for name in providers.names()]
    globs = given.many("check") or ["*"]
    for one in chosen:
        for check in all_checks(explored=_explores(given)):
            feeds = arriving(given, one) if named and given.one("feed") else one.feeds
            level = check.level_among(feeds)
            if level is not None and any(fnmatchcase(check.id(one), glob) for glob in globs):
                sys.stdout.write(
                    f"{check.id(one)}\t{level.value}\t{check.title}\t{check.source(check.among(feeds)[0])}\n"
                )


def _explores(given: Given) -> bool:
    return given.one("explore") is not None or given.one("replay") is not None


def _exploring(given: Given, provider: Provider) -> dict[str, Any]:
    """Return what of the settings is about sequences of deliveries."""
    seconds, replayed = given.one("explore"), _file(given, "replay")
    result = given.one("json")
    beside = (given.folder / result).parent if result else given.folder
    found: dict[str, Any] = {"findings": beside if beside.is_dir() else given.folder}
    if replayed is not None:
        try:
            recorded = read(replayed)
        except NoFinding as error:
            raise BadOption(f"--receiver-replay={replayed.name}: {error}") from None
        if seconds is not None:
            raise BadOption("--receiver-replay plays one sequence and nothing else; leave out --receiver-explore")
        feeds = [feed.name for feed in arriving(given, provider)]
        if recorded.provider != provider.name:
            raise BadOption(
                f"--receiver-replay={replayed.name}: it is a sequence of {recorded.provider}; "
                f"give --receiver-provider={recorded.provider}"
            )
        if recorded.feed not in feeds:
            raise BadOption(
                f"--receiver-replay={replayed.name}: it is a sequence of the feed {recorded.feed}, not of "
                f"{', '.join(feeds)}; give --receiver-feed={recorded.feed}"
            )
        return {**found, "replay": recorded}
    if seconds is None:
        return found
    try:
        must_be_there()
        return {**found, "explore": _told(given, "explore", option_values.seconds)}
    except NoHypothesis as error:
        raise BadOption(f"--receiver-explore={seconds}: {error}") from None


def _url(url: str) -> str:
    try:
        return sendable(url, login=True, any_port=True)
    except BadAddress:
        # Without its scheme, say, an address can hold a password all the same.
        words, places = secrets_in(url if "://" in url else f"http://{url}")
        shown = Masking.hiding([*words, *(_userinfo(url))], places)(url)
        raise BadOption(
            f"--receiver-url={shown}: give the whole address, as in http://127.0.0.1:8080/callbacks"
        ) from None


def _userinfo(url: str) -> list[str]:
    """Return the password of an address that may have no scheme."""
    before = url.rpartition("@")[0].rpartition("/")[2]
    return [before.partition(":")[2]] if ":" in before else []


def _credentials(given: Given, provider: Provider) -> Credentials:
    try:
        return provider.credentials(given.one("app-key"), given.one("app-secret"))
    except BadCredentials as error:
        raise BadOption(f"--receiver-app-{error.which}: {error}") from None


def _number(given: Given, name: str, default: int) -> int:
    value = given.one(name)
    if value is None:
        return default
    try:
        return int(value)
    except ValueError:
        raise BadOption(f"--receiver-{name}={value}: give a whole number") from None


def _seconds(given: Given) -> float:
    value = given.one("settle")
    try:
        seconds = Settings.settle if value is None else float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 3600:
        raise BadOption(f"--receiver-settle={value}: give seconds, from 0 to an hour")
    return seconds


def _distance(given: Given) -> int:
    number = _number(given, "dedupe-distance", Settings.dedupe_distance)
    if not 0 <= number <= FARTHEST:
        raise BadOption(f"--receiver-dedupe-distance={number}: give a number of deliveries, up to {FARTHEST}")
    return number


def _level(given: Given) -> Level:
    value = given.one("level")
    try:
        return Level(value or "should")
    except ValueError:
        fix = choice(str(value), [one.value for one in Level])
        raise BadOption(f"--receiver-level={value}: there is no such level; {fix}") from None


def _told(given: Given, name: str, read: Callable[[str], T]) -> T | None:
    """Return what the value of an option stands for, or None where it is not given."""
    value = given.one(name)
    if value is None:
        return None
    try:
        return read(value)
    except option_values.BadValue as error:
        raise BadOption(f"--receiver-{name}={value}: {error}") from None


def _fixed(given: Given, provider: Provider) -> tuple[Fixed, ...]:
    try:
        return option_values.fixed(given.many("set"), provider)
    except option_values.BadValue as error:
        raise BadOption(str(error)) from None


def _header(text: str, provider: Provider) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not TOKEN.fullmatch(name.strip()):
        raise BadOption("--receiver-header: give it as NAME:VALUE")
    if (wrong := refused(name.strip(), provider)) is not None:
        raise BadOption(f"--receiver-header: {name.strip()} {wrong[0]}; {wrong[1]}")
    if any(c in text for c in "\r\n\0"):
        raise BadOption(f"--receiver-header: the value of {name.strip()} holds a line break")
    return name.strip(), value.strip()


def _file(given: Given, name: str) -> Path | None:
    value = given.one(name)
    if value is None:
        return None
    path = given.folder / value
    if not path.is_file():
        raise BadOption(f"--receiver-{name}={value}: there is no file {path}; correct its path")
    return path


def _baseline(given: Given) -> dict[str, str]:
    name = given.one("baseline")
    if name is not None and given.flag("baseline-update") and not (given.folder / name).exists():
        return {}
    path = _file(given, "baseline")
    try:
        return {} if path is None else baseline.parsed(path.read_bytes())
    except (OSError, baseline.BadBaseline) as error:
        raise BadOption(f"--receiver-baseline={name}: {error}") from None


def baseline_file(given: Given) -> ResultFile | None:
    """Return the baseline's file where it is to be written anew, else None; BadOption if it cannot be."""
    if not given.flag("baseline-update"):
        return None
    name = given.one("baseline")
    if name is None:
        raise BadOption("--receiver-baseline-update: name the file that it is to write with --receiver-baseline=FILE")
    try:
        return ResultFile(given.folder / name)
    except Unwritable as error:
        raise BadOption(f"--receiver-baseline={name}: {error}") from None


def _pinned(given: Given) -> frozenset[str] | None:
    version = given.one("checks-as-of")
    try:
        return None if version is None else releases.names(version)
    except releases.UnknownRelease as error:
        raise BadOption(f"--receiver-checks-as-of={version}: {error}") from None
