# `make` lists the targets. Each target first makes the virtual environment that it needs.
.DEFAULT_GOAL := help
.PHONY: help repro test test-slow lint format recipes recipe exp bench plots parameters architecture clean-cache sample venv
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
# DVC runs `python` from the PATH, so the environment must come first in it
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
INSTALL = pip install --disable-pip-version-check -q

# repro and exp pass ARGS="…" to dvc, test passes it to pytest
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/ready: requirements.txt constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v else f"Python 3.11 or newer is needed, found {v[0]}.{v[1]}; make PYTHON=/path/to/python")'
	@echo "installing requirements into $(VENV) (once, some minutes)"
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) -r requirements.txt -c constraints.txt
	@touch $@

$(VENV)/ready-test: requirements-test.txt $(VENV)/ready
	@$(INSTALL) -r requirements-test.txt -c constraints.txt
	@touch $@

venv: $(VENV)/ready  ## make the virtual environment

repro: $(VENV)/ready  ## run the stages that changed, from footage to scores and reports
	@python -m vad.check $(filter-out -%,$(ARGS))
	@dvc repro $(ARGS)
	@sed -n '/^## Clips/q;3,$$p' reports/summary.md; echo "more: reports/summary.md, reports/evaluation/, \`make plots\`"

test: $(VENV)/ready-test  ## run the tests (some minutes)
	@python -m pytest -m "not slow" $(ARGS)

test-slow: $(VENV)/ready-test  ## run the slow tests, with servers, browsers and long footage
	@python -m pytest -m slow $(ARGS)

lint: $(VENV)/ready-test  ## check style and types
	@ruff check . && ruff format --check . && mypy

format: $(VENV)/ready-test  ## fix style
	@ruff check --fix -q . ; ruff format -q .

recipes: $(VENV)/ready  ## list the named configurations
	@python -m vad.recipe

OPTIONS = $(if $(ROOT),--root "$(ROOT)") $(if $(WEIGHTS),--weights "$(WEIGHTS)")

recipe: $(VENV)/ready  ## write recipes into params.yaml: make recipe NAME="ped2 weight_free" ROOT=path/to/ucsd_ped2
	@python -m vad.recipe $(NAME) $(OPTIONS) --write

exp: $(VENV)/ready  ## run recipes as an experiment, without changing params.yaml: make exp NAME=ped2 ROOT=…
	@set -o pipefail; { python -m vad.recipe $(NAME) $(OPTIONS) && echo '$(ARGS)'; } | xargs dvc exp run --temp

parameters: $(VENV)/ready  ## generate docs/parameters.md from the models of the parameters
	@python -m vad.parameters --write

architecture: $(VENV)/ready-test  ## draw docs/architecture.svg from the imports
	@python -m docs.draw_architecture

plots: $(VENV)/ready  ## draw the plots of the workspace and of the last commit: dvc_plots/index.html
	@dvc plots diff HEAD -o dvc_plots

bench: $(VENV)/ready-test  ## run the benchmarks: speed compared with alternatives
	@for b in benchmarks/[a-z]*.py; do python -m benchmarks.$$(basename $$b .py) || exit 1; done

sample: $(VENV)/ready  ## generate the synthetic sample again (git already has data/sample)
	@python -m vad.synthetic --out data/sample --force

clean-cache: ## empty the cache of finished clips and checkpoints
	@rm -rf .cache && echo "emptied .cache"
