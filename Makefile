# make run     the quickstart, in a virtual environment of its own
# make test    the same with all plugins and test tools, and every test
# make quick   the core's tests without encoders and servers, for people who work on ftkit
# make install make test without the tests: for people who work on ftkit
# make lint    ruff, mypy, and the strict build of the site
# make site    docs/ as a site, in site/: open site/index.html; with the pictures of `make screenshots`, where it has run before
# make dist    source distributions and wheels of ftkit and all plugins, in dist/: see docs/releasing.md

PYTHON ?= python3
VENV   := .venv
SCORING := .venv-scoring
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# Half of the time, a test waits for processes that it has started: two for each core, and no more than memory allows.
WORKERS := $(shell $(PYTHON) -c "import os; print(min(2 * (os.cpu_count() or 1), 8))")

SOURCES   := pyproject.toml constraints.txt $(wildcard plugins/*/pyproject.toml)
QUICKSTART := --editable '.[encoders,serving]' --editable plugins/ftkit-quickstart --editable plugins/ftkit-local \
              --editable plugins/ftkit-mlflow --editable plugins/ftkit-linear --editable plugins/ftkit-strict
EVERYTHING := --editable '.[encoders,lora,engines,serving,testing,development]' \
              $(foreach plugin,$(wildcard plugins/*),--editable $(plugin))

# Rooms and whole runs that train encoders, start servers or processes, or speak to the loopback Azure: `make test` has them.
SLOW       := encoders serving remote azure report/test_browser.py test_runner.py test_runner_repeats.py test_cli.py \
              test_benchmarks.py test_secrets_everywhere.py test_wheels.py scaffold/test_new_plugin.py scaffold/test_plugin_tutorial.py \
              stages/test_release.py runs/test_preview.py bundle/test_requirements.py

.PHONY: run install quick test lint docs site screenshots dist constraints clean

run: $(VENV)/.quickstart
	@$(BIN)/ftkit run recipes/quickstart.toml || [ $$? -eq 5 ]

install: $(VENV)/.everything

quick: $(VENV)/.everything
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal tests $(SLOW:%=--ignore tests/%)

test: $(VENV)/.everything $(SCORING)/.made
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

lint: $(VENV)/.everything site
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy ftkit $(wildcard plugins/*/ftkit_*)

docs: $(VENV)/.everything
	$(BIN)/python -m ftkit.reference docs/reference
	$(BIN)/python -m ftkit.reference.directory docs/directory.md

# Every warning is an error: a link to a page, an anchor or a file that is not there, a page that the start page does not lead to.
site: $(VENV)/.everything
	@rm -rf site
	$(BIN)/python -m sphinx --quiet --fail-on-warning --fresh-env --conf-dir docs --doctree-dir build/doctrees . site

# A run of the quickstart, drawn as a terminal shows it, and its report in Chromium: in build/screenshots, never in git.
screenshots: $(VENV)/.everything
	$(BIN)/python docs/screenshots.py build/screenshots

dist: $(VENV)/.everything
	$(BIN)/python make_dist.py dist

# The newest versions that work together, written down: only after a clean `make install` and green tests.
constraints: $(VENV)/.everything
	$(BIN)/python -m pip list --format=freeze --exclude-editable --exclude pip --exclude setuptools | sed 's/+cpu$$//' > constraints.txt

clean:
	rm -rf $(VENV) $(SCORING)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.quickstart: $(SOURCES) | $(BIN)/python
	@echo "Installing ftkit and its quickstart into $(VENV): some minutes the first time."
	@$(PIP) $(QUICKSTART)
	@touch $@

$(VENV)/.everything: $(SOURCES) | $(BIN)/python
	@echo "Installing ftkit, all its plugins and the test tools into $(VENV): some minutes the first time."
	@$(PIP) $(EVERYTHING)
	@touch $@ $(VENV)/.quickstart

# Microsoft's scoring server holds other packages back, so it has an environment of its own. The scoring script that
# benchmarks/ compares with needs `datasets`.
$(SCORING)/.made: pyproject.toml constraints-scoring.txt plugins/ftkit-appinsights/pyproject.toml
	@echo "Installing Microsoft's scoring server for the tests into $(SCORING)."
	@$(PYTHON) -m venv $(SCORING)
	@$(SCORING)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-scoring.txt \
		azureml-inference-server-http datasets --editable '.[encoders,serving]' --editable plugins/ftkit-quickstart \
		--editable plugins/ftkit-appinsights
	@touch $@
