"""Two implementations of one encoder."""

import logging
from pathlib import Path

import face_recognition_models
import numpy as np
import pytest
from numpy.typing import NDArray

from frame_workers import encoder_onnx
from frame_workers.convert import UnknownModel, convert
from frame_workers.encode import AGREEMENT, CHIP, DlibEncoder, align, check_chip, encode_faces, make_encoder
from frame_workers.encoder_onnx import OnnxEncoder, converted
from frame_workers.picture import Region


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


def test_the_converted_model_is_made_once(cache: Path) -> None:
    """And nothing half written is left beside it."""
    path = converted(cache)
    made = path.stat().st_mtime_ns
    assert converted(cache) == path
    assert path.stat().st_mtime_ns == made
    assert list(cache.iterdir()) == [path]


def test_a_damaged_conversion_falls_back_to_dlib(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Never wrong encodings: the log says that the slower one serves."""
    path = converted(tmp_path)
    path.write_bytes(path.read_bytes()[:-1000])
    with caplog.at_level(logging.WARNING):
        assert make_encoder("onnx", tmp_path).name == "dlib"
    assert "dlib" in caplog.text


def test_an_encoder_that_disagrees_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Another conversion of the weights than the one that was checked."""
    monkeypatch.setattr(encoder_onnx.OnnxEncoder, "encode", lambda self, chips: np.zeros((len(chips), 128), np.float32))
    with caplog.at_level(logging.WARNING):
        assert make_encoder("onnx", tmp_path).name == "dlib"
    assert "away from dlib" in caplog.text


@pytest.mark.parametrize("name", ["onnx", "dlib"])
def test_the_encoder_asked_for_is_used(name: str, cache: Path) -> None:
    """Where it works."""
    assert make_encoder(name, cache).name.startswith(name)  # type: ignore[arg-type]


def test_another_model_is_refused() -> None:
    """Layers missing, or weights of another network."""
    model = Path(face_recognition_models.face_recognition_model_location()).read_bytes()
    with pytest.raises(UnknownModel):
        convert(model[: len(model) // 2])
    with pytest.raises(UnknownModel):
        convert(Path(face_recognition_models.pose_predictor_five_point_model_location()).read_bytes())


def test_an_encoding_is_the_mean_of_a_face_and_its_mirror_image(cache: Path) -> None:
    """So both give the same one."""
    encoder = OnnxEncoder(cache)
    chip = pictures()[1]
    (one,) = encode_faces(encoder, [chip])
    (other,) = encode_faces(encoder, [np.ascontiguousarray(chip[:, ::-1])])
    assert np.linalg.norm(one - other) < AGREEMENT
    assert np.linalg.norm(one - encoder.encode([chip])[0]) > 100 * AGREEMENT


def test_an_aligned_face_has_the_encoder_s_size() -> None:
    """Also one that reaches beyond its picture."""
    picture = np.full((200, 160, 3), 90, np.uint8)
    assert align(picture, Region(-20, 120, 100, 100)).shape == (CHIP, CHIP, 3)
