# Two commands do all the set-up: `make demo` and `make test`. Both keep to the folder .venv.

VENV ?= .venv
# The first Python on this machine that is new enough; choose another one with PYTHON=….
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$p && break; done)
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check

.PHONY: demo test docs clean

demo: $(VENV)/demo
	@$(VENV)/bin/provider-mock demo

test: $(VENV)/test
	$(VENV)/bin/python -m pytest -n auto $(ARGS)

docs: $(VENV)/docs
	$(VENV)/bin/python -m mkdocs build --strict

clean:
	rm -rf $(VENV) site build dist

# Some systems ship Python without ensurepip; there the system's own pip fills the environment.
$(VENV)/pip:
	@test -n "$(PYTHON)" || { echo "error: no Python 3.10 or newer found; install one, or name it: make PYTHON=…"; exit 1; }
	@echo "Making an environment of its own in $(VENV) …"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { rm -rf $(VENV); $(PYTHON) -m venv --without-pip $(VENV) \
		&& $(PYTHON) -m pip --python $(VENV)/bin/python install --quiet pip; } \
		|| { echo "error: $(PYTHON) can make no environment; install its venv or pip package (python3-venv)"; exit 1; }
	@$(PIP) install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/demo: $(VENV)/pip pyproject.toml
	@echo "Installing …"
	@$(PIP) install --quiet --editable '.[demo]'
	@touch $@

$(VENV)/test: $(VENV)/demo
	@$(PIP) install --quiet --editable '.[demo,traffic,server,postgresql,load]' --group test
	@# Beside the environment: as an installed package pytest would load it each time.
	@$(PIP) install --quiet --upgrade --target $(VENV)/schemathesis 'schemathesis>=4.30'
	@touch $@

$(VENV)/docs: $(VENV)/demo
	@$(PIP) install --quiet --group docs
	@touch $@
