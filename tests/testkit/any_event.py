"""Hypothesis strategies for anything that the contract allows, read from the models' annotations."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args, get_origin

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from hypothesis import strategies as st
from pydantic import AfterValidator, AwareDatetime, BaseModel, StringConstraints
from pydantic.fields import FieldInfo

from castlist.contract.values import ENCODING_SIZE
from castlist.contract.vectors import encode_vector

_ENCODINGS = st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=4).map(
    lambda few: encode_vector(np.resize(np.array(few, dtype="<f4"), ENCODING_SIZE))
)


def models(kind: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Any value of a model."""
    fields = {name: _values(field.annotation, field.metadata) for name, field in kind.model_fields.items()}
    return st.fixed_dictionaries(fields).map(kind.model_validate)


def _values(annotation: Any, metadata: Sequence[Any] = ()) -> st.SearchStrategy[Any]:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        more = [found for one in parts[1:] for found in (one.metadata if isinstance(one, FieldInfo) else [one])]
        return _values(parts[0], [*metadata, *more])
    if annotation is str and any(isinstance(one, AfterValidator) for one in metadata):
        return _ENCODINGS
    if origin is Literal:
        return st.sampled_from(parts)
    if origin is tuple:
        return st.lists(_values(parts[0]), max_size=2).map(tuple)
    if origin is dict:
        return st.dictionaries(_values(parts[0]), _values(parts[1]), max_size=2)
    if parts:
        return st.one_of(*map(_values, parts))
    return _plain(annotation, metadata)


def _plain(kind: Any, metadata: Sequence[Any]) -> st.SearchStrategy[Any]:
    if kind is type(None):
        return st.none()
    if kind is AwareDatetime:
        return st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))
    if kind is str:
        return _texts(next((one for one in metadata if isinstance(one, StringConstraints)), StringConstraints()))
    low = next((one.ge if isinstance(one, Ge) else one.gt for one in metadata if isinstance(one, Ge | Gt)), None)
    high = next((one.le if isinstance(one, Le) else one.lt for one in metadata if isinstance(one, Le | Lt)), None)
    if kind is int:
        return st.integers(low, high)  # type: ignore[arg-type]
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


def _texts(limits: StringConstraints) -> st.SearchStrategy[str]:
    if limits.pattern is not None:
        return st.from_regex(str(limits.pattern).removeprefix("^").removesuffix("$"), fullmatch=True)
    longest = 100 if limits.max_length is None else min(limits.max_length, 100)
    return st.text(min_size=limits.min_length or 0, max_size=longest)
