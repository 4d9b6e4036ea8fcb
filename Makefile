# The commands of the README. Each makes the environment first if it is missing or stale.
PYTHON ?= python3
BIN    := .venv/bin

.PHONY: demo test lint bench clean

$(BIN)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(BIN)/installed
	rm -rf runs/demo-softmax runs/demo-arcface
	$(BIN)/gonio train --data glyphs --loss softmax --out runs/demo-softmax
	$(BIN)/gonio train --data glyphs --loss arcface --out runs/demo-arcface
	$(BIN)/gonio evaluate runs/demo-softmax runs/demo-arcface --untrained

lint: $(BIN)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest -n 2

bench: $(BIN)/installed
	$(BIN)/python -m benchmarks.heads

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache
