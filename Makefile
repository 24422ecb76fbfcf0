# make run: the app. make test: all tests. Both install what they need, and only when it changed.
ADDRESS ?= 127.0.0.1
PORT    ?= 8501
PYTHON  ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
             $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV    := .venv/bin

# make screenshots: the pictures of the README, taken by the browser tests.
.PHONY: run test install dev check screenshots

run: install
	@$(VENV)/python -m core models download embedded --quiet
	@$(VENV)/streamlit run streamlit_app.py --server.address $(ADDRESS) --server.port $(PORT)

install:
	@$(or $(PYTHON),python3) -m core.install

dev:
	@$(or $(PYTHON),python3) -m core.install dev

test: dev
	@$(VENV)/python -m pytest -n 2 --dist loadfile --ignore=tests/e2e
	@$(VENV)/python -m pytest tests/e2e

screenshots: dev
	@YUAN_REQUIRE_BROWSER=1 YUAN_SCREENSHOTS=docs/screenshots $(VENV)/python -m pytest tests/e2e

check: dev
	@$(VENV)/ruff format --check . && $(VENV)/ruff check . && $(VENV)/mypy && $(VENV)/lint-imports
