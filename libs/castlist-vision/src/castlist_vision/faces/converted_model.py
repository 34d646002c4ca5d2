"""Models as ONNX Runtime wants them: converted from what a package has, on first use, and kept for the user."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path


def converted(cache_folder: Path, name: str, source: bytes, converter: str) -> Path:
    """The model that `converter`, a module here, makes of `source`: it is kept under the digest of both.

    Processes that make it at once each put a whole file in place.
    """
    spec = find_spec(f"castlist_vision.faces.{converter}")
    assert spec is not None
    assert spec.origin is not None
    digest = hashlib.sha256(source + Path(spec.origin).read_bytes()).hexdigest()[:16]
    target = cache_folder / f"{name}-{digest}.onnx"
    if not target.exists():
        convert: Callable[[bytes], bytes] = import_module(
            spec.name
        ).convert  # it loads `onnx`, which is needed this once
        cache_folder.mkdir(parents=True, exist_ok=True)
        model = convert(source)
        with tempfile.NamedTemporaryFile(dir=cache_folder, prefix=f".{name}-", delete=False) as file:
            file.write(model)
        os.replace(file.name, target)
    return target
