# Outdial. `make demo` shows it at work, `make test` checks all of it.

# The first Python that runs and is new enough (a pyenv shim may be on PATH and yet not run). Override: make PYTHON=... venv
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
OTHERS ?= 3.12 3.13
# Processes that tests are spread over, a file each: most of them wait, for timers, phones and databases
JOBS ?= 3
QUICK := tests/domain tests/contracts

.PHONY: help venv demo peers test others faults check docs bench clean

help:
	@echo "make venv    set-up alone: $(VENV) with the outdial command"
	@echo "make demo    set-up and the main job by itself: a CSV, dialled, some fail, retried"
	@echo "make test    set-up and every test"
	@echo "make faults  the long crash runs"
	@echo "make check   lint, types, import contracts, docs, tests of the domain"
	@echo "make docs    draw the generated pages anew"
	@echo "make bench   measure this machine"

venv:
	@test -n "$(PYTHON)" || { echo "outdial needs Python 3.11 or newer; on Debian: sudo apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) tools/venv.py $(VENV)

demo: venv
	@$(BIN)/outdial demo

# SIP software that tests call, where it may be installed; tests skip aloud without it
peers:
	@sh tools/peers.sh

test: venv peers
	$(BIN)/python -m pytest tests -n $(JOBS) --dist loadfile
	@$(MAKE) --no-print-directory others

# Other Pythons run the quick suite too, where one is at hand; one that is missing is said aloud.
others:
	@PYTHONS="$(OTHERS)" JOBS="$(JOBS)" sh tools/others.sh $(wildcard $(QUICK))

faults: venv peers
	$(BIN)/python -m pytest tests/faults -m "long and not fuzz" -s --timeout 3600
	$(BIN)/python -m pytest tests/faults -m fuzz -s --timeout 3600

check: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/docs.py --check
	$(BIN)/python -m pytest -q tests/domain

docs: venv
	$(BIN)/python tools/docs.py

bench: venv
	@$(BIN)/outdial bench

clean:
	rm -rf $(VENV) .venv-* .venv*.lock .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
