"""Filters and changes of records, said by their fields: `eq(TaskRecord.status, "done")`.

A field that a record does not have is no attribute of it, which the type check sees. `Documents` names the part of
MongoDB's language that these stand for.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

Sort = tuple[str, int]


@functools.cache
def name_of(member: Any) -> str:
    """How a record's field is called in MongoDB; TypeError for what is no field of a record."""
    record = getattr(member, "__objclass__", None)
    if not (isinstance(record, type) and issubclass(record, msgspec.Struct)):
        raise TypeError(f"not a field of a record: {member!r}")
    return record.__struct_encode_fields__[record.__struct_fields__.index(member.__name__)]


def plain(value: Any) -> Any:
    """A record, or a value in one, as MongoDB takes it: dictionaries, lists, text, numbers, bytes, instants."""
    return msgspec.to_builtins(value, builtin_types=(bytes, datetime))


@dataclass(frozen=True)
class Where:
    """Which records are meant; `&` of two means those that both mean."""

    filter: Mapping[str, Any] = field(default_factory=dict)

    def __and__(self, other: "Where") -> "Where":
        if self.filter.keys() & other.filter.keys():
            return Where({"$and": [self.filter, other.filter]})
        return Where({**self.filter, **other.filter})


ANY = Where()


def with_id(id: str) -> Where:
    """The one record with this id."""
    return Where({"_id": id})


def with_ids(ids: Iterable[str]) -> Where:
    """The records with these ids."""
    return Where({"_id": {"$in": list(ids)}})


def eq(member: Any, value: Any) -> Where:
    """The field has this value; with None also: is not there."""
    return Where({name_of(member): plain(value)})


def eq_part(member: Any, part: str, value: Any) -> Where:
    """That part of the field, which is a value of several, has this value."""
    return Where({f"{name_of(member)}.{part}": plain(value)})


def ne(member: Any, value: Any) -> Where:
    """The field has another value; with None: is there, and not null."""
    return Where({name_of(member): {"$ne": plain(value)}})


def one_of(member: Any, values: Iterable[Any]) -> Where:
    """The field has one of these values."""
    return Where({name_of(member): {"$in": [plain(value) for value in values]}})


def below(member: Any, value: Any) -> Where:
    """The field is less than, or earlier than, this."""
    return Where({name_of(member): {"$lt": plain(value)}})


def above(member: Any, value: Any) -> Where:
    """The field is greater than, or later than, this."""
    return Where({name_of(member): {"$gt": plain(value)}})


def at_least(member: Any, value: Any) -> Where:
    """The field is this or greater."""
    return Where({name_of(member): {"$gte": plain(value)}})


def begins_with(member: Any, text: str) -> Where:
    """The field is text that begins so."""
    return Where({name_of(member): {"$gte": text, "$lt": f"{text}\U0010ffff"}})


def within(member: Any, low: Any, high: Any) -> Where:
    """The field is at least `low` and less than `high`."""
    return Where({name_of(member): {"$gte": plain(low), "$lt": plain(high)}})


def of_kind(kind: type[msgspec.Struct]) -> Where:
    """Of a collection that holds records of several kinds, those of one."""
    config = kind.__struct_config__
    return Where({str(config.tag_field): config.tag})


def not_of_kind(kind: type[msgspec.Struct]) -> Where:
    """Of a collection that holds records of several kinds, all but those of one."""
    config = kind.__struct_config__
    return Where({str(config.tag_field): {"$ne": config.tag}})


@dataclass(frozen=True)
class Change:
    """What is to become of a record; `&` of two means both. Fields that are not named stay, unknown ones too."""

    update: Mapping[str, Mapping[str, Any]]

    def __and__(self, other: "Change") -> "Change":
        operators = {**self.update, **other.update}
        return Change({name: {**self.update.get(name, {}), **other.update.get(name, {})} for name in operators})


def set_to(member: Any, value: Any) -> Change:
    """The field gets this value."""
    return Change({"$set": {name_of(member): plain(value)}})


def set_once(member: Any, value: Any) -> Change:
    """The field gets this value if the record is made by this very update."""
    return Change({"$setOnInsert": {name_of(member): plain(value)}})


def insert_as(record: msgspec.Struct) -> Change:
    """The whole record, if it is made by this very update; one that is there stays as it is."""
    return Change({"$setOnInsert": {name: value for name, value in plain(record).items() if name != "_id"}})


def add(member: Any, amount: int) -> Change:
    """The field is raised by so much."""
    return Change({"$inc": {name_of(member): amount}})


def raise_to(member: Any, value: Any) -> Change:
    """The field gets this value unless it is greater already."""
    return Change({"$max": {name_of(member): plain(value)}})


def add_each(member: Any, values: Iterable[Any]) -> Change:
    """The field's list gets those of these values that it does not hold."""
    return Change({"$addToSet": {name_of(member): {"$each": [plain(value) for value in values]}}})


def ascending(member: Any) -> Sort:
    """From the least to the greatest."""
    return name_of(member), 1


def descending(member: Any) -> Sort:
    """From the greatest to the least."""
    return name_of(member), -1
