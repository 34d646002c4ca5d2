"""Where dlib's models lie: files of the package `face_recognition_models`.

The package itself is not imported. It is of 2018, and locates its files through `pkg_resources`, which costs every
process a third of a second and 12 MB.
"""

from importlib.util import find_spec
from pathlib import Path

ENCODER = "dlib_face_recognition_resnet_model_v1.dat"
FIVE_LANDMARKS = "shape_predictor_5_face_landmarks.dat"
CNN_DETECTOR = "mmod_human_face_detector.dat"


def path_of(model: str) -> Path:
    """The file of one of the models above."""
    spec = find_spec("face_recognition_models")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "models" / model
