# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SCRATCH := .demo
# Processes that share the tests; `make test WORKERS=0` runs them in one, in order.
WORKERS ?= auto

.PHONY: demo test try adversary faults lint docs package bench libraries pictures clean

# The recorded replies where there is no key; the real model where there is one.
ifdef OPENAI_API_KEY
ANSWERS :=
else
ANSWERS := --selfheal-replay=recording.jsonl
endif

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or later is needed: make PYTHON=…")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[docs]" --group dev
	touch $@

# What the tests alone need in the environment is no business of the example's.
demo: export PYTEST_ADDOPTS := -p no:asyncio -p no:rerunfailures -p no:timeout -p no:pytest_cov -p no:randomly -p no:html -p no:metadata -p no:pytest_jsonreport
demo: $(VENV)/installed
	@rm -rf $(SCRATCH) && cp -R example_project $(SCRATCH)
	@echo "Healing a copy of example_project in $(SCRATCH):"
	@echo "$$ pytest --selfheal $(ANSWERS)"
	@cd $(SCRATCH) && ../$(BIN)/python -m pytest --selfheal $(ANSWERS) --tb=no -rN
	@echo && echo "What it changed:"
	@diff -ru example_project/src $(SCRATCH)/src --exclude=__pycache__ || true
	@echo && echo "The project's tests on the healed files, under plain pytest:"
	@cd $(SCRATCH) && ../$(BIN)/python -m pytest -q -p no:selfheal

test: $(VENV)/installed
	@$(BIN)/python -m pytest -n $(WORKERS)

# A few tests from each part, for whoever has just cloned this.
try: $(VENV)/installed
	@$(BIN)/python -m pytest -q tests/test_marker.py tests/test_find.py tests/test_reply.py \
		tests/test_docs.py::test_readme_example_heals

# Every reply of the corpora in every sandbox.
adversary: $(VENV)/installed
	@SELFHEAL_ALL_CASES=1 $(BIN)/python -m pytest -n $(WORKERS) tests/adversary

# Heals killed at every step of their writing, whole runs too, and many runs at once; prints
# the counts.
faults: $(VENV)/installed
	@$(BIN)/python -m tests.faults

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy docs/examples docs/_ext
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions action/action.yml action/*/action.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.gitlab-ci gitlab/selfheal.gitlab-ci.yml
	$(BIN)/zizmor --offline --quiet action
	$(BIN)/python -m tests.workflows

# The site, into docs/_build; a dead link or a wrong name fails it, and nothing is fetched for it.
docs: $(VENV)/installed
	@$(BIN)/python -m sphinx -q -b html -W --keep-going -n docs docs/_build

# Builds what would be published, looks at it, and heals with it in an empty environment.
package: $(VENV)/installed
	@$(BIN)/python -m tests.package

bench: $(VENV)/installed
	$(BIN)/python -m benchmarks

# Whole libraries from the package index, stubbed and healed; `LIBRARIES="toolz parse"` for some.
libraries: $(VENV)/installed
	$(BIN)/python -m benchmarks.libraries $(LIBRARIES)

# The terminal and the report as they are now, from real heals.
pictures: $(VENV)/installed
	$(BIN)/python docs/pictures/make.py

clean:
	rm -rf $(VENV) $(SCRATCH) build dist docs/_build .pytest_cache .mypy_cache .ruff_cache
