# The two commands of the README are `make run` and `make test`; each makes its own environment first.
PYTHON ?= python3.11
BIN := .venv/bin
# One more than cores, because tests wait for processes of theirs.
WORKERS = $(shell $(BIN)/python -c "import os; print(1 + os.cpu_count())")
# Where this is set, each process of the tests compiles them and the project again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test quick long fuzz lint format bench compare faults results docs site clean
run: .venv/ready        ## train, evaluate and track the main recipe
	$(BIN)/lab run ddpg_pendulum

test: .venv/ready       ## all tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

quick: .venv/ready      ## the tests that need no training run
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow and not long"

long: .venv/ready       ## what `make test` leaves out: whole contracts of every task, longer trainings; more than an hour
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m long

fuzz: .venv/ready       ## random inputs into everything that reads recipes, overrides and checkpoints; some 20 minutes
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[fuzz]"
	$(BIN)/python -m tests.fuzz

lint: .venv/ready       ## style, types, and the generated reference
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/mypy
	$(BIN)/python docs/make_reference.py --check

format: .venv/ready     ## put the code into the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/ready      ## timings against peers and against the floor, into benchmarks/README.md
	$(BIN)/python -m benchmarks

compare: .venv/ready    ## the same timings beside the committed ones; fails if something got slower
	$(BIN)/python -m benchmarks --compare

faults: .venv/ready     ## kill, starve and corrupt real runs, into benchmarks/faults.md; fails if anything was lost
	$(BIN)/python -m benchmarks.faults

results: .venv/ready    ## train every agent with five seeds, as far as that is missing, into docs/results.md; hours
	$(BIN)/python docs/make_results.py

docs: .venv/ready       ## regenerate docs/reference.md from the code
	$(BIN)/python docs/make_reference.py

site: .venv/ready       ## the documentation as a site with offline search, in site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "open site/index.html"

clean:                  ## remove the environment and caches, never runs
	rm -rf .venv build site *.egg-info .mypy_cache .ruff_cache .pytest_cache

.venv/ready: pyproject.toml constraints.txt plugins/two_moons/pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]" --editable plugins/two_moons
	touch $@
