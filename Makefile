# Two commands for a newcomer: `make demo` and `make test`. Nothing but Python 3.11+, git and make is needed before.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST_ARGS ?=

.PHONY: help demo test test-slurm-all install debian benchmarks torture clean-demo

help: ## This list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

install: $(STAMP) ## .venv with the pinned requirements and renorm itself

$(STAMP): envs/requirements.txt pyproject.toml
	@# Debian packs venv apart from Python.
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || sh envs/install-debian.sh envs/debian-venv.txt
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv: sudo apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	touch $@

demo: $(STAMP) ## Train a small study on this machine and render its report (under 5 minutes)
	$(BIN)/snakemake --profile workflow/profiles/demo
	@echo "Open $(CURDIR)/results/demo/report.html"

clean-demo: ## Forget the demo's results
	rm -rf results/demo results/runs/digits

debian: ## Debian packages that tests need (as root on a Debian-like system; otherwise nothing happens)
	@sh envs/install-debian.sh envs/debian.txt

test-slurm-all: $(STAMP) debian ## The cluster tests with the slow ones (a real time limit, two minutes without controller)
	RENORM_SLURM_ALL=1 $(BIN)/python -m pytest tests/slurm $(PYTEST_ARGS)

test: $(STAMP) debian ## The whole test suite
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(PYTEST_ARGS)

benchmarks: $(STAMP) ## Every benchmark, on the GPU if there is one (an hour on an idle machine); tables under results/benchmarks/
	$(BIN)/python -m benchmarks.step
	$(BIN)/python -m benchmarks.study --steps $$(ls -t results/benchmarks/step-*.csv | head -n 1)
	set -e; for name in layer loop cell dag report prediction; do $(BIN)/python -m benchmarks.$$name; done

torture: $(STAMP) ## The long form of the fault tests; writes docs/reliability.md (an hour; RENORM_SOAK=500: a shorter soak)
	mkdir -p results && rm -f results/tally.jsonl
	RENORM_TORTURE=1 RENORM_KILLS=50 RENORM_TALLY=$(CURDIR)/results/tally.jsonl \
		$(BIN)/python -m pytest --timeout 20000 -s tests/training/test_resume.py tests/faults $(PYTEST_ARGS)
	$(BIN)/python -m tests.faults.reliability results/tally.jsonl docs/reliability.md
