"""Write what follows from the code: `python -m docs.generate` in the repository's root.

docs/events/*.json, docs/asyncapi.yaml, docs/openapi/*.json, docs/data-flow.md, docs/formats.md, .env.example, and the
tables of docs/operating.md. A test fails when one of them drifts.
"""

import importlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml
from prometheus_client import metrics as prometheus
from pydantic.fields import FieldInfo

from castlist.contract import asyncapi
from castlist.contract.topics import TOPICS
from castlist.media.containers import CONTAINERS
from castlist.service import metrics
from castlist.service.exit_codes import ExitCode
from castlist.service.log_events import LOG_EVENTS
from castlist.service.openapi import openapi
from castlist.service.settings import Settings
from castlist.store.collections import COLLECTIONS
from docs.data_flow import data_flow

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ("ingest", "frame_workers", "profile_aggregator", "query_api")
HTTP_SERVICES = ("ingest", "query_api")


def rendered() -> dict[Path, str]:
    """Every generated file with what belongs in it."""
    docs = ROOT / "docs"
    files = {docs / "events" / f"{name}.json": _json(asyncapi.json_schema(kind)) for name, kind in _events()}
    for service in HTTP_SERVICES:
        api = importlib.import_module(f"{service}.app").API
        files[docs / "openapi" / f"{service.replace('_', '-')}.json"] = _json(openapi(api))
    files[docs / "asyncapi.yaml"] = yaml.safe_dump(asyncapi.document(), sort_keys=False, allow_unicode=True, width=120)
    files[docs / "data-flow.md"] = data_flow()
    files[docs / "formats.md"] = formats()
    files[docs / "operating.md"] = operating((docs / "operating.md").read_text())
    for service in SERVICES:
        page = ROOT / service.replace("_", "-") / "README.md"
        files[page] = _with_table(page.read_text(), "service", service_table(page.parent.name))
    files[ROOT / ".env.example"] = env_example()
    return files


def _events() -> Iterable[tuple[str, type]]:
    return asyncapi.events().items()


def _json(document: object) -> str:
    return json.dumps(document, indent=2) + "\n"


def formats() -> str:
    """The list of what is read."""
    lines = [
        "# What is read",
        "",
        "A file is known by its first bytes, whatever it is called; in folders the client looks into files whose names",
        "it does not know. Everything else is refused before it is uploaded. Generated from",
        "[media/containers.py](../libs/castlist/src/castlist/media/containers.py) by `python -m docs.generate`.",
        "",
        "| format | names | FFmpeg's demuxer |",
        "| --- | --- | --- |",
    ]
    for one in CONTAINERS:
        lines.append(f"| {one.name} | {' '.join(one.suffixes)} | `{one.demuxer}` |")
    return "\n".join(lines) + "\n"


# --- settings ---------------------------------------------------------------------------------------------------------


def settings_by_service() -> dict[str, dict[str, FieldInfo]]:
    """The settings that all services have, and each service's own."""
    found = {"all services": dict(Settings.model_fields)}
    for service in SERVICES:
        own: type[Settings] = importlib.import_module(f"{service}.settings").Settings
        fields = {name: field for name, field in own.model_fields.items() if name not in Settings.model_fields}
        if fields:
            found[service.replace("_", "-")] = fields
    return found


def _default(field: FieldInfo) -> str:
    """A default that depends on the machine has no value to show; its description says what it is."""
    return "" if field.default_factory is not None or field.default is None else str(field.default)


def env_example() -> str:
    """Every setting of every service with its default, commented out."""
    lines = [
        "# What can be set, by environment or in a file `.env` beside this one; the values are the defaults.",
        "# Generated from the services' settings by `python -m docs.generate`.",
    ]
    for service, fields in settings_by_service().items():
        lines += ["", f"# --- {service}"]
        for name, field in fields.items():
            lines += [f"# {field.description}", f"# {name.upper()}={_default(field)}"]
    return "\n".join(lines) + "\n"


# --- operating.md -----------------------------------------------------------------------------------------------------


def operating(text: str) -> str:
    """The page with its tables as they are now."""
    tables = {
        "settings": _table(("setting", "default", "what", "of"), _settings()),
        "exit codes": _table(("code", "name", "what"), ((str(int(c)), f"`{c.name}`", c.meaning) for c in ExitCode)),
        "metrics": _table(("metric", "type", "labels", "what"), _metrics()),
        "log events": _table(("event", "what"), ((f"`{name}`", what) for name, what in LOG_EVENTS.items())),
    }
    for name, table in tables.items():
        text = _with_table(text, name, table)
    return text


def _with_table(text: str, name: str, table: str) -> str:
    """The page with `table` between its marks."""
    mark, end = f"<!-- generated: {name} -->", "<!-- end -->"
    before, _, rest = text.partition(mark)
    assert rest, f"the page has no place for {name}"
    return f"{before}{mark}\n{table}\n{end}{rest.partition(end)[2]}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _settings() -> Iterator[tuple[str, ...]]:
    for service, fields in settings_by_service().items():
        for name, field in fields.items():
            default = f"`{_default(field)}`" if _default(field) else ""
            yield f"`{name.upper()}`", default, str(field.description), service


def _metrics() -> Iterator[tuple[str, ...]]:
    for metric in vars(metrics).values():
        if isinstance(metric, prometheus.MetricWrapperBase):
            (family,) = metric.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            yield f"`{name}`", family.type, ", ".join(metric._labelnames), family.documentation


# --- the services' own pages ------------------------------------------------------------------------------------------


def service_table(service: str) -> str:
    """What goes in and out of a service: events, and collections of MongoDB."""
    owned = [one.name for one in COLLECTIONS if one.owner == service]
    written = [one.name for one in COLLECTIONS if service in one.writers]
    read = [one.name for one in COLLECTIONS if service in one.readers]
    rows = (
        ("events in", _named(topic.name for topic in TOPICS if service in topic.consumers)),
        ("events out", _named(topic.name for topic in TOPICS if service in topic.producers)),
        ("collections of its own", _named(owned)),
        ("it writes as well", _named(written)),
        ("it only reads", _named(read)),
    )
    return _table(("", ""), rows)


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "–"


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
