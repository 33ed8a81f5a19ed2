# Needs make and Python >= 3.11, nothing else. `make` alone says what there is.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
PY := $(BIN)/python
STAMP := .venv/installed
COLAB_STAMP := .venv-colab/installed
EXTRAS := notebooks,test
NOTEBOOKS := $(PY) -m course_utils.notebooks
COLAB := PYTHONPATH="$(CURDIR)/.venv-colab" $(PY)
WIDGET_TESTS = $(or $(wildcard tests/widgets tests/test_widgets*.py),$(error there are no tests of the widgets))
PYTEST := $(PY) -m pytest -n 2 --dist loadfile

# PYTHON=... names the interpreter; otherwise the first of these that is new enough.
PYTHON ?=
CANDIDATES := python3 python3.13 python3.12 python3.11 python
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))

.PHONY: help course test test-colab lab notebooks notebooks-run pages figures bench release clean

help: ## this list
	@echo "From Autoencoders to Soft-IntroVAE"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-22s %s\n", $$1, $$2 }'

course: $(STAMP) ## run every solution notebook from the shipped weights and write the pages to build/
	$(NOTEBOOKS) course

test: $(STAMP) ## all tests, on two cores (ARGS="-k vae" passes options to pytest)
	OMP_NUM_THREADS=1 $(PYTEST) $(ARGS)

test-colab: $(COLAB_STAMP) ## the tests of the widgets with the ipywidgets that Colab has
	$(COLAB) -c "import ipywidgets; assert ipywidgets.__version__ == '7.7.1', ipywidgets.__version__"
	OMP_NUM_THREADS=1 $(COLAB) -m pytest $(WIDGET_TESTS) $(ARGS)

lab: $(STAMP) ## open the notebooks in JupyterLab
	$(PY) -m jupyter lab --notebook-dir=notebooks

notebooks: $(STAMP) ## build exercise and solution notebooks from notebooks/source/
	$(NOTEBOOKS) build $(CHAPTERS)

notebooks-run: $(STAMP) ## the same, then run the solutions and keep their figures (CHAPTERS="02" for some)
	$(NOTEBOOKS) build --execute $(CHAPTERS)

pages: $(STAMP) ## write the pages to build/ from the solution notebooks as they are
	$(NOTEBOOKS) pages

figures: $(STAMP) ## draw every figure of the course again
	$(BIN)/course figures

bench: $(STAMP) ## measure speed: the notebooks, then every script in benchmarks/
	$(NOTEBOOKS) time
	@set -e; for script in $(sort $(wildcard benchmarks/bench_*.py)); do echo "$$script"; $(PY) $$script; done

release: $(STAMP) ## write what students get, without solutions, to DIR (make release DIR=../for-students)
	@test -n "$(DIR)" || { echo "make release needs a folder: make release DIR=../for-students"; exit 2; }
	$(NOTEBOOKS) release --out "$(DIR)"

clean: ## remove what make built: build/ and both environments
	rm -rf build .venv .venv-colab .pytest_cache .ruff_cache course_utils.egg-info

# The environment is built again when the list of packages changes.
$(STAMP): pyproject.toml constraints.txt
	@python="$(PYTHON)"; \
	if [ -z "$$python" ]; then for name in $(CANDIDATES); do \
	    if "$$name" -c "$(NEW_ENOUGH)" 2>/dev/null; then python="$$name"; break; fi; done; fi; \
	if [ -z "$$python" ] || ! "$$python" -c "$(NEW_ENOUGH)" 2>/dev/null; then \
	    echo "This course needs Python 3.11 or newer; found: $$($${python:-python3} --version 2>&1 || true)."; \
	    echo "Install one, or name it: make course PYTHON=/path/to/python3.12"; exit 1; fi; \
	echo "environment: .venv with $$("$$python" --version)"; \
	test -x $(PY) || "$$python" -m venv .venv || { rm -rf .venv; \
	    echo "Python's venv module does not work here; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "environment: installing the package and what it needs (a few minutes the first time)"
	$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[$(EXTRAS)]"
	@touch $@

# The main environment, with Colab's ipywidgets in a folder that goes before it.
$(COLAB_STAMP): $(STAMP)
	rm -rf .venv-colab
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --target .venv-colab \
	    ipywidgets==7.7.1 widgetsnbextension==3.6.10 jupyterlab-widgets==1.1.11 ipython-genutils==0.2.0
	@touch $@
