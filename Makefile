# For a newcomer `make demo` and `make test`; they need Python 3.11 or newer, git and make.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST_ARGS ?=
# Before Python 3.12 coverage more than doubles the time of what is bound by the CPU: `make test COVERAGE=` goes without.
COVERAGE ?= --cov --cov-report=term

.PHONY: help demo clean-demo install debian lint docs test test-quick test-slurm-all requirements benchmarks torture

help: ## Print this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

install: $(STAMP) ## Create .venv with the pinned requirements and renorm itself

$(STAMP): envs/requirements.txt pyproject.toml
	@# Debian has venv in a package of its own.
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || sh envs/install-debian.sh envs/debian-venv.txt
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv: sudo apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	touch $@

demo: $(STAMP) ## Train a small study on this machine and render its report (under 5 minutes)
	$(BIN)/snakemake --profile workflow/profiles/demo
	@echo "Open $(CURDIR)/results/demo/report.html"

clean-demo: ## Delete the demo's results
	rm -rf results/demo results/runs/digits

debian: ## Debian packages that tests need (as root on a Debian-like system; otherwise nothing happens)
	@sh envs/install-debian.sh envs/debian.txt

test-slurm-all: $(STAMP) debian ## Run the cluster tests, slow ones included (a real time limit, two minutes without a controller)
	RENORM_SLURM_ALL=1 $(BIN)/python -m pytest tests/slurm $(PYTEST_ARGS)

lint: $(STAMP) ## Check style, spelling, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: $(STAMP) ## Build the documentation under build/site, without a network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

test: $(STAMP) debian lint docs ## Run every check and the whole test suite; print the coverage
	$(BIN)/python -m pytest -n 2 $(COVERAGE) $(PYTEST_ARGS)

test-quick: $(STAMP) ## Run the tests that start neither Snakemake nor Slurm and inject no faults
	$(BIN)/python -m pytest -n 2 -m "not slurm and not pipeline" --ignore tests/faults $(PYTEST_ARGS)

requirements: $(STAMP) ## Pin envs/requirements.txt again, for every platform, after a change of envs/requirements.in
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header \
		--no-emit-index-url --no-emit-find-links --output-file envs/requirements.txt envs/requirements.in

benchmarks: $(STAMP) ## Run every benchmark, on a GPU if there is one (an hour on an idle machine); tables in results/benchmarks/
	$(BIN)/python -m benchmarks.step
	$(BIN)/python -m benchmarks.study --steps $$(ls -t results/benchmarks/step-*.csv | head -n 1)
	set -e; for name in layer loop cell dag report prediction; do $(BIN)/python -m benchmarks.$$name; done

torture: $(STAMP) ## Run the long fault tests and write docs/reliability.md (an hour; RENORM_SOAK=500 shortens the soak)
	mkdir -p results && rm -f results/tally.jsonl
	RENORM_TORTURE=1 RENORM_KILLS=50 RENORM_TALLY=$(CURDIR)/results/tally.jsonl \
		$(BIN)/python -m pytest --timeout 20000 -s tests/training/test_resume.py tests/faults tests/pipeline/test_arrivals.py \
		tests/judging/test_audit_accuracy.py tests/study/test_programs.py tests/study/importing/test_convert.py $(PYTEST_ARGS)
	$(BIN)/python -m tests.judging.simulations > results/simulations.md
	$(BIN)/python -m tests.faults.reliability results/tally.jsonl docs/reliability.md
