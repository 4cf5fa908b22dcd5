# Every target makes .venv itself when it is missing or older than pyproject.toml.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow lint bench

demo: .venv/ready
	$(BIN)/lpcv demo

# Two processes of one thread each: two that take both cores slow each other down tenfold. Bytecode is kept, whatever
# the environment says, so that the hundreds of processes which the tests start need not compile the package.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

test: .venv/ready
	$(PYTEST)

test-slow: .venv/ready
	$(PYTEST) -m "slow or not slow"

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: .venv/ready
	for each in benchmarks/*.py; do $(BIN)/python $$each || exit 1; done

# torch and torchvision are asked for in one call, so that they come as a matched pair, and before the rest: pip keeps
# all that it fetched until all is installed, and these are most of it.
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch torchvision
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

# The wheel, installed in an environment of its own and run from another folder. What it needs is taken from .venv, so
# that 5 GB of torch are not installed twice; `pip check` sees to it that nothing is missing.
.PHONY: wheel-elsewhere
wheel-elsewhere: .venv/ready
	rm -rf build dist .venv-wheel
	$(BIN)/python -m build --quiet --wheel
	$(PYTHON) -m venv .venv-wheel
	$(BIN)/python -c "import site; print(site.getsitepackages()[0])" > \
		$$(.venv-wheel/bin/python -c "import site; print(site.getsitepackages()[0])")/needs.pth
	.venv-wheel/bin/python -m pip install --quiet --no-deps --force-reinstall dist/*.whl
	$(BIN)/python -m pip check
	cd / && $(CURDIR)/.venv-wheel/bin/python -c "import lpcv, sys; sys.exit('site-packages' not in lpcv.__file__)"
	cd / && $(CURDIR)/.venv-wheel/bin/lpcv --version
	cd "$$(mktemp -d)" && $(CURDIR)/.venv-wheel/bin/lpcv data make scenes --scenes 2 && \
		$(CURDIR)/.venv-wheel/bin/lpcv data check scenes && $(CURDIR)/.venv-wheel/bin/lpcv contract > contract.txt
	rm -rf build .venv-wheel
