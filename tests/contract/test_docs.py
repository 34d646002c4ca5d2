"""The generated documents say what the code says."""

import ast
import json
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from hypothesis import given, settings
from pydantic_settings import BaseSettings

from castlist.contract import asyncapi
from castlist.contract.codec import encode
from castlist.contract.topics import TOPICS, topic_of
from castlist.contract.video_warnings import WARNING_CODES
from castlist.ports.dead_letters import cut, dead_letter
from castlist.ports.messages import Message
from castlist.service.problems import TITLES, kind_of
from castlist.tasks.lifecycle import ERROR_CODES
from docs import generate
from testkit.any_event import models
from testkit.examples import examples

RENDERED = generate.rendered()


@pytest.mark.parametrize("path", sorted(RENDERED), ids=lambda path: path.name)
def test_generated_files_have_not_drifted(path: Any) -> None:
    """What is committed is what the code generates: run `python -m docs.generate` after a change."""
    assert path.exists(), f"{path.name} is missing: run `python -m docs.generate`"
    assert path.read_text() == RENDERED[path], f"{path.name} has drifted: run `python -m docs.generate`"


def test_no_schema_is_left_of_an_event_that_is_gone() -> None:
    """docs/events holds the schemas of today's events and no others."""
    assert {path.name for path in (generate.ROOT / "docs/events").iterdir()} == {f"{n}.json" for n in asyncapi.events()}


@pytest.mark.parametrize("event", examples(), ids=lambda event: event.event)
def test_what_we_encode_fits_its_schema(event: Any) -> None:
    """The JSON Schema accepts what the codec writes, and refuses it without `event`, `version` or `event_id`."""
    schema = asyncapi.json_schema(type(event))
    jsonschema.Draft7Validator.check_schema(schema)
    body = yaml.safe_load(encode(event))
    validator = jsonschema.Draft7Validator(schema)
    validator.validate(body)
    for name in ("event", "version", "event_id"):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({key: value for key, value in body.items() if key != name})


@pytest.mark.parametrize("kind", asyncapi.events().values(), ids=lambda kind: kind.__name__)
def test_any_event_fits_its_schema(kind: Any) -> None:
    """Whatever the models allow, the schemas do."""
    validator = jsonschema.Draft7Validator(asyncapi.json_schema(kind))

    @settings(max_examples=10, deadline=None)
    @given(models(kind))
    def holds(event: Any) -> None:
        validator.validate(json.loads(encode(event)))

    holds()


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    """Channels, messages and schema files that are referred to exist; ids have the form that is asked for."""
    document = yaml.safe_load((generate.ROOT / "docs/asyncapi.yaml").read_text())
    references = list(_references(document))
    assert len(references) > 3 * len(TOPICS)
    for reference in references:
        if reference.startswith("#/"):
            at = document
            for step in reference[2:].split("/"):
                at = at[step]
        else:
            assert (generate.ROOT / "docs" / reference).exists(), reference
    for part in ("channels", "operations"):
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in document[part])


def _references(node: Any) -> Any:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def test_the_asyncapi_document_has_every_topic_and_its_dead_letters() -> None:
    """Each declared topic is a channel with its partitions, retention and exactly its events."""
    channels = {channel["address"]: channel for channel in asyncapi.document()["channels"].values()}
    assert set(channels) == {name for topic in TOPICS for name in (topic.name, topic.dead)}
    for topic in TOPICS:
        kafka = channels[topic.name]["bindings"]["kafka"]
        assert kafka["partitions"] == topic.partitions
        assert kafka["topicConfiguration"]["retention.ms"] == topic.retention * 1000
        assert set(channels[topic.name]["messages"]) == {kind.__name__ for kind in topic.events}


def test_dead_letters_carry_the_headers_that_are_documented() -> None:
    """Those of a whole one are always there; one that was cut has one more."""
    headers = asyncapi.document()["components"]["messages"]["DeadLetter"]["headers"]
    whole = dead_letter(Message("video.chunks", 1, 2, b"k", b"v"), "why")
    assert {name for name, _ in whole.headers} == set(headers["required"])
    assert {name for name, _ in cut(whole).headers} == set(headers["properties"])
    assert whole.topic in {channel["address"] for channel in asyncapi.document()["channels"].values()}


def test_every_event_has_one_topic() -> None:
    """No event is carried by two topics: its topic follows from its type."""
    carried = [kind for topic in TOPICS for kind in topic.events]
    assert len(carried) == len(set(carried))
    assert all(type(event) in topic_of(event).events for event in examples())


def test_an_env_file_with_the_example_values_changes_nothing(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uncommenting every line that shows a value gives the settings that hold without a file."""
    shown = re.findall(r"^# ([A-Z][A-Z0-9_]*)=(.*)$", RENDERED[generate.ROOT / ".env.example"], re.MULTILINE)
    for name, _ in shown:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    before = [service().model_dump() for service in _all_settings()]
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in shown if value))
    assert [service().model_dump() for service in _all_settings()] == before
    assert {name.lower() for name, _ in shown} == {name for service in _all_settings() for name in service.model_fields}


def test_the_readme_names_settings_that_exist() -> None:
    """Every variable in its configuration table is read by a service."""
    named = re.findall(r"`([A-Z][A-Z0-9_]+)`", "".join(_rows((generate.ROOT / "README.md").read_text())))
    assert len(named) > 10
    assert {name.lower() for name in named} <= {name for kind in _all_settings() for name in kind.model_fields}


def _rows(page: str) -> Iterator[str]:
    """The first cells of a page's table rows."""
    return (line.split("|")[1] for line in page.splitlines() if line.startswith("| "))


def _all_settings() -> list[type[BaseSettings]]:
    return [import_module(f"{service}.settings").Settings for service in generate.SERVICES]


def test_every_problem_of_a_request_is_explained() -> None:
    """docs/problems.md has a heading for each `type` that a service answers with, and for nothing else."""
    emitted = {kind_of(status) for status in TITLES} | set(_literal_kinds())
    assert set(re.findall(r"^### (.+)$", _problems(), re.MULTILINE)) == emitted


def test_every_error_code_of_a_task_is_explained() -> None:
    """docs/problems.md lists exactly the codes that `error.code` may say, with their meaning."""
    assert _table("## Of a task") == ERROR_CODES


def test_every_warning_of_a_task_is_explained() -> None:
    """docs/problems.md lists exactly the codes that a warning may have, with their meaning."""
    assert _table("## Warnings") == WARNING_CODES


def _table(heading: str) -> dict[str, str]:
    section = _problems().split(f"\n{heading}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE))


def _problems() -> str:
    return (generate.ROOT / "docs/problems.md").read_text()


def _literal_kinds() -> Iterator[str]:
    for path in (*generate.ROOT.glob("*/src/**/*.py"), *generate.ROOT.glob("libs/*/src/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Problem":
                kinds = [keyword.value for keyword in node.keywords if keyword.arg == "kind"]
                yield from (ast.literal_eval(kind) for kind in kinds)
