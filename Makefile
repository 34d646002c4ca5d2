.PHONY: up down status demo test faults lint format docs lock

up down status demo test:
	python3 deploy $@

faults:
	python3 deploy test --faults

lint:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy libs/castlist/src libs/castlist-client/src libs/castlist-vision/src libs/castlist-identity/src ingest/src frame-workers/src profile-aggregator/src query-api/src deploy docs tests
	.venv/bin/mypy bench

format:
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

# JSON Schemas, AsyncAPI, data-flow.md and .env.example, from events, topics and settings.
docs:
	.venv/bin/python -m docs.generate

# Resolve the workspace anew, export the lock (docs/adr/0001), and from it what goes into which image.
lock:
	uv lock
	uv export --frozen --no-emit-workspace --all-packages --no-header --no-annotate -o requirements.lock
	python3 deploy fetch
	.venv/bin/python -m deploy.images.locks
