# Two commands do all the set-up: `make demo` and `make test`. Both keep to the folder .venv.

VENV ?= .venv
# The first Python on this machine that is new enough; choose another one with PYTHON=….
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$p && break; done)
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check
# Everything comes in the versions that were tried, and unchanged: requirements/ is written by `tox run -e lock`.
LOCKED = --quiet --require-hashes --requirement

.PHONY: demo test test-long examples docs schemas-bundle clean

demo: $(VENV)/demo
	@$(VENV)/bin/python -m im_callback.provider_mock.commands.demo

TEST = $(VENV)/bin/python -m pytest -n auto --dist worksteal -rfEs --no-fold-skipped

test: $(VENV)/test
	$(TEST) -m "not long" $(ARGS)

# The whole gate against every receiver of the tests, what is killed under load, browsers, SDKs.
test-long: $(VENV)/test
	$(TEST) -m long $(ARGS)

# The receivers in examples/, built and run through the whole gate, and the CI templates, by their own commands; what they are
# built with comes from package registries.
examples: $(VENV)/test
	$(VENV)/bin/python -m pytest -n 2 --dist loadgroup -rA --no-fold-skipped examples $(ARGS)

# The schemas as a package of npm, in dist/.
schemas-bundle: $(VENV)/demo
	@$(VENV)/bin/python -m im_callback.schemas.bundle dist

docs: $(VENV)/docs
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict

clean:
	rm -rf $(VENV) site build dist

# Some systems ship Python without ensurepip; there the system's own pip fills the environment.
$(VENV)/pip: requirements/pip.txt
	@test -n "$(PYTHON)" || { echo "error: no Python 3.10 or newer found; install one, or name it: make PYTHON=…"; exit 1; }
	@echo "Making an environment of its own in $(VENV) …"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { rm -rf $(VENV); $(PYTHON) -m venv --without-pip $(VENV) \
		&& $(PYTHON) -m pip --python $(VENV)/bin/python install $(LOCKED) requirements/pip.txt; } \
		|| { echo "error: $(PYTHON) can make no environment; install its venv or pip package (python3-venv)"; exit 1; }
	@$(PIP) install $(LOCKED) requirements/pip.txt
	@touch $@

# pip checks no hash of a folder, so ours comes last. Setuptools warns of every editable installation.
$(VENV)/demo: $(VENV)/pip requirements/demo.txt pyproject.toml setup.py
	@echo "Installing …"
	@$(PIP) install $(LOCKED) requirements/demo.txt
	@PYTHONWARNINGS=ignore $(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/test: $(VENV)/demo requirements/test.txt requirements/schemathesis.txt requirements/sdks.txt
	@$(PIP) install $(LOCKED) requirements/test.txt
	@# Beside the environment: as an installed package pytest would load it each time.
	@rm -rf $(VENV)/schemathesis $(VENV)/sdks
	@$(PIP) install --target $(VENV)/schemathesis $(LOCKED) requirements/schemathesis.txt
	@# Clients that tests run, and some of them change what the process has.
	@$(PIP) install --target $(VENV)/sdks $(LOCKED) requirements/sdks.txt
	@touch $@

$(VENV)/docs: $(VENV)/pip requirements/docs.txt
	@$(PIP) install $(LOCKED) requirements/docs.txt
	@touch $@
