# Each target sets up what it needs in .venv; a machine with Python 3.11, make and the package registries is enough.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
RUN_INSTALLED := .venv/.run-installed
INSTALLED := .venv/.installed
BENCH_INSTALLED := .venv/.bench-installed
SPEED := Testing/Benchmarks/speed
DEMO ?= demo-output
# the folder of `make release`; CONTRIBUTING.md explains OWNER and CONTRIBUTORS
RELEASE ?= ../release/SlicerUltrasoundLesionSeg

# the network's threads sleep instead of spinning when they wait: spinning slows a busy machine down
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo test lint format bench bench-rooms test-integration release clean

demo: $(RUN_INSTALLED)
	Testing/system_packages.sh
	$(BIN)/ultrasound-lesion-seg demo --output $(DEMO)

test: $(INSTALLED)
	Testing/system_packages.sh
	$(BIN)/pytest

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# each part keeps its figures in build/speed; the last joins them into Docs/results/speed.md
bench: $(BENCH_INSTALLED)
	$(BIN)/python -W ignore $(SPEED)/network.py
	$(BIN)/python -W ignore $(SPEED)/directions.py
	$(BIN)/python -W ignore $(SPEED)/profiles.py
	$(BIN)/python -W ignore $(SPEED)/memory_policies.py
	$(BIN)/python -W ignore $(SPEED)/stages.py
	$(BIN)/python -W ignore $(SPEED)/peers.py
	$(BIN)/python -W ignore $(SPEED)/startup.py
	$(BIN)/python -W ignore $(SPEED)/gpu.py
	$(BIN)/python -W ignore $(SPEED)/report.py

# the rooms' own: exactness and speed of measuring, MRML, DICOM, and the memory of 5,000 frames
bench-rooms: $(INSTALLED)
	$(BIN)/python Testing/Benchmarks/measurement.py
	$(BIN)/python Testing/Benchmarks/mrml.py
	$(BIN)/python -W ignore Testing/Benchmarks/dicom.py
	$(BIN)/python Testing/Drills/long_clip.py --frames 200 2000

test-integration: $(INSTALLED)
	PYTHON=$(BIN)/python Testing/Integration/run.sh

release: $(INSTALLED)
	$(BIN)/python Testing/Release/make_release.py "$(RELEASE)" --owner "$(OWNER)" --contributors "$(CONTRIBUTORS)"

# what a user needs; PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu takes PyTorch's small build for CPUs
$(RUN_INSTALLED): pyproject.toml Testing/constraints.txt
	@echo "Installing into .venv, once. With PyTorch for CPUs: 0.6 GB to download, 2.5 GB on the disk, about five minutes."
	@echo "With CUDA, which pip takes on Linux by itself: several GB more. README.md says how to get the small one."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -c Testing/constraints.txt -e .
	touch $@

# and what developers need
$(INSTALLED): $(RUN_INSTALLED)
	@echo "Installing the tools for tests and training into .venv, once: about 1 GB more."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c Testing/constraints.txt -e '.[dev,train]'
	touch $@

# SAM 2, a peer, is built against the PyTorch that is there; without isolation no second one is fetched to build it
$(BENCH_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check setuptools wheel hatchling
	SAM2_BUILD_CUDA=0 $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation \
		-c Testing/constraints.txt -e '.[bench]'
	touch $@

clean:
	rm -rf .venv $(DEMO) .mypy_cache .ruff_cache .pytest_cache
