"""One receiver in a pytest session: collects the checks, runs them, reports, and sets the exit status."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance import options
from conformance.check import Check, all_checks, checks_of, family_modules
from conformance.effects import mapped
from conformance.report.exchange import Masking
from conformance.report.result_json import acks, document
from conformance.report.text import acks_line, block, summary
from conformance.run import EffectsError, ReadEffects, Run
from conformance.runner import ExitStatus, Outcome, blank, conclude, run_check
from conformance.verdict import Result, Verdict

FIXTURE = "receiver_effects"
ROOT = "conformance"
"""The node id under which all checks stand."""
OUTSIDE = {
    Verdict.COULD_NOT_RUN: ("could not run", "?", "COULD NOT RUN"),
    Verdict.NOT_APPLICABLE: ("not applicable", "-", "NOT APPLICABLE"),
}
VERDICT = "receiver_verdict"


class CheckEnded(Exception):
    """A check failed, or we did: carries the result to the report."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.id)
        self.result = result


class ReceiverSession:
    """The plugin object that is registered while a receiver is checked."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        settings = options.settings(config)
        self.run = Run(settings, options.effects(config, settings))
        self.checks = options.chosen_checks(config, settings.provider)
        self.json_file = options.json_file(config)
        self.results: list[Result] = []
        self.outcome: Outcome | None = None
        self._forbid_paths()
        self._forbid_hidden_fixture()
        # One receiver, one run: the checks look back over all that was sent, so they stay in this process.
        for name, value in (("numprocesses", None), ("dist", "no"), ("tx", [])):
            if hasattr(config.option, name):
                setattr(config.option, name, value)

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
        chosen = "" if options.option(self.config, "provider") else " (the default; choose with --receiver-provider)"
        return [
            f"receiver: {Masking.of(settings)(settings.url)}",
            f"provider: {settings.provider.name}{chosen}, app key {settings.credentials.app_key}",
            f"checks: {len(self.checks)}, level {settings.level.value}, seed {settings.seed}",
        ]

    def pytest_sessionstart(self) -> None:
        """Take an earlier result away: whatever becomes of this run, it shall not be taken for its own."""
        if self.json_file is not None and not self.config.option.collectonly:
            self.json_file.unlink(missing_ok=True)

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

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Keep the order of the catalogue, whatever other plugins made of it."""
        order = {check.function: index for index, check in enumerate(all_checks())}
        session.items.sort(key=lambda item: order[item.check.function] if isinstance(item, CheckItem) else -1)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note the verdict in the report."""
        report = yield
        if isinstance(item, CheckItem) and item.result is not None and report.when == "call":
            report.user_properties.append((VERDICT, item.result.verdict.value))
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Show what could not run as what it is, not as skipped."""
        verdict = dict(getattr(report, "user_properties", ())).get(VERDICT)
        return OUTSIDE.get(Verdict(verdict)) if verdict and report.when == "call" else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Judge the run, write the JSON result, and set the exit status."""
        if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED):
            return
        if self.config.option.collectonly:
            return
        self._note_unrun(session)
        settings = self.run.settings
        ids = [check.id(settings.provider) for check in all_checks() if check.level(settings.provider)]
        self.outcome = conclude(
            self.results, settings.level, settings.baseline, ids, allow_incomplete=settings.allow_incomplete
        )
        if not self.results:
            self.outcome = Outcome(
                "error", ExitStatus.BAD_OPTIONS, ["no check was selected: look at -k, -m, --deselect"]
            )
        if self.json_file is not None:
            result = document(self.run, self.results, self.outcome)
            self.json_file.write_text(json.dumps(result, ensure_ascii=False, indent=1), encoding="utf-8")
        session.exitstatus = int(self.outcome.status)

    def _note_unrun(self, session: pytest.Session) -> None:
        """Hold nothing for passed that was selected and did not run."""
        for item in session.items:
            if isinstance(item, CheckItem) and item.result is None:
                item.result = blank(item.check, self.run)
                item.result.verdict = Verdict.COULD_NOT_RUN
                item.result.reason = "pytest ended before it, or a fixture, a plugin or a hook kept it from running"
                item.result.fix = "See the errors and skips above (-rs shows them), or leave out -x"
                self.results.append(item.result)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print what could not run, what failed without failing the run, and the verdict."""
        if self.outcome is None:
            return
        terminalreporter.section("receiver conformance")
        settings = self.run.settings
        for result in self.results:
            if result.verdict is Verdict.FAIL and self._excused(result):
                terminalreporter.line(block(result, settings))
                terminalreporter.line("")
        if self.run.handled:
            terminalreporter.line(f"records: {', '.join(one.name for one in self.run.handled)}")
        if self.run.history:
            terminalreporter.line(acks_line(acks(self.run)))
        for line in summary(self.results, self.outcome, settings):
            terminalreporter.line(line)

    def _excused(self, result: Result) -> bool:
        return result.id in self.run.settings.baseline or not result.level.gates(self.run.settings.level)

    def perform(self, item: CheckItem, request: pytest.FixtureRequest) -> None:
        """Run an item's check and end the test accordingly."""
        self._use_fixture(request)
        result = run_check(item.check, self.run)
        item.result = result
        self.results.append(result)
        settings = self.run.settings
        if result.verdict in OUTSIDE:
            mask = Masking.of(settings)
            pytest.skip(mask(result.reason if not result.fix else f"{result.reason}. {result.fix}"))
        if result.verdict is Verdict.FAIL and self._excused(result):
            pytest.xfail(settings.baseline.get(result.id) or f"below --receiver-level={settings.level.value}")
        if result.verdict is not Verdict.PASS:
            raise CheckEnded(result)

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

        self.run.read_effects = mapped(called, options.option(self.config, "effects-map"))


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
        for module in family_modules():
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
        return next(module for module in family_modules() if Path(str(module.__file__)) == self.path)


class CheckItem(pytest.Function):
    """One check."""

    def __init__(self, *, check: Check, session_of: ReceiverSession, **kwargs: Any) -> None:
        def perform(request: pytest.FixtureRequest) -> None:
            session_of.perform(self, request)

        kwargs.pop("name", None)
        super().__init__(name=check.function.__name__, callobj=perform, **kwargs)
        self.check = check
        self.settings = session_of.run.settings
        self.result: Result | None = None

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **kwargs: Any) -> Any:
        """Return the block of a failed check instead of a traceback."""
        if isinstance(excinfo.value, CheckEnded):
            return block(excinfo.value.result, self.settings)
        return super().repr_failure(excinfo, *args, **kwargs)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return the place of the check function and its id."""
        return self.path, self.check.function.__code__.co_firstlineno - 1, self.check.id(self.settings.provider)
