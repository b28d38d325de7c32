# `make` lists the targets. Each target first makes the virtual environment that it needs.
.DEFAULT_GOAL := help
.PHONY: help repro test test-slow lint format recipes recipe exp table back bench plots figures parameters architecture \
	clean-cache sample venv wheel detect
SHELL := /bin/bash
PYTHON ?= python3
# given on the command line; the environment may mean something else by these names
NAME =
ROOT =
WEIGHTS =
SHA256 =
TORCH =
ARGS =
SOURCE =
VENV := .venv
# DVC runs `python` from the PATH, so the environment must come first in it
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
INSTALL = pip install --disable-pip-version-check
# TORCH=cpu installs the build of torch for processors alone, TORCH=cu126 or the like that for a CUDA version
TORCH_INDEX = https://download.pytorch.org/whl/$(TORCH)

# repro, exp and table pass ARGS="…" to dvc, test passes it to pytest
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/ready: requirements.txt constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v else f"Python 3.11 or newer is needed, found {v[0]}.{v[1]}; make PYTHON=/path/to/python")'
	@echo "installing requirements into $(VENV) (once, some minutes)"
	@$(PYTHON) -m venv $(VENV)
	$(if $(TORCH),@$(INSTALL) --no-deps --index-url $(TORCH_INDEX) $$(grep ^torch== requirements.txt))
	@$(INSTALL) -r requirements.txt -c constraints.txt
	@$(INSTALL) -q --no-deps -e .
	@touch $@
	@echo "the environment is ready"

$(VENV)/ready-test: requirements-test.txt $(VENV)/ready
	@$(INSTALL) -q -r requirements-test.txt -c constraints.txt
	@touch $@

venv: $(VENV)/ready  ## make the virtual environment (TORCH=cpu: without the packages for GPUs)

repro: $(VENV)/ready  ## run the stages that changed, from footage to scores and reports
	@python -m vad.check $(filter-out -%,$(ARGS))
	@dvc repro $(ARGS)
	@python -m vad.outcome

detect: $(VENV)/ready  ## score footage with models/deployed: make detect SOURCE=clip.mp4 ARGS="--video scored.mp4"
	@vad detect $(if $(SOURCE),$(call quoted,SOURCE)) $(ARGS)

wheel: $(VENV)/ready  ## build the command `vad` for other machines: dist/vad_pipeline-….whl
	@rm -rf build dist
	@pip wheel --disable-pip-version-check -q --no-deps -w dist . && rm -rf build && ls dist/*.whl

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

quoted = '$(subst ','\'',$(value $(1)))'
OPTIONS = $(if $(ROOT),--root $(call quoted,ROOT)) $(if $(WEIGHTS),--weights $(call quoted,WEIGHTS)) \
	$(if $(SHA256),--sha256 $(call quoted,SHA256))

recipe: $(VENV)/ready  ## write recipes into params.yaml: make recipe NAME="ped2 weight_free" ROOT=path/to/ucsd_ped2
	@python -m vad.recipe $(NAME) $(OPTIONS) --write

exp: $(VENV)/ready  ## run an experiment in a copy: make exp NAME=ped2 ROOT=…, make exp ARGS="-S train.epochs=40"
	@python -m vad.recipe $(NAME) $(OPTIONS) --exp $(ARGS)

table: $(VENV)/ready  ## show the experiments of the last commit: what each changed, and its metrics
	@python -m vad.experiments $(ARGS)

# The lock file of a commit from elsewhere may name results that are not here. DVC would then compute them without a
# look at what it has computed before; with the present lock file it takes from its run cache what is there.
back: $(VENV)/ready  ## go back to the parameters and results of the last commit, and show what is undone
	@dvc params diff HEAD
	@! test -f dvc.lock || cp dvc.lock dvc.lock.part
	@git checkout -q HEAD -- params.yaml dvc.lock metrics/evaluate.json reports/summary.md
	@dvc checkout -q --force dvc.yaml 2>/dev/null || mv dvc.lock.part dvc.lock 2>/dev/null || rm dvc.lock
	@rm -f dvc.lock.part
	@dvc repro

parameters: $(VENV)/ready  ## generate docs/parameters.md from the models of the parameters
	@python -m vad.parameters --write

architecture: $(VENV)/ready-test  ## draw docs/architecture.svg from the imports
	@python -m docs.draw_architecture

plots: $(VENV)/ready  ## draw plots beside those of the last commit: dvc_plots/index.html (ARGS=--experiments: all)
	@python -m vad.plots $(ARGS)

figures: $(VENV)/ready  ## draw the figures for a thesis, as PDF, SVG and PNG: reports/figures
	@python -m vad.figures $(ARGS)

bench: $(VENV)/ready-test  ## run the benchmarks: speed compared with alternatives
	@for b in benchmarks/[a-z]*.py; do python -m benchmarks.$$(basename $$b .py) || exit 1; done

sample: $(VENV)/ready  ## generate the synthetic sample again (git already has data/sample)
	@python -m vad.synthetic --out data/sample --force

clean-cache: ## empty the cache of finished clips and checkpoints
	@rm -rf .cache && echo "emptied .cache"
