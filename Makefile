# Every target makes .venv when it is missing, installs what it needs into it, and works right after a clone.

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo demo-full test test-fast lint bench mutants clean

demo: .venv/installed-demo
	$(BIN)/linexp demo --out linexp-demo

demo-full: .venv/installed-demo
	$(BIN)/linexp demo --full --out linexp-demo

test: lint
	sh tools/install_browser.sh || true
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

# For while one works: what takes half a second or more is left out (tests/slow.py).
test-fast: .venv/installed-dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow"

lint: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --project pyproject.toml

bench: .venv/installed-dev
	$(BIN)/python benchmarks/explaining_speed.py
	$(BIN)/python benchmarks/recording_speed.py
	$(BIN)/python benchmarks/report_page.py

# Hours: fifty changes of each room, each against the tests of its room (docs/testing.md).
mutants: .venv/installed-mutants
	.venv/mutants/bin/python tools/mutants.py

clean:
	rm -rf .venv linexp-demo

.venv/bin/python:
	$(PYTHON) -m venv .venv

# torch first and by its exact version: pip would otherwise take whatever build is newest.
.venv/installed-demo: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) "torch==$$(sed -n 's/^torch==//p' constraints.txt)"
	$(PIP) --editable ".[demo]"
	touch $@

# The last five without what they declare (the CUDA build of torch they ask for is not wanted), and in a folder that
# only the tests and pyright look into: beside the torch above, transformers could not be used where torchvision can be
# found; see tests/conftest.py. Emptied first, for pip leaves old versions standing there.
.venv/installed-dev: .venv/installed-demo
	$(PIP) --editable ".[demo,datasets,dev]"
	rm -rf .venv/beside
	$(PIP) --no-deps --target .venv/beside torchvision timm open_clip_torch ftfy wcwidth
	touch $@

# In an environment of its own: the tests need none of what it brings.
.venv/installed-mutants: .venv/installed-dev
	$(PYTHON) -m venv .venv/mutants
	.venv/mutants/bin/python -m pip install --quiet --disable-pip-version-check "cosmic-ray>=8.7,<9"
	touch $@
