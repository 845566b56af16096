# Names for what is done often. `make help` prints this list.

BIN := .venv/bin
VENV := python3 -c 'from scripts import environment; environment.ensure("requirements.txt", "requirements-dev.txt")'
TEMPLATES = $(shell find templates live/templates -name '*.html')
# As on a developer's machine and as in production, and not as a ./run beside it left it.
APART = TAT_VAR_DIR=$(CURDIR)/.venv/check SECRET_KEY=$$(python3 -c 'import secrets; print(secrets.token_hex(40))')
DEVELOPED = $(APART) DEBUG=1
# What marks a text, beside gettext and ngettext, which Babel knows.
KEYWORDS = -k gettext_lazy -k ngettext_lazy:1,2 -k pgettext_lazy:1c,2
DEPLOYED = $(APART) DEBUG=0 ALLOWED_HOSTS=tat.example

.DEFAULT_GOAL := help
.PHONY: help run test check bench bench-billing messages lock venv js

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

run: ## start tat here, as ./run does
	./run

test: ## run all tests, as ./test does
	./test

check: venv js ## all checks that need no running service
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(DEVELOPED) $(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djade --check $(TEMPLATES)
	npm run --silent check
	$(DEPLOYED) $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(DEPLOYED) $(BIN)/python manage.py makemigrations --check --dry-run

bench: venv ## measure `live` against its peers (under 6 minutes), and write bench/RESULTS.md
	$(BIN)/python -m bench live

bench-billing: venv ## measure billing (some 8 minutes), and write bench/RESULTS.md
	$(BIN)/python -m bench billing

messages: venv ## extract all texts, update the translations in locale/, and compile them
	PYTHONPATH=. $(BIN)/pybabel --quiet extract --mapping-file locale/babel.cfg $(KEYWORDS) --add-location file \
		--sort-by-file --project tat --output-file .venv/messages.pot .
	$(BIN)/pybabel --quiet update --domain django --input-file .venv/messages.pot --output-dir locale \
		--no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date
	$(BIN)/pybabel --quiet compile --domain django --directory locale --statistics

lock: ## compile requirements*.txt from requirements*.in, with uv
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--output-file requirements.txt requirements.in
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--output-file requirements-dev.txt requirements-dev.in

venv:
	@$(VENV)

js: node_modules/.package-lock.json

node_modules/.package-lock.json: package-lock.json
	npm ci --no-audit --no-fund
