# make run    a daemon on run/usbmuxd.sock, with a simulated phone to play with
# make unit   the tests that start no process and are no load, with a fifth of hypothesis' examples
# make test   everything that must hold: style, types, tests, coverage
# make test TESTS="tests.wire tests.device.test_window"   these tests alone
# MUXD_PURE=1 make ...   the same without compiled code
# make unit PYTHON=python3.13 VENV=.venv-3.13   the same with another Python, beside the first
# make help   the other targets

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
# MUXD_PURE=1 does without compiled code, in building and in running.
PURE := $(if $(filter-out 0,$(MUXD_PURE)),-pure)
INSTALLED := $(VENV)/.installed$(PURE)
DEVELOPED := $(VENV)/.developed$(PURE)
METADATA := setup.cfg setup.py pyproject.toml
# Of what is compiled where there is a compiler; without one nothing fails.
SOURCES := $(shell find muxd -name '*.pyx' -o -name '*.pxd')
SOURCES += $(wildcard $(patsubst %.pxd,%.py,$(filter %.pxd,$(SOURCES))))
SOCKET := run/usbmuxd.sock
PORT ?= 27015
SUMMARY := build/test-summary
FUZZED := $(VENV)/.fuzzed
MUTATED := $(VENV)/.mutated

# Which tests to run, if not all, and in how many processes: auto is one for each CPU, and one
# more for tests that start processes.
TESTS ?=
WORKERS ?= auto

# How long to fuzz, all targets together, and how many of them at once.
SECONDS ?= 60
JOBS ?= 1
SEED ?= 0
TARGETS ?=

# Whether tests that fail have a second try.
AGAIN ?=
TRIES := $(if $(filter-out 0,$(AGAIN)),--again)

# Of a soak.
MINUTES ?= 10
BUS ?= rig

# Of a comparison with the C daemon; 0 is as many as there is time for.
COUNT ?= 0

# Packages whose branches must be covered, and how many of a hundred.
COVERED := wire device server
FLOOR := 95

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help run deb unit test fuzz mutation compare system-test lint types check-packaging apidocs bench bench-report attack fleet-sim fleet-faults soak clean distclean

help:
	@echo "make run               start a daemon on $(SOCKET) and port $(PORT), USB and one simulated phone"
	@echo "make unit              the tests that start no process and are no load, without coverage (TESTS= WORKERS=auto)"
	@echo "make test              lint, types, tests with coverage, and a closing line of counts (WORKERS=auto)"
	@echo "make test TESTS=...    some tests alone, such as tests.wire or tests.device.test_window"
	@echo "make test AGAIN=1      what fails has a second try, alone; it counts, and is told"
	@echo "make fuzz              hostile input, chosen by coverage (SECONDS=60 JOBS=1 SEED=0 TARGETS=)"
	@echo "make mutation          small defects, and whether the tests notice (TARGETS=muxd/wire/mux.py COUNT=0)"
	@echo "make compare           odd requests, to the C daemon and to ours (SECONDS=60 COUNT=0 SEED=0)"
	@echo "make system-test       the daemon on a real kernel, in virtual machines; OPTIONS=--help"
	@echo "make lint              ruff: style and format"
	@echo "make types             mypy --strict"
	@echo "make check-packaging   build wheel and sdist, install them elsewhere, check the man page"
	@echo "make deb               a package for the Debian that this runs on, build/deb/muxd_*.deb"
	@echo "make apidocs           the documentation of the public names, build/apidocs/index.html"
	@echo "make bench             measure the speed; ARGS='--quick', '--only PATTERN', CPUS='all 1'"
	@echo "make bench-report      measure everything, and renew docs/performance.md with it"
	@echo "make attack            flood the daemon, and the C daemon, beside a client of another user (KINDS=)"
	@echo "make fleet-sim         100 hosts with 100 phones each, and 50 jobs: a hub's figures"
	@echo "make fleet-faults      what a fleet survives, on networks of its own, with three nodes of etcd"
	@echo "make soak MINUTES=10   load the daemon, break what is around it, see whether it grows"
	@echo "make clean             remove everything that make has made but $(VENV)"
	@echo "make distclean         remove that too"
	@echo "PYTHON=python3.13 VENV=.venv-3.13, with any of them: another Python (3.11 or newer) and its place"

run: $(INSTALLED)
	@exec $(BIN)/python docs/firststeps.py $(SOCKET) $(PORT) run/lockdown

deb:
	@packaging/deb/build

# Tests that start processes are marked with @startsProcesses; others cannot start one.
unit: $(DEVELOPED)
	@$(BIN)/python -m tests --jobs $(WORKERS) $(TRIES) --unit $(TESTS)

ifneq ($(TESTS),)
test: $(DEVELOPED)
	@$(BIN)/python -m tests --jobs $(WORKERS) $(TRIES) $(TESTS)
else
# All parts run even if one fails, so that one run tells everything.  In compiled code no
# coverage can be seen: this is the pure build.
test: $(DEVELOPED)
	@status=0; \
	$(MAKE) --no-print-directory lint || status=1; \
	$(MAKE) --no-print-directory types || status=1; \
	rm -f $(SUMMARY); mkdir -p $(dir $(SUMMARY)); \
	$(BIN)/coverage erase; \
	MUXD_PURE=1 $(BIN)/python -m tests --jobs $(WORKERS) $(TRIES) --coverage --summary $(SUMMARY) || status=1; \
	$(BIN)/coverage combine --quiet; \
	$(BIN)/coverage report --skip-covered || status=1; \
	for package in $(COVERED); do \
	    printf '%s' "branch coverage of muxd/$$package, at least $(FLOOR) %: "; \
	    $(BIN)/coverage report --include "muxd/$$package/*" --format total \
	        --fail-under $(FLOOR) || status=1; \
	done; \
	cat $(SUMMARY) || status=1; \
	exit $$status
endif

# The first run installs QEMU and unpacks a kernel, for which it has to be root on Debian.
system-test: $(DEVELOPED)
	@$(BIN)/python -m tests.system $(OPTIONS)

fuzz: $(FUZZED)
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) --jobs $(JOBS) --seed $(SEED) $(TARGETS)

# Small defects, one at a time, and whether the tests notice them: TARGETS="muxd/wire/mux.py".
mutation: $(MUTATED)
	MUXD_PURE=1 $(BIN)/python -m tests.mutation $(OPTIONS) --count $(or $(COUNT),0) --seed $(SEED) \
	    $(or $(TARGETS),muxd/wire/mux.py)

compare: $(DEVELOPED)
	$(BIN)/python -m tests.differential --seconds $(SECONDS) --count $(COUNT) --seed $(SEED)

lint: $(DEVELOPED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEVELOPED)
	$(BIN)/mypy
	$(BIN)/mypy --config-file docs/examples/plain.ini docs/examples/script.py docs/examples/test_phone.py

check-packaging: $(DEVELOPED)
	rm -rf build/dist
	$(BIN)/python -m build --no-isolation --outdir build/dist .
	$(BIN)/twine check --strict build/dist/*
	$(BIN)/python -m tests tests.test_packaging
	@if command -v groff >/dev/null; then \
	    warnings=$$(groff -mandoc -Tutf8 -ww man/usbmuxd.8 2>&1 >/dev/null); \
	    if [ -n "$$warnings" ]; then echo "$$warnings"; exit 1; fi; \
	else echo "groff is not installed: the man page was not checked"; fi

# A page for each public name; warnings are errors.
apidocs: $(DEVELOPED)
	rm -rf build/apidocs
	$(BIN)/pydoctor
	@echo "see build/apidocs/index.html"

bench: $(DEVELOPED)
	@$(MAKE) --no-print-directory -C bench PYTHON=$(abspath $(BIN)/python)

# Measures everything on one CPU and on all, and writes table and pictures into docs/.
bench-report: $(DEVELOPED)
	@$(MAKE) --no-print-directory -C bench report PYTHON=$(abspath $(BIN)/python)

# Floods by one user beside a client of another, and the C daemon beside ours: KINDS="unread keys".
attack: $(DEVELOPED)
	$(BIN)/python -m bench.attack --json bench/results/attack.json $(KINDS)

# 100 hosts with 100 phones each, and 50 jobs: about a minute.  With a registry that is running
# already: OPTIONS="--registry etcd:127.0.0.1:2379:prefix=/sim".
fleet-sim: $(DEVELOPED)
	$(BIN)/python -m bench.fleetsim $(OPTIONS)

# Hosts, hubs and nodes are killed, frozen, split: a part of make test; here with what was measured.
fleet-faults: $(DEVELOPED)
	@rm -f build/fleet-faults.jsonl
	@MUXD_FLEET_FAULTS=yes $(BIN)/python -m tests --jobs $(WORKERS) $(TRIES) tests.netns
	@$(BIN)/python -m tests.netns

# BUS=simulated: phones of our own, which pair, behind the other engine.
soak: $(DEVELOPED)
	$(BIN)/python -m bench.soak --minutes $(MINUTES) --bus $(BUS) --json bench/results/soak-$(BUS).json

clean:
	rm -rf build dist run _trial_temp* .coverage .coverage.* .mypy_cache .ruff_cache \
	    .pytest_cache .hypothesis muxd.egg-info twisted/plugins/dropin.cache
	@$(MAKE) --no-print-directory -C bench clean
	find muxd -name '*.so' -delete
	find . -name __pycache__ -not -path './.venv*/*' -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)

# An environment without pip is what a Python leaves behind that has no venv of its own:
# it is removed, so that the next make finds it as if there had been none.
$(BIN)/pip:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and there is none."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "Python 3.11 or newer is needed; name it with make PYTHON=..."; exit 1; }
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) && test -x $@ || { rm -rf $(VENV); \
	    echo "$(PYTHON) cannot make a virtual environment: install its module venv" \
	    "(Debian: apt install python3-venv), then run make again."; exit 1; }

$(INSTALLED): $(METADATA) $(SOURCES) | $(BIN)/pip
	@echo "installing into $(VENV): with a C compiler this takes some minutes the first time"
	$(BIN)/python -m pip install --quiet --editable '.[pairing,libusb]'
	@touch $@

$(DEVELOPED): $(METADATA) $(SOURCES) | $(BIN)/pip
	$(if $(filter $(METADATA),$?),$(BIN)/python -m pip install --quiet --editable '.[dev]', \
	    $(BIN)/python setup.py --quiet build_ext --inplace)
	@touch $@ $(INSTALLED)

$(MUTATED): $(METADATA) $(DEVELOPED)
	@$(BIN)/python -m pip install --quiet --editable '.[dev,mutation]'
	@touch $@

$(FUZZED): $(METADATA) $(DEVELOPED)
	@$(BIN)/python -m pip install --quiet --editable '.[dev,fuzz]' \
	    || { echo "make fuzz needs atheris (https://pypi.org/project/atheris/), which cannot be" \
	    "installed here"; exit 1; }
	@touch $@
