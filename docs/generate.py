"""Write what follows from the code: `python -m docs.generate` in the repository's root.

docs/events/*.json, docs/asyncapi.yaml, docs/openapi/*.json, docs/data-flow.md and .env.example. A test fails when one
of them drifts.
"""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path

import yaml
from pydantic.fields import FieldInfo

from castlist.contract import asyncapi
from castlist.service.openapi import openapi
from castlist.service.settings import Settings
from docs.data_flow import data_flow

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ("ingest", "frame_workers", "profile_aggregator", "query_api")
HTTP_SERVICES = ("ingest", "query_api")


def rendered() -> dict[Path, str]:
    """Every generated file with what belongs in it."""
    files = {
        ROOT / "docs" / "events" / f"{name}.json": json.dumps(asyncapi.json_schema(kind), indent=2) + "\n"
        for name, kind in asyncapi.events().items()
    }
    files[ROOT / "docs" / "asyncapi.yaml"] = yaml.safe_dump(
        asyncapi.document(), sort_keys=False, allow_unicode=True, width=120
    )
    for service in HTTP_SERVICES:
        api = importlib.import_module(f"{service}.app").API
        files[ROOT / "docs" / "openapi" / f"{service.replace('_', '-')}.json"] = (
            json.dumps(openapi(api), indent=2) + "\n"
        )
    files[ROOT / "docs" / "data-flow.md"] = data_flow()
    files[ROOT / ".env.example"] = env_example()
    return files


def env_example() -> str:
    """Every setting of every service with its default, commented out."""
    lines = [
        "# What can be set, by environment or in a file `.env` beside this one; the values are the defaults.",
        "# Generated from the services' settings by `python -m docs.generate`.",
        "",
        "# --- all services",
        *_described(Settings.model_fields),
    ]
    for service in SERVICES:
        own: type[Settings] = importlib.import_module(f"{service}.settings").Settings
        fields = {name: field for name, field in own.model_fields.items() if name not in Settings.model_fields}
        if fields:
            lines += ["", f"# --- {service.replace('_', '-')}", *_described(fields)]
    return "\n".join(lines) + "\n"


def _described(fields: dict[str, FieldInfo]) -> Iterator[str]:
    for name, field in fields.items():
        # A default that depends on the machine has no value to show; its description says what it is.
        value = "" if field.default_factory is not None or field.default is None else field.default
        yield f"# {field.description}"
        yield f"# {name.upper()}={value}"


def main() -> None:
    """Write all files, and remove schemas of events that are no more."""
    files = rendered()
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    for schema in (ROOT / "docs" / "events").glob("*.json"):
        if schema not in files:
            schema.unlink()


if __name__ == "__main__":
    main()
