# Two commands do all the set-up: `make elm` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= runs/tiny
SITE := https://elm-nb.github.io/elm_nb/

.DEFAULT_GOAL := help
.PHONY: help elm test readme docs docs-serve clean

help: ## What can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 8

elm: $(VENV)/installed ## All three stages at a tiny scale, in about a quarter of an hour, with a page of results
	$(BIN)/elm pipeline --scale tiny --out $(OUT)

test: $(VENV)/installed-dev ## Run all notebooks and tests
	PATH="$(abspath $(BIN)):$$PATH" nbdev-test --n-workers 2
	$(BIN)/python -m pytest -q

readme: $(VENV)/installed-dev ## Write README.md from nbs/index.ipynb
	$(BIN)/python -m nbconvert --to markdown --stdout --log-level ERROR --TemplateExporter.extra_template_basedirs=.ci --template readme nbs/index.ipynb \
		| sed -E -e 's#\]\(images/#](nbs/images/#g' -e 's#\]\((\./)?([a-z]+/)?[0-9]+_([a-z0-9_]+)\.ipynb(\#[^)]*)?\)#]($(SITE)\2\3.html\4)#g' > README.md

docs: $(VENV)/installed-dev ## Write the site into _docs/, without Quarto; formulas come from npm
	$(BIN)/python .ci/render.py

docs-serve: docs ## Show the site at http://localhost:8000
	$(BIN)/python -m http.server -b localhost -d _docs 8000

clean: ## Remove the environment
	rm -rf $(VENV)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'elm_nb needs Python 3.11 or later; name one with: make PYTHON=python3.11'; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo 'This Python cannot make environments with pip; on Debian: apt-get install python3-venv'; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python settings.ini setup.py pyproject.toml constraints.txt
	$(BIN)/python -m pip install -c constraints.txt -e '.[fast]'
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	@touch $@
