# Everything a developer does, and the demo. `make help` lists it.
#
# Needs python3 (3.11 or newer), make and a package index that pip can reach; once set up, nothing
# of the network. What is done once leaves a stamp in .venv, so a repeated call costs nothing.

VENV := .venv
BIN := $(VENV)/bin
BASE := $(VENV)/.installed-base
DEV := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help demo test soak check format docs bench clean rsync

help:  ## list these targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)$$/make \1|\2/p' Makefile | awk -F'|' '{printf "%-12s %s\n", $$1, $$2}'

demo: $(BASE) rsync  ## play the demonstration: three hosts, one index, on this machine
	@$(BIN)/alpenhorn demo

test: $(DEV) rsync  ## run all tests
	@tools/test.sh $(BIN)

soak: $(DEV) rsync  ## real daemons under random faults: SOAK_MINUTES=30 SOAK_SEED=
	@SOAK_MINUTES=$(or $(SOAK_MINUTES),30) SOAK_SEED=$(or $(SOAK_SEED),0) \
		nice -n 10 $(BIN)/pytest tests/faults -s -o faulthandler_timeout=0

check: $(DEV) rsync  ## format, lint, types, imports, quick tests, docs: two minutes on two cores
	@tools/check.sh $(BIN)

format: $(DEV)  ## put the sources into their one format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(DEV)  ## make the generated pages again, and the manual pages in man/
	@$(BIN)/python tools/make_docs.py
	@$(BIN)/python tools/make_man.py

bench: $(DEV) rsync  ## measure bulk work, and write docs/performance.md; PEER=DIR: the public program too
	@$(BIN)/python benchmarks/bulk.py --write $(if $(PEER),--peer $(PEER))
	@$(BIN)/python benchmarks/bulk.py --write $(if $(PEER),--peer $(PEER)) --index mariadb

clean:  ## remove what these targets made, the virtual environment too
	rm -rf $(VENV) build dist man src/*.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

rsync:
	@tools/need_rsync.sh

# The development install contains the base install, so it sets both stamps.
$(BASE): pyproject.toml constraints.txt
	@tools/setup_venv.sh $(VENV) .
	@touch $@

$(DEV): pyproject.toml constraints.txt
	@tools/setup_venv.sh $(VENV) '.[dev,mysql,postgres,prometheus]'
	@touch $(BASE) $@
