# What CI runs, by the same names. PYTHON picks the interpreter of the environment that `make setup` makes.
PYTHON ?= python3
BIN := .venv/bin

# Images of Python often set this: every process of a test would then compile torch and all else anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup check test coverage slow full build sbom deb image lock bench manual site

setup: $(BIN)/uncnn-daemon

$(BIN)/uncnn-daemon: requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip install -q -r requirements-dev.txt -e .
	touch $@

# import-linter takes packages whose parent is a namespace: there `uncnn` is one, where it is installed it is not.
check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	cd typings/namespace && $(abspath $(BIN))/lint-imports --config ../../pyproject.toml

# Three at a time on two cores, here and below: many tests wait for processes that start.
test: setup
	$(BIN)/python -m pytest -n 3 --dist loadfile

# Half as long again: processes that are measured are slower.
coverage: setup
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

# In the order of tests/conftest.py: the longest files first.
slow: setup
	$(BIN)/python -m pytest -m "slow and not long" -n 3 --dist loadfile --no-loadscope-reorder

# All of them, each in its full size: before a release.
full: setup
	UNCNN_FULL=1 $(BIN)/python -m pytest -m "slow or not slow" -n 3 --dist loadfile --no-loadscope-reorder

# The wheel, installed in a fresh environment of its own, must run.
build: setup
	rm -rf build dist
	$(BIN)/python -m build --installer uv --outdir dist
	$(BIN)/python tests/packaging/try_wheel.py dist

# What is in it: packages with the hashes of their files, models with their licences. docs/install.md has the other builds.
sbom: setup
	$(BIN)/python packaging/make_sbom.py --check -o dist/uncnn.cdx.json

# WITH=cpu: with PyTorch's build for CPUs, whose index has to be reached; thin: a server changes the faces; cuda: the
# image for a GPU.
WITH ?= cpu
deb: setup
	$(BIN)/python packaging/make_deb.py -o dist --with $(WITH)

image: setup
	$(BIN)/python packaging/make_image.py -o dist/uncnn-$(WITH).tar --with $(WITH)

bench: setup
	$(BIN)/python benchmarks/formats.py
	$(BIN)/python benchmarks/half_written.py
	$(BIN)/python benchmarks/cloak.py
	$(BIN)/python benchmarks/attacks.py
	$(BIN)/python benchmarks/portraits.py
	$(BIN)/python benchmarks/backdrops.py
	$(BIN)/python benchmarks/detector.py
	$(BIN)/python benchmarks/rotations.py
	$(BIN)/python benchmarks/looks.py
	$(BIN)/python benchmarks/kinds.py
	$(BIN)/python benchmarks/overlap.py
	$(BIN)/python benchmarks/margin.py
	$(BIN)/python benchmarks/displays.py
	$(BIN)/python benchmarks/frontier.py
	$(BIN)/python benchmarks/recognisers.py
	$(BIN)/python benchmarks/canaries.py
	$(BIN)/python benchmarks/pack.py
	$(BIN)/python benchmarks/robust.py
	$(BIN)/python benchmarks/service.py
	$(BIN)/python benchmarks/web.py
	$(BIN)/python benchmarks/audit.py
	$(BIN)/python benchmarks/sameness.py
	$(BIN)/python benchmarks/explain.py
	$(BIN)/python benchmarks/video.py
	$(BIN)/python benchmarks/fuzz.py
	$(BIN)/python benchmarks/mutants.py

# The manual page says what the commands say of themselves.
manual: setup
	$(BIN)/python -m uncnn.daemon.cli.manual > docs/uncnn-daemon.1

# docs/ as pages that load nothing from elsewhere: open build/site/html/index.html. A warning is an error.
site: setup
	$(BIN)/python docs/site/build.py build/site

# Pins without a single host: uv.lock names hosts in every entry. torch's build for CPUs is another file of the same
# version, from an index of its own (uv's --torch-backend cpu): what the two builds differ in has no hash there.
PINS := $(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 pyproject.toml
OF_TORCH := ^(torch|torchvision|triton|cuda-[a-z-]*|nvidia-[a-z0-9-]*)==
lock:
	$(PINS) --extra cuda -o requirements.txt
	$(PINS) --extra cuda --group dev -c requirements.txt -o requirements-dev.txt
	$(PINS) --extra cpu -c requirements.txt -o requirements-cpu.txt \
		$$(grep -oE '$(OF_TORCH)' requirements.txt | sed 's/==//; s/^/--no-emit-package /')
	grep -oE '^(torch|torchvision)==[0-9.]+' requirements.txt >> requirements-cpu.txt
