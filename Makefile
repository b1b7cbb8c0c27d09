# `make run` and `make test` set everything up first, inside this folder; see `make help`.
python = .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: run test setup lock clean help

run: setup ## run the pipeline and publish; options go into ARGS: make run ARGS="--epochs 3"
	$(python) local_runner.py $(ARGS)

test: setup ## check style and types, then run the tests; ARGS go to pytest
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy
	$(python) -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile $(ARGS)

setup: ## make .venv from the lock, unless it is up to date; PYTHON=... names the interpreter
	@tools/setup.sh

lock: ## write requirements/*.txt anew from pyproject.toml; UPGRADE=1 takes newer versions
	@tools/lock.sh

clean: ## remove .venv and every cache, but no output
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## show this
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile | expand -t 16
