"""What can be configured, by environment or `.env`. `.env.example` is generated from here."""

import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from castlist.service.trusted_requests import LOOPBACK
from castlist.tasks.video_objects import AllowedObjects


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "castlist"


class Settings(BaseSettings):
    """Settings that the services share; each service adds its own in a subclass."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    castlist_prefix: Annotated[
        str,
        Field(
            pattern=r"^([a-z0-9][a-z0-9-]{0,31})?$",
            description="put before the names of topics, consumer groups and their members, database and bucket, so "
            "that installations can share servers",
        ),
    ] = ""
    kafka_bootstrap: Annotated[str, Field(description="Kafka, [user:password@]host:port[,host:port]")] = (
        "127.0.0.1:9092"
    )
    mongo_url: Annotated[str, Field(description="MongoDB, a replica set (transactions, change streams)")] = (
        "mongodb://127.0.0.1:27017"
    )
    mongo_database: Annotated[str, Field(description="database that holds everything")] = "castlist"
    s3_endpoint: Annotated[str, Field(description="S3, by its endpoint")] = "http://127.0.0.1:9000"
    s3_bucket: Annotated[str, Field(description="bucket for videos and crops")] = "castlist"
    allowed_objects: Annotated[
        str,
        Field(description="objects that may be announced: `bucket` or `bucket/folder`, …; default all of S3_BUCKET"),
    ] = ""
    s3_access_key: Annotated[str, Field(description="S3 access key")] = "castlist"
    s3_secret_key: Annotated[str, Field(description="S3 secret key")] = "castlist-secret"
    s3_region: Annotated[str, Field(description="S3 region")] = "us-east-1"
    bind_host: Annotated[str, Field(description="address the services listen on")] = "127.0.0.1"
    ingest_port: Annotated[int, Field(description="ingest")] = 50001
    query_port: Annotated[int, Field(description="query-api")] = 56667
    workers_port: Annotated[int, Field(description="frame-workers: health and metrics")] = 50002
    aggregator_port: Annotated[int, Field(description="profile-aggregator: health and metrics")] = 50003
    allowed_hosts: Annotated[
        str, Field(description="names, with commas between, that ingest and query-api are reached by; `*`: any")
    ] = ""
    cors_origins: Annotated[
        str,
        Field(
            description="other sites whose pages may use ingest and query-api, as `https://name`, …; `*`: any may read"
        ),
    ] = ""
    query_url: Annotated[str | None, Field(description="query-api as clients see it; default from QUERY_PORT")] = None
    castlist_home: Annotated[Path, Field(description="local state: data, logs, fetched videos")] = Path(".castlist")
    castlist_cache: Annotated[Path, Field(description="per-user cache: servers, the converted encoder")] = Field(
        default_factory=_cache
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="log level")] = "INFO"
    chunk_partitions: Annotated[
        int, Field(ge=1, description="partitions of video.chunks, at least 4 a worker slot; raised when this grows")
    ] = 16
    kafka_replicas: Annotated[int, Field(ge=1, description="how many brokers keep each topic that is created")] = 1
    kafka_min_insync: Annotated[
        int, Field(ge=1, description="how many of them must have a message before it counts as written")
    ] = 1

    @property
    def database(self) -> str:
        """The name of the database, prefix included."""
        return self.castlist_prefix + self.mongo_database

    @property
    def bucket(self) -> str:
        """The name of the bucket, prefix included."""
        return self.castlist_prefix + self.s3_bucket

    @property
    def s3(self) -> tuple[str, str, str, str, str]:
        """What `castlist.adapters.s3.connect` takes, in its order."""
        return self.s3_endpoint, self.bucket, self.s3_access_key, self.s3_secret_key, self.s3_region

    @property
    def announceable(self) -> AllowedObjects:
        """Which objects may be videos."""
        return AllowedObjects.told(self.bucket, self.allowed_objects)

    @model_validator(mode="after")
    def _places_are_buckets(self) -> "Settings":
        _ = self.announceable
        return self

    @property
    def origins(self) -> tuple[str, ...]:
        """Other sites whose pages may use ingest and query-api."""
        return tuple(one for one in (origin.strip().rstrip("/") for origin in self.cors_origins.split(",")) if one)

    @property
    def hosts(self) -> frozenset[str]:
        """The names that ingest and query-api answer to: of this machine, of where they listen, and those they were
        told."""
        told = (name.strip().lower().removeprefix("[").removesuffix("]") for name in self.allowed_hosts.split(","))
        public = urlsplit(self.public_query_url).hostname
        bound = None if self.bind_host in ("0.0.0.0", "::") else self.bind_host.lower()
        return frozenset(name for name in (*LOOPBACK, bound, public, *told) if name)

    @property
    def public_query_url(self) -> str:
        """Where clients find query-api."""
        return (self.query_url or f"http://127.0.0.1:{self.query_port}").rstrip("/")
