# make demo   set all up and segment real photos
# make test   set all up and run every test
# make app    open the FiftyOne App on the demo's dataset
# make docs   set all up, build the documentation and serve it

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

export FIFTYONE_DO_NOT_TRACK = true
export FIFTYONE_DATABASE_VALIDATION = false
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test app docs site lint setup clean

demo: setup
	$(BIN)/promerge demo

test: setup
	$(BIN)/python -m pytest -n 2 --no-loadscope-reorder

app: setup
	$(BIN)/promerge app

docs: site
	@echo "The documentation: http://127.0.0.1:8000, until Ctrl-C"
	$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory build/site

site: setup
	$(BIN)/python -m sphinx -W --keep-going docs build/site

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Setting up $(VENV): a few minutes and about 6 GB, once"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m fiftyone_promerge.mongod
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info demo
