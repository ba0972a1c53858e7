"""One receiver in a pytest session: collects the checks, runs them, reports, and sets the exit status."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from im_callback.conformance import network, options
from im_callback.conformance.around.command import Occupied, ReceiverError
from im_callback.conformance.around.downstream import DownstreamError
from im_callback.conformance.around.surroundings import Surroundings
from im_callback.conformance.check import Check, all_checks, checks_of, family_modules
from im_callback.conformance.effects import EffectsError, ReadEffects, Records, mapped
from im_callback.conformance.isolation import leave_no_trace, selects, set_aside
from im_callback.conformance.overlap import Overlap
from im_callback.conformance.preflight import handles
from im_callback.conformance.report.masking import Masking
from im_callback.conformance.report.result_json import acks, document
from im_callback.conformance.report.text import acks_line, block, folded, summary
from im_callback.conformance.report.visible import visible
from im_callback.conformance.resultfile import Unwritable
from im_callback.conformance.run import Run
from im_callback.conformance.runner import Conclusion, ExitStatus, blank, conclude, fold, task
from im_callback.conformance.verdict import Result, Verdict

FIXTURE = "receiver_effects"
ROOT = "conformance"
"""The node id under which all checks stand."""
OUTSIDE = {
    Verdict.COULD_NOT_RUN: ("could not run", "?", "COULD NOT RUN"),
    Verdict.NOT_APPLICABLE: ("not applicable", "-", "NOT APPLICABLE"),
}
VERDICT = "receiver_verdict"
LOGGERS = ("urllib3.connectionpool", "urllib3.util.retry")
"""Loggers that name addresses, with what stands in their queries."""


class CheckEnded(Exception):
    """A check failed, or we did: carries the result to the report."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.id)
        self.result = result


class Masked(logging.Filter):
    """Takes secrets out of what a library logs."""

    def __init__(self, mask: Masking) -> None:
        super().__init__()
        self.mask = mask

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, without the secrets."""
        record.msg, record.args = self.mask(record.getMessage()), ()
        return True


class ReceiverSession:
    """The plugin object that is registered while a receiver is checked."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        settings = options.settings(config)
        self.mask = Masking.of(settings, options.option(config, "effects"), settings.command)
        self.run = Run(settings, options.effects(config, settings))
        self.around = Surroundings(settings)
        self.checks = options.chosen_checks(config, settings.provider, settings.arriving)
        self.marked = False
        self.results: dict[str, Result] = {}
        """By id: a check has one result, however often a plugin runs its item."""
        self.overlap: Overlap[str, Result] = Overlap(())
        self.conclusion: Conclusion | None = None
        self.trouble = ""
        """Why the result could not be written."""
        self._forbid_paths()
        self._forbid_hidden_fixture()
        set_aside(config)
        # The last thing that can be wrong with the options, for it may open a stream.
        self.file = None if config.option.collectonly else options.json_file(config)
        self.filter = Masked(self.mask)
        for name in LOGGERS:
            logging.getLogger(name).addFilter(self.filter)

    def close(self) -> None:
        """Let go of what outlives a session."""
        self.overlap.close()
        with network.allowed():
            self.around.close()
        for name in LOGGERS:
            logging.getLogger(name).removeFilter(self.filter)
        if self.file is not None:
            self.file.close()
        if isinstance(self.run.read_effects, Records):
            self.run.read_effects.close()

    def _forbid_paths(self) -> None:
        config = self.config
        # Paths in addopts, or from testpaths, are the user's own tests; these were typed.
        typed = [argument for argument in config.args if argument in map(str, config.invocation_params.args)]
        if config.args_source is config.ArgsSource.ARGS and typed:
            raise pytest.UsageError(
                f"--receiver-url runs the receiver checks alone: leave out the paths ({' '.join(typed)}), "
                "and choose checks with --receiver-check=GLOB"
            )
        config.args = [str(config.rootpath)]

    def _forbid_hidden_fixture(self) -> None:
        config = self.config
        if options.option(config, "effects") is not None:
            return
        for plugin in config.pluginmanager.get_plugins():
            file = Path(str(getattr(plugin, "__file__", None) or ""))
            if file.name != "conftest.py" or not hasattr(plugin, FIXTURE):
                continue
            if file.parent != config.rootpath and config.rootpath in file.parents:
                raise pytest.UsageError(
                    f"the fixture {FIXTURE} in {file.relative_to(config.rootpath)} holds for that folder's tests only: "
                    f"move it to {config.rootpath / 'conftest.py'}, or give --rootdir={file.parent}"
                )

    def pytest_report_header(self) -> list[str]:
        """Say what is checked, and how to run the same again."""
        settings = self.run.settings
        feeds = "" if options.option(self.config, "feed") else " (the default; choose with --receiver-feed)"
        chosen = "" if options.option(self.config, "provider") else " (the default; choose with --receiver-provider)"
        return [
            visible(f"receiver: {self.mask(settings.url)}"),
            f"provider: {settings.provider.name}{chosen}, app key {settings.credentials.app_key}",
            f"{'feeds' if self.run.several else 'feed'}: {', '.join(one.name for one in self.run.feeds)}{feeds}",
            f"checks: {len(self.checks)}, level {settings.level.value}, seed {settings.seed}, run {settings.tag}",
            *(visible(self.mask(line)) for line in self.around.lines()),
        ]

    def pytest_sessionstart(self) -> None:
        """Take an earlier result away: whatever becomes of this run, it shall not be taken for its own."""
        leave_no_trace(self.config)
        if self.file is not None:
            self.file.clear()
        if not self.config.option.collectonly:
            self._open_around()

    def _open_around(self) -> None:
        """Open the proxy and start the receiver; one that does not come up is for preflight to tell."""
        with network.allowed():
            try:
                self.around.open_downstream()
                self.around.start_receiver()
            except DownstreamError as error:
                raise pytest.UsageError(f"--receiver-downstream-port: {error}; give another port, or none") from None
            except Occupied as error:
                raise pytest.UsageError(
                    visible(self.mask(f"--receiver-command: {error.reason}. {error.fix}"))
                ) from None
            except ReceiverError as error:
                self.run.not_started = error.reason
        self.run.receiver, self.run.downstream = self.around.receiver, self.around.downstream

    @pytest.hookimpl(tryfirst=True)
    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Let no norecursedirs, --ignore or virtual environment hide the folder that the checks stand for."""
        return False if collection_path == self.config.rootpath else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Put the checks where the root of the user's tests would be."""
        if path == self.config.rootpath:
            return CheckDirectory.from_parent(parent, path=path, nodeid=ROOT, session_of=self)
        return None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, Any, Any]:
        """Let nothing but what was typed leave checks out: a run is not green for what others took away."""
        collected = list(items)
        result = yield
        if not selects(self.config):
            items[:] = collected
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Keep the order of the catalogue, whatever other plugins made of it."""
        order = {check.function: index for index, check in enumerate(all_checks(explored=True))}
        session.items.sort(key=lambda item: order[item.check.function] if isinstance(item, CheckItem) else -1)
        checks = dict.fromkeys(item.check for item in session.items if isinstance(item, CheckItem))
        self.overlap = Overlap([task(check, self.run) for check in checks])
        self.run.shared.pause, self.run.shared.gather = self.overlap.pause, self.overlap.gather

    @pytest.hookimpl(optionalhook=True)
    def pytest_timeout_set_timer(self, item: pytest.Item) -> bool | None:
        """Let no time limit for tests end a check, or the process: the checks have deadlines of their own."""
        return True if isinstance(item, CheckItem) else None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note the verdict in the report, and take secrets out of what others put there."""
        report = yield
        if isinstance(item, CheckItem):
            if item.result is not None and report.when == "call":
                report.user_properties.append((VERDICT, item.result.verdict.value))
            self._hide(report)
        return report

    def _hide(self, report: pytest.TestReport) -> None:
        told = report.longrepr
        if isinstance(told, tuple):
            path, line, reason = told
            report.longrepr = (path, line, visible(self.mask(reason)))
        elif told is not None and (hidden := visible(self.mask(str(told)))) != str(told):
            # A traceback with the values of variables, say: the colours go, the secrets too.
            report.longrepr = hidden
        report.sections = [(name, self.mask(content)) for name, content in report.sections]
        if hasattr(report, "wasxfail"):
            report.wasxfail = visible(self.mask(report.wasxfail))

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr: Any) -> None:
        """Take the secrets out of a traceback before others print it."""
        traces = [link[0] for link in getattr(excrepr, "chain", ())] or [getattr(excrepr, "reprtraceback", None)]
        for trace in traces:
            for entry in getattr(trace, "reprentries", ()):
                entry.lines = [self.mask(line) for line in entry.lines]
                if values := getattr(entry, "reprlocals", None):
                    values.lines = [self.mask(line) for line in values.lines]
                if given := getattr(entry, "reprfuncargs", None):
                    given.args = [(name, self.mask(str(value))) for name, value in given.args]

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Show what could not run as what it is, not as skipped."""
        verdict = dict(getattr(report, "user_properties", ())).get(VERDICT)
        return OUTSIDE.get(Verdict(verdict)) if verdict and report.when == "call" else None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None, None, None]:
        """Judge the run, write the JSON result, and set the exit status: the last word, whatever other plugins say."""
        ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
        if ended and not self.config.option.collectonly:
            try:
                self._note_unrun(session)
                self._note_hidden()
                self.conclusion = self._concluded()
                self._write(self.conclusion)
            except Exception as error:  # noqa: BLE001 - Whatever is wrong with us is no verdict about the receiver.
                self._fail("our own error at the end", error)
        try:
            yield
        except Exception as error:  # noqa: BLE001 - Nor is what ends another plugin's hook.
            self._fail("a plugin, or a hook in a conftest.py, failed at the end", error)
        if self.conclusion is not None:
            session.exitstatus = int(self.conclusion.status)

    def _fail(self, what: str, error: Exception) -> None:
        """Note that something other than the receiver is wrong."""
        self.trouble = f"{what}: {error!r}"
        told = "".join(traceback.format_exception(error)) + self.trouble
        sys.stderr.write(visible(self.mask(told)) + "\n")
        if self.conclusion is None:
            self.conclusion = Conclusion("error", ExitStatus.OUR_ERROR)
        self.conclusion.status = ExitStatus.OUR_ERROR

    def _concluded(self) -> Conclusion:
        settings = self.run.settings
        if not self.results:
            return Conclusion("error", ExitStatus.BAD_OPTIONS, ["no check was selected: look at -k, -m, --deselect"])
        ids = [
            check.id(settings.provider) for check in all_checks(explored=True) if check.among(settings.provider.feeds)
        ]
        results = list(self.results.values())
        return conclude(results, settings.level, settings.baseline, ids, allow_incomplete=settings.allow_incomplete)

    def _write(self, conclusion: Conclusion) -> None:
        if self.file is None:
            return
        result = document(self.run, list(self.results.values()), conclusion, self.mask)
        try:
            self.file.write(json.dumps(result, ensure_ascii=False, indent=1) + "\n")
        except Unwritable as error:
            self.trouble = f"our own trouble: the result in {error}; what is printed here stands"
            conclusion.status = ExitStatus.OUR_ERROR

    def _note_unrun(self, session: pytest.Session) -> None:
        """Hold nothing for passed that was selected and did not run."""
        for item in session.items:
            if isinstance(item, CheckItem) and item.result is None:
                item.result = blank(item.check, self.run)
                item.result.verdict = Verdict.COULD_NOT_RUN
                item.result.reason = "pytest ended before it, or a fixture, a plugin or a hook kept it from running"
                item.result.fix = "See the errors and skips above (-rs shows them), or leave out -x"
                self.results[item.result.id] = item.result

    def _note_hidden(self) -> None:
        """Hold no judgement by effects that were read in part, unless the whole shows the same."""
        with network.allowed():
            if not self.marked or not self.run.was_hidden():
                return
        for result in self.results.values():
            needs = any(one.effects and one.id(self.run.provider) == result.id for one in self.checks)
            if needs and result.verdict in (Verdict.PASS, Verdict.FAIL):
                result.verdict = Verdict.COULD_NOT_RUN
                result.reason = "at the end of the run records of its own stood among those from before it, which had been passed over"
                result.fix = "Let --receiver-effects-query list this run's records alone, with :run"

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print what could not run, what failed without failing the run, and the verdict."""
        if self.conclusion is None:
            return
        terminalreporter.section("receiver conformance")
        results = list(self.results.values())
        lines: list[str] = []
        for result in results:
            if result.verdict is Verdict.FAIL and self._excused(result):
                lines += [self.told(result), ""]
        if self.run.models:
            lines.append(f"records: {','.join(handles(self.run))}")
        lines += [visible(self.mask(note)) for note in self.run.notes]
        if self.run.history:
            lines.append(acks_line(acks(self.run)))
        lines += summary(results, self.conclusion, self.run.settings, self.mask)
        if self.trouble:
            lines.append(visible(self.mask(self.trouble)))
        for line in lines:
            terminalreporter.line(line)

    def told(self, result: Result) -> str:
        """Return what is printed for a result that is no pass: little where another one shows the same."""
        if result.folded_into in self.results and getattr(self.config.option, "verbose", 0) < 1:
            return folded(result)
        return block(result, self.run.settings, self.mask)

    def _excused(self, result: Result) -> bool:
        gated = result.level.gates(self.run.settings.level) and not result.newer
        return result.id in self.run.settings.baseline or not gated

    def perform(self, item: CheckItem, request: pytest.FixtureRequest) -> None:
        """Run an item's check and end the test accordingly.

        A check runs once: looking back over the run, a second time it would see what the first has done,
        and a failure that happens every other time is one. What runs an item again gets the same result.
        """
        known = self.results.get(item.check.id(self.run.provider))
        if known is None:
            with network.allowed():
                self._use_fixture(request)
                self._mark_effects()
                known = self.overlap.result(item.check.id(self.run.provider))
            fold(known, self.run)
            self.results[known.id] = known
        result = item.result = known
        settings = self.run.settings
        if result.verdict in OUTSIDE:
            pytest.skip(visible(self.mask(result.reason if not result.fix else f"{result.reason}. {result.fix}")))
        if result.verdict is Verdict.FAIL and self._excused(result):
            why = (
                "newer than --receiver-checks-as-of"
                if result.newer
                else f"below --receiver-level={settings.level.value}"
            )
            pytest.xfail(settings.baseline.get(result.id) or why)
        if result.verdict is not Verdict.PASS:
            raise CheckEnded(result)

    def _mark_effects(self) -> None:
        """Note what the application has recorded before anything is sent."""
        if not self.marked and isinstance(self.run.read_effects, Records):
            self.run.read_effects.mark()
        self.marked = True

    def _use_fixture(self, request: pytest.FixtureRequest) -> None:
        """Read the effects through the user's fixture, if there is one."""
        try:
            read = request.getfixturevalue(FIXTURE)
        except Exception as error:  # noqa: BLE001 - The user's own code: whatever it raises is a reason.
            self.run.read_effects = _unreadable(
                f"the fixture {FIXTURE} failed: {error!r}", "Mend it in your conftest.py"
            )
            return
        if read is None:
            return
        if not callable(read):
            self.run.read_effects = _unreadable(
                f"the fixture {FIXTURE} gives {type(read).__name__}, not a function",
                "Let it return a function that returns the list of records",
            )
            return

        def called() -> Any:
            try:
                return read()
            except Exception as error:
                raise EffectsError(
                    f"the function that the fixture {FIXTURE} returns failed: {error!r}", "Mend it in your conftest.py"
                ) from error

        mapping = options.option(self.config, "effects-map")
        self.run.read_effects = mapped(called, mapping, self.config.invocation_params.dir)


def _unreadable(reason: str, fix: str) -> ReadEffects:
    def read() -> list[Any]:
        raise EffectsError(reason, fix)

    return read


class CheckDirectory(pytest.Directory):
    """The folder of all checks, with the same node id wherever the package lies."""

    def __init__(self, *, session_of: ReceiverSession, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.session_of = session_of

    def collect(self) -> Iterator[pytest.Collector]:
        """Yield a node per family that has chosen checks."""
        for module in family_modules(explored=True):
            found = [check for check in checks_of(module) if check in self.session_of.checks]
            if found:
                path = Path(str(module.__file__))
                node = f"{self.nodeid}/{path.stem}"
                yield CheckModule.from_parent(self, path=path, nodeid=node, checks=found, session_of=self.session_of)


class CheckModule(pytest.Module):
    """A family of checks."""

    def __init__(self, *, checks: list[Check], session_of: ReceiverSession, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.checks = checks
        self.session_of = session_of

    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item per check."""
        for check in self.checks:
            yield CheckItem.from_parent(self, check=check, session_of=self.session_of)

    def _getobj(self) -> Any:
        return next(module for module in family_modules(explored=True) if Path(str(module.__file__)) == self.path)


class CheckItem(pytest.Function):
    """One check."""

    def __init__(self, *, check: Check, session_of: ReceiverSession, **kwargs: Any) -> None:
        def perform(request: pytest.FixtureRequest) -> None:
            session_of.perform(self, request)

        kwargs.pop("name", None)
        super().__init__(name=check.function.__name__, callobj=perform, **kwargs)
        self.check = check
        self.session_of = session_of
        self.settings = session_of.run.settings
        self.result: Result | None = None

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **kwargs: Any) -> Any:
        """Return the block of a failed check instead of a traceback."""
        if isinstance(excinfo.value, CheckEnded):
            return self.session_of.told(excinfo.value.result)
        return super().repr_failure(excinfo, *args, **kwargs)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return the place of the check function and its id."""
        return self.path, self.check.function.__code__.co_firstlineno - 1, self.check.id(self.settings.provider)
