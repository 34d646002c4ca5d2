"""Of what the examples speak, and when."""

VIDEO, TASK, PROFILE = (
    "7b0c1f6e-3f5e-5d7c-9a53-0f1f0d0c2b11",
    "2f9a4a0e-8f52-5b5c-8c1d-6f0e3f9d7a22",
    "c0d1f1a4-11f7-5a0b-b7c6-4d6f0b8e3c33",
)
OTHER = "d4b8b0c2-52a6-5c57-8e43-9a1c2f7e4d44"
"""Another profile."""
COMMAND = "e5c9c1d3-63b7-5d68-9f54-0b2d3a8f5e55"
WATCH, WEBHOOK = "a1d7c3a2-6a52-4c57-8e43-9a1c2f7e4d44", "b2e8d4b3-7b63-4d68-9f54-0b2d3a8f5e55"
MADE, BEGUN, ENDED = "2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z", "2026-01-02T03:04:17Z"
