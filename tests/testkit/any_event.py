"""Hypothesis strategies for anything that events and records may hold, read from their annotations."""

import types
from collections.abc import Sequence
from dataclasses import is_dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from hypothesis import strategies as st
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, StringConstraints
from pydantic.fields import FieldInfo

from castlist.contract.values import ENCODING_SIZE
from castlist.contract.vectors import encode_vector

_ENCODINGS = st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=4).map(
    lambda few: encode_vector(np.resize(np.array(few, dtype="<f4"), ENCODING_SIZE))
)
_MOMENTS = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))
_INT64 = st.integers(-(2**63), 2**63 - 1)
_NAMES = st.from_regex("[a-z][a-z0-9_]{0,7}", fullmatch=True)
_KINDS: dict[Any, st.SearchStrategy[Any]] = {
    type(None): st.none(),
    bool: st.booleans(),
    bytes: st.binary(max_size=64),
    AwareDatetime: _MOMENTS,
    # That of a record: MongoDB keeps milliseconds.
    datetime: _MOMENTS.map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)),
    Any: st.none() | st.booleans() | _INT64 | st.text(max_size=20) | st.lists(_INT64, max_size=2),
}


def models(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of an event's model, of a dataclass or of a record."""
    if issubclass(kind, BaseModel):
        fields = {name: _values(field.annotation, field.metadata) for name, field in kind.model_fields.items()}
        return st.fixed_dictionaries(fields).map(kind.model_validate)
    assert is_dataclass(kind) or issubclass(kind, msgspec.Struct), f"no strategy for {kind!r}"
    hints = get_type_hints(kind, include_extras=True)
    return st.builds(kind, **{name: _values(hint) for name, hint in hints.items()})


def _values(annotation: Any, metadata: Sequence[Any] = ()) -> st.SearchStrategy[Any]:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        more = [found for one in parts[1:] for found in (one.metadata if isinstance(one, FieldInfo) else [one])]
        return _values(parts[0], [*metadata, *more])
    if annotation is str and any(isinstance(one, AfterValidator) for one in metadata):
        return _ENCODINGS
    if origin is Literal:
        return st.sampled_from(parts)
    if origin is tuple and parts[-1] is Ellipsis:
        return st.lists(_values(parts[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(_values, parts))
    if origin is dict:
        return st.dictionaries(_NAMES if parts[0] is str else _values(parts[0]), _values(parts[1]), max_size=2)
    if origin in (Union, types.UnionType):
        return st.one_of(*map(_values, parts))
    return _plain(annotation, metadata)


def _plain(kind: Any, metadata: Sequence[Any]) -> st.SearchStrategy[Any]:
    if kind in _KINDS:
        return _KINDS[kind]
    if kind is str:
        limits = next((one for one in metadata if isinstance(one, StringConstraints)), StringConstraints())
        return _texts(limits, cleaned=any(isinstance(one, BeforeValidator) for one in metadata))
    low = next((one.ge if isinstance(one, Ge) else one.gt for one in metadata if isinstance(one, Ge | Gt)), None)
    high = next((one.le if isinstance(one, Le) else one.lt for one in metadata if isinstance(one, Le | Lt)), None)
    if kind is int:
        if any(isinstance(one, Lt) for one in metadata):
            high -= 1  # type: ignore[operator]
        return st.integers(low, high) if metadata else _INT64  # type: ignore[arg-type]
    if kind is float:
        numbers: st.SearchStrategy[float] = st.floats(
            low,  # type: ignore[arg-type]
            high,  # type: ignore[arg-type]
            allow_nan=False,
            allow_infinity=False,
            exclude_min=any(isinstance(one, Gt) for one in metadata),
            exclude_max=any(isinstance(one, Lt) for one in metadata),
        )
        return numbers
    return models(kind)


def _texts(limits: StringConstraints, cleaned: bool) -> st.SearchStrategy[str]:
    """`cleaned`: of what is left as it is where it comes in."""
    if limits.pattern is not None:
        return st.from_regex(str(limits.pattern).removeprefix("^").removesuffix("$"), fullmatch=True)
    longest = 100 if limits.max_length is None else min(limits.max_length, 100)
    letters = st.characters(exclude_categories=["C", "Zl", "Zp"] if cleaned else ["Cs"])
    return st.text(letters, min_size=limits.min_length or 0, max_size=longest)
