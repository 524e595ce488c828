# make demo     the core alone, then `semistylegan demo`: minutes on two cores, no GPU
# make setup    everything, without running anything
# make test     everything, then linters, types and all tests
# make gpu      tests, step times and kitchens on an NVIDIA GPU, into runs/gpu (GPU_OUT=...)
# make clean    removes the environment and caches (not runs/)
#
# Each does all set-up by itself and nothing where nothing changed. Another Python: make PYTHON=python3.12 demo

PYTHON ?= python3
DEMO_OUT ?= runs/demo
GPU_OUT ?= runs/gpu
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)

# uv does not read pip's settings: hand it the folders of wheels that pip sees (blanks there, commas here).
comma := ,
space := $(subst ,, )
UV_FIND_LINKS ?= $(subst $(space),$(comma),$(strip $(PIP_FIND_LINKS)))
ifneq ($(strip $(UV_FIND_LINKS)),)
export UV_FIND_LINKS
endif

ifneq ($(UV),)
make_venv = "$(UV)" venv --quiet --seed --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV)
install = "$(UV)" pip install --python $(BIN)/python -c constraints.txt
else
make_venv = $(PYTHON) -m venv $(VENV)
install = $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
endif

.PHONY: help demo setup test gpu clean
.DEFAULT_GOAL := help

help:
	@sed -n '/^# make/s/^# //p' Makefile

demo: $(VENV)/.core
	$(BIN)/semistylegan demo --out $(DEMO_OUT)

setup: $(VENV)/.all $(VENV)/.system

test: $(VENV)/.all $(VENV)/.system
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

gpu: $(VENV)/.all $(VENV)/.system
	benchmarks/gpu.sh $(GPU_OUT)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: each is written only when its step has succeeded, so a step that was cut short is done again.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null || { \
	  echo "make: PYTHON=$(PYTHON) says: $$($(PYTHON) --version 2>&1 | tail -n 1); Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12 ..." >&2; \
	  exit 1; }
	rm -rf $(VENV)
	$(make_venv)
	@touch $@

$(VENV)/.core: $(VENV)/.made pyproject.toml constraints.txt
	@echo "Installing semistylegan and what it needs (a minute or so; torch is the large part)"
	$(install) -e .
	@touch $@

$(VENV)/.all: $(VENV)/.made pyproject.toml constraints.txt
	@echo "Installing semistylegan, what it needs and all extras (a minute or so; torch is the large part)"
	$(install) -e '.[all]'
	@touch $(VENV)/.core $@

# Debian packages that tests use; the script says what it could not install and ends well all the same.
$(VENV)/.system: $(VENV)/.all .ci/system-packages
	@.ci/system-packages
	@$(BIN)/python -m semistylegan.scenes.variant || true
	@touch $@
