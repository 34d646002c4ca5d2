"""Castlist's own four services, in the order in which they are started: who works before who takes work in."""

from pathlib import Path

from deploy.servers.s3 import answers_http
from deploy.supervision.process import Spec

# name, module, the setting with its port; started two at a time
SERVICES = [
    ("profile-aggregator", "profile_aggregator", "AGGREGATOR_PORT"),
    ("frame-workers", "frame_workers", "WORKERS_PORT"),
    ("query-api", "query_api", "QUERY_PORT"),
    ("ingest", "ingest", "INGEST_PORT"),
]


def service_specs(python: Path, host: str, ports: dict[str, int], env: dict[str, str]) -> list[Spec]:
    """One `Spec` a service; each is ready when its own `/health/ready` says so."""
    asked = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    return [
        Spec(
            name=name,
            argv=[str(python), "-m", module],
            port=ports[setting],
            address=f"http://{asked}:{ports[setting]}",
            ready=lambda port=ports[setting]: answers_http(asked, port, "/health/ready", 200),  # type: ignore[misc]
            env=env,
            grace=8.0,
        )
        for name, module, setting in SERVICES
    ]
