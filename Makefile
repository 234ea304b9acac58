# `make demo` and `make test` need Python >= 3.11 and nothing else: the set-up below brings the rest into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Node.js comes from PyPI with the development extras, so the dashboard builds where no Node is installed.
NODE_PATH_PREFIX := $(abspath $(BIN))
WEB_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)

.PHONY: help setup web openapi wheel demo demo-sft test test-slow test-long test-families fuzz audit sbom check format bench-engine bench-search bench-parts bench-ask bench-schedulers bench-store chaos bench-service bench-answers bench-dashboard bench-methods bench-autopeft bench-sft bench-sft-search bench-gsm8k systems record-trials lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "peftsearch needs Python >= 3.11, found " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	@echo "Installing pinned dependencies into $(VENV) (a few minutes the first time)"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[service,workers,dev]'
	@touch $@

web/node_modules/installed: web/package-lock.json $(VENV)/installed
	cd web && PATH="$(NODE_PATH_PREFIX):$$PATH" npm ci --no-audit --no-fund --loglevel=error
	@touch $@

web/dist/index.html: web/node_modules/installed $(WEB_SOURCES) examples/quickstart.yaml
	cd web && PATH="$(NODE_PATH_PREFIX):$$PATH" npm run --silent build
	@touch $@

setup: $(VENV)/installed web/dist/index.html ## install everything into .venv and build the dashboard

web: web/dist/index.html ## build the dashboard

openapi: setup ## write the dashboard's types from the OpenAPI document
	$(BIN)/python tools/openapi-types

wheel: web ## the installable package with the dashboard in it, into dist/
	rm -rf build dist
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

demo: setup ## a whole search on the embedded defaults: submit, watch, front, export, reload
	$(BIN)/peftsearch demo

demo-sft: setup ## the same on a language model: a search of 12 trials, the winner merged and asked beside its base
	$(BIN)/peftsearch demo --job examples/language-model.yaml

test: setup ## every test but the slow ones (twelve minutes on two idle cores)
	@tools/ensure-chromium
	cd web && PATH="$(NODE_PATH_PREFIX):$$PATH" npm test --silent
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow and not long" $(PYTEST_ARGS)

test-slow: setup ## the slow ones: whole services and kills, searches to their end, methods beside others
	@tools/ensure-chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "slow and not long" $(PYTEST_ARGS)

test-long: setup ## what `make test-slow` takes a sample of: every chart, the form of every type of task, more kinds of loss and kill
	@tools/ensure-chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m long $(PYTEST_ARGS)

test-families: setup ## every method, and searches to the end, on every family of models (`make test` takes a covering sample)
	PEFTSEARCH_FAMILIES=all OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 $(PYTEST_ARGS) tests/workers/models tests/service/test_family_jobs.py

fuzz: setup ## at least 10,000 requests made from the OpenAPI document, with a token and without (ten minutes; DATABASE: a URL other than SQLite's)
	PEFTSEARCH_FUZZ_CASES=$(or $(CASES),13000) PEFTSEARCH_FUZZ_DATABASE='$(DATABASE)' $(BIN)/python -m pytest -q -s tests/service/api/test_schema_fuzz.py

audit: setup ## known vulnerabilities in what is pinned (pip-audit, npm audit); says so where it cannot ask
	tools/audit-dependencies

# In an environment of its own: it brings a checker of addresses that would be loaded with Ray, 1.2 s in each of its processes.
.venv-sbom/installed: constraints.txt
	$(PYTHON) -m venv .venv-sbom
	.venv-sbom/bin/pip install --quiet --disable-pip-version-check -c constraints.txt cyclonedx-bom
	@touch $@

sbom: setup .venv-sbom/installed ## what this is made of, as CycloneDX documents in dist/
	tools/make-sbom

check: setup ## style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd web && PATH="$(NODE_PATH_PREFIX):$$PATH" npm run --silent check

format: setup ## format the Python code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-engine: $(VENV)/installed ## trials and whole searches beside Trainer + peft + Optuna (QUICK=1: at most 5 minutes)
	$(BIN)/python -m benchmarks.engine $(if $(QUICK),--quick)

# Ax has an environment of its own: its pins need not agree with ours.
.venv-peers/installed:
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --disable-pip-version-check torch==2.13.0
	.venv-peers/bin/pip install --quiet --disable-pip-version-check ax-platform==1.3.1
	@touch $@

# TRL's environment shares nothing with ours.
.venv-trl/installed:
	$(PYTHON) -m venv .venv-trl
	.venv-trl/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 peft==0.21.2
	.venv-trl/bin/pip install --quiet --disable-pip-version-check trl==1.16.0 optuna==5.0.0
	@touch $@

bench-gsm8k: $(VENV)/installed ## exact match of a winner on GSM8K beside its base, with intervals (DATA: folder with train.jsonl and test.jsonl; QUICK=1: few rows)
	$(BIN)/python -m benchmarks.gsm8k --data $(DATA) $(if $(QUICK),--quick)

bench-sft: $(VENV)/installed .venv-trl/installed ## fine-tuning a language model beside TRL's SFTTrainer (QUICK=1: at most 5 minutes)
	$(BIN)/python -m benchmarks.sft $(if $(QUICK),--quick)

bench-sft-search: $(VENV)/installed .venv-trl/installed ## a whole search over a language model's fine-tuning beside Optuna with TRL, to the same hypervolume (QUICK=1: 4 trials)
	$(BIN)/python -m benchmarks.sft.search $(if $(QUICK),--quick)

bench-search: $(VENV)/installed .venv-peers/installed ## optimizers beside their peers on the same problems (QUICK=1: few problems and seeds, at most 5 minutes)
	$(BIN)/python -m benchmarks.search $(if $(QUICK),--quick,--out benchmarks/results/search.json --plot docs/images/search-regret.svg)

bench-parts: $(VENV)/installed ## what sampling, fronts and suggestions cost after 10,000 trials
	$(BIN)/python -m benchmarks.search.parts

bench-ask: $(VENV)/installed ## how long `ask` takes with 8 askers and 1,000 finished trials
	$(BIN)/python -m benchmarks.search.ask

bench-schedulers: $(VENV)/installed ## schedulers beside Optuna's pruners on recorded curves, and pbt with real training
	$(BIN)/python -m benchmarks.search.schedulers $(if $(QUICK),--seeds 2)
	$(BIN)/python -m benchmarks.search.population $(if $(QUICK),--seeds 0)

bench-store: $(VENV)/installed ## the store beside Optuna's on SQLite
	$(BIN)/python -m benchmarks.store

bench-service: $(VENV)/installed ## what the service bears: store, writers, HTTP, listeners, 100,000 trials, one-second trials; resumes (QUICK=1: a minute)
	$(BIN)/python -m benchmarks.service $(if $(QUICK),--quick)

chaos: $(VENV)/installed ## 200 faults at seeded moments, and what is left of the jobs; resumes (MINUTES=20)
	$(BIN)/python -m benchmarks.chaos --minutes $(or $(MINUTES),20)

bench-answers: $(VENV)/installed ## laws and mixtures against public runs (QUICK=1: at most 3 minutes)
	$(BIN)/python -m benchmarks.answers $(if $(QUICK),--quick)

bench-dashboard: setup ## the dashboard with 50,000 trials in a real browser: times, frames, bytes, heap
	@tools/ensure-chromium
	$(BIN)/python -m benchmarks.dashboard

bench-methods: $(VENV)/installed ## every method on real data, tuned at equal budget, into docs/methods.md; resumes (QUICK=1: 4 minutes of it)
	$(BIN)/python -m benchmarks.methods $(if $(QUICK),--quick)

bench-autopeft: $(VENV)/installed ## AutoPEFT beside single methods at equal budgets, and its transfer; resumes (QUICK=1: 4 minutes of it)
	$(BIN)/python -m benchmarks.autopeft $(if $(QUICK),--minutes 4)

systems: $(VENV)/installed ## run the job file of every published system, a line for each; resumes (at most 30 minutes)
	$(BIN)/python -m benchmarks.systems

record-trials: $(VENV)/installed ## record real PEFT trials into benchmarks/tables; resumes (QUICK=1: 4 minutes of it)
	$(BIN)/python -m benchmarks.trials $(if $(QUICK),--minutes 4)

lock: .venv-sbom/installed ## renew constraints.txt from what is installed in .venv
	{ head -n 1 constraints.txt; for env in $(VENV) .venv-sbom; do $$env/bin/pip freeze --exclude-editable; done | sed 's/+cpu$$//' | sort -fu; } > constraints.new
	mv constraints.new constraints.txt

clean: ## remove what the set-up made
	rm -rf $(VENV) .venv-peers .venv-sbom .venv-trl web/node_modules web/dist build dist
