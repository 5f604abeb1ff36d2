# `make demo` and `make test` are all a fresh machine needs: Python 3.11 or newer, and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test torture check dist lock clean

demo: $(READY)
	$(BIN)/modiste demo demo-shop

# Containers often forbid Python to keep what it compiled: then each process that a test starts compiles Modiste anew.
# Three at once on two cores, as tests wait for services, browsers and the database for a third of their time.
test: $(READY)
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist worksteal

# What `make test` has a quick part of: long histories, a fault at every boundary, fuzzing, oddities; SHARE=0.2 tries a fifth of it.
SHARE ?= 1
torture: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group torture
	MODISTE_TORTURE=$(SHARE) $(BIN)/python -m pytest -s tests/shop/test_histories.py tests/shop/test_faults.py tests/fuzz tests/server/test_fuzz.py tests/test_oddities.py

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/check_links.py

# The same source gives the same bytes: hatchling writes one date for every file (SOURCE_DATE_EPOCH, if it is set).
dist: $(READY)
	rm -rf dist
	$(BIN)/python -m hatchling build

# The lock file pins what CI installs; the ranges in pyproject.toml are what users get.
$(READY): pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Modiste needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[server,client,postgres,formats]' --group dev
	touch $(READY)

lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --upgrade pip
	build/lock/bin/python -m pip install --quiet --editable '.[server,client,postgres,formats]' --group dev
	build/lock/bin/python -m pip freeze --exclude-editable > requirements.lock

clean:
	rm -rf $(VENV) build dist demo-shop
