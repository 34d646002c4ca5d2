"""Two implementations of one encoder."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from castlist.contract.box import Box
from castlist_vision.faces import onnx_encoder
from castlist_vision.faces.alignment import CHIP, align
from castlist_vision.faces.dlib_models import ENCODER, FIVE_LANDMARKS, path_of
from castlist_vision.faces.dlib_to_onnx import UnknownModelError, convert
from castlist_vision.faces.encoder import AGREEMENT, DlibEncoder, check_chip, encode_faces, make_encoder
from castlist_vision.faces.onnx_encoder import OnnxEncoder, converted
from testkit.fake_cuda import CUDA, FailingCuda, FakeCuda, WrongCuda


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def pictures() -> list[NDArray[np.uint8]]:
    """Flat, noisy, smooth: extremes and what lies between."""
    random = np.random.default_rng(5)
    noise = random.integers(0, 256, (CHIP, CHIP, 3), dtype=np.uint8)
    flat = [np.full((CHIP, CHIP, 3), level, np.uint8) for level in (0, 255)]
    return [check_chip(), noise, *flat, np.ascontiguousarray(check_chip()[::-1, :, ::-1])]


def test_both_encoders_give_the_same_numbers(cache: Path) -> None:
    """In any batch size, up to float32's noise."""
    chips = pictures()
    reference = DlibEncoder().encode(chips)
    encoder = OnnxEncoder(cache)
    assert np.linalg.norm(encoder.encode(chips) - reference, axis=1).max() < AGREEMENT
    assert np.linalg.norm(encoder.encode(chips[:1]) - reference[:1], axis=1).max() < AGREEMENT
    assert encoder.encode([]).shape == (0, 128)
    assert encoder.encode(chips * 4).shape == (20, 128)


def test_an_encoding_does_not_depend_on_who_else_is_encoded(cache: Path) -> None:
    """To the last bit: a chunk that is done again is told under the same digest."""
    encoder, chips = OnnxEncoder(cache), pictures()
    alone = np.concatenate([encoder.encode([chip]) for chip in chips])
    assert np.array_equal(encoder.encode(chips), alone)


def test_the_converted_model_is_made_once(cache: Path) -> None:
    """And nothing half written is left beside it."""
    path = converted(cache)
    made = path.stat().st_mtime_ns
    assert converted(cache) == path
    assert path.stat().st_mtime_ns == made
    assert list(cache.iterdir()) == [path]


def logged(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """The fields of each event that was logged about the encoder."""
    names = ("encoder", "provider", "reason", "from_dlib")
    return {
        record.message: {name: getattr(record, name) for name in names if hasattr(record, name)}
        for record in caplog.records
        if record.name == "castlist_vision.faces.encoder"
    }


def test_a_damaged_conversion_falls_back_to_dlib(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Never wrong encodings: the log says that the slower one serves."""
    path = converted(tmp_path)
    path.write_bytes(path.read_bytes()[:-1000])
    with caplog.at_level(logging.WARNING):
        assert make_encoder("onnx", tmp_path).name == "dlib"
    assert logged(caplog)["encoder_slow"] == {"encoder": "dlib"}


def test_an_encoder_that_disagrees_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Another conversion of the weights than the one that was checked."""
    monkeypatch.setattr(onnx_encoder.OnnxEncoder, "encode", lambda self, chips: np.zeros((len(chips), 128), np.float32))
    with caplog.at_level(logging.WARNING):
        assert make_encoder("onnx", tmp_path).name == "dlib"
    assert logged(caplog).keys() >= {"encoder_differs", "encoder_slow"}


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.usefixtures("with_cuda")
def test_cuda_that_cannot_be_used_is_passed_over_for_the_cpu(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not for dlib, which is many times slower; and the log says so."""
    with caplog.at_level(logging.INFO):
        assert make_encoder("onnx", cache).name == "onnx-cpu"
    assert logged(caplog)["encoder_unusable"]["provider"] == CUDA
    assert logged(caplog)["encoder_chosen"]["encoder"] == "onnx-cpu"


@pytest.mark.parametrize(
    ("session", "name", "event", "field", "value"),
    [
        (FakeCuda, "onnx-cuda", "encoder_chosen", "encoder", "onnx-cuda"),
        (FailingCuda, "onnx-cpu", "encoder_unusable", "reason", "CUDNN_STATUS_NOT_INITIALIZED"),
        (WrongCuda, "onnx-cpu", "encoder_differs", "provider", CUDA),
    ],
)
@pytest.mark.usefixtures("with_cuda")
def test_cuda_is_used_where_it_computes_what_dlib_does(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    session: type[FakeCuda],
    name: str,
    event: str,
    field: str,
    value: str,
) -> None:
    """It may be there and fail as soon as it is used, or compute with fewer bits."""
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    with caplog.at_level(logging.INFO):
        assert make_encoder("onnx", cache).name == name
    assert value in logged(caplog)[event][field]


@pytest.mark.parametrize("name", ["onnx", "dlib"])
def test_the_encoder_asked_for_is_used(name: str, cache: Path) -> None:
    """Where it works."""
    assert make_encoder(name, cache).name.startswith(name)  # type: ignore[arg-type]


def test_another_model_is_refused() -> None:
    """Layers missing, or weights of another network."""
    model = path_of(ENCODER).read_bytes()
    with pytest.raises(UnknownModelError):
        convert(model[: len(model) // 2])
    with pytest.raises(UnknownModelError):
        convert(path_of(FIVE_LANDMARKS).read_bytes())


def test_an_encoding_is_the_mean_of_a_face_and_its_mirror_image(cache: Path) -> None:
    """So both give the same one."""
    encoder = OnnxEncoder(cache)
    chip = pictures()[1]
    (one,) = encode_faces(encoder, [chip])
    (other,) = encode_faces(encoder, [np.ascontiguousarray(chip[:, ::-1])])
    assert np.linalg.norm(one - other) < AGREEMENT
    assert np.linalg.norm(one - encoder.encode([chip])[0]) > 100 * AGREEMENT


def test_faces_that_differ_are_encoded_as_they_are(cache: Path) -> None:
    """They say more about a person than their mirror images, which would cost as much again."""
    encoder = OnnxEncoder(cache)
    chips = pictures()[:3]
    both = encode_faces(encoder, chips)
    assert np.linalg.norm(both - encoder.encode(chips), axis=1).max() < AGREEMENT


def test_an_aligned_face_has_the_encoder_s_size() -> None:
    """Also one that reaches beyond its picture."""
    picture = np.full((200, 160, 3), 90, np.uint8)
    assert align(picture, Box(-20, 120, 100, 100)).shape == (CHIP, CHIP, 3)
