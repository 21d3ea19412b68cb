"""Every setting of the product, from `MGX_*` variables and flags of the same names."""

from __future__ import annotations

import importlib.util
import ipaddress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from graph.durations import parse_duration
from graph.logs import LogFormat
from graph.transport.origins import Origins

_LAST_PORT: Final = 65535

Names = Annotated[tuple[str, ...], NoDecode]
"""A list given as one text with commas."""


class Settings(BaseSettings):
    """What an operator can set; read once, at the start, and passed down."""

    model_config = SettingsConfigDict(env_prefix="MGX_", frozen=True, extra="ignore", env_ignore_empty=True)

    database_url: str = Field(
        default="sqlite+aiosqlite:///./mgx.db",
        description="Where everything is kept: sqlite+aiosqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE.",
    )
    database_pool_size: int = Field(
        default=8, ge=1, le=1000, description="Connections to PostgreSQL that write, and as many that only read."
    )
    database_synchronous: Literal["FULL", "NORMAL"] = Field(
        default="FULL",
        description="SQLite's durability: FULL survives a power cut, NORMAL may lose the last commits to one.",
    )
    bus_url: str = Field(
        default="",
        description="What rings at other processes: redis://HOST, postgresql://HOST/DATABASE, memory:// for none; by "
        "default the database where that is PostgreSQL.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(
        default=8000, ge=0, le=_LAST_PORT, description="Port to listen on; 0 takes a free one and prints it."
    )
    processes: int = Field(
        default=1,
        ge=1,
        le=256,
        description="Processes that serve behind the port, such as one for each core; several need PostgreSQL.",
    )
    dev: bool = Field(
        default=False, description="Turn on GraphiQL, introspection and suggestions wherever the server listens."
    )
    insecure: bool = Field(
        default=False, description="Listen on an address that is not loopback although there is no authentication."
    )
    root_path: str = Field(default="", description="Path below which a proxy serves us, such as /mgx.")
    trusted_proxies: Names = Field(
        default=(), description="Addresses or networks, with commas, whose X-Forwarded-For is believed."
    )
    allowed_origins: Names = Field(
        default=(),
        description="Exact origins, with commas, of web pages that may call the API, such as http://localhost:5173.",
    )
    allowed_hosts: Names = Field(
        default=(),
        description="Host names, with commas, under which the server is reached; on loopback its own are known.",
    )
    trusted_documents: Path | None = Field(
        default=None,
        description="Manifest of the documents that clients may ask for by documentId, as code generation writes it.",
    )
    trusted_documents_only: bool = Field(default=False, description="Refuse all documents but those of the manifest.")
    graphiql: bool | None = Field(
        default=None,
        description="Serve GraphiQL; by default on loopback and with --dev, but not with --trusted-documents-only.",
    )
    metrics: bool | None = Field(
        default=None, description="Serve /metrics to Prometheus; by default on loopback and with --dev."
    )
    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=_LAST_PORT,
        description="Port of /metrics alone, instead of the API's; several processes take the ports that follow, too.",
    )
    introspection: bool | None = Field(
        default=None, description="Answer questions about the schema; by default on loopback and with --dev."
    )
    suggestions: bool | None = Field(
        default=None, description='Say "Did you mean ..." in errors; by default on loopback and with --dev.'
    )

    teams: str = Field(default="", description="Teams of your own: name=package.module:factory, with commas.")
    team_path: str = Field(
        default="", description="Folders, separated as in PATH, appended to the import path for teams."
    )
    default_team: str = Field(default="playbook", description="Team of a task that names none.")
    playbooks: Path | None = Field(default=None, description="Folder with playbooks of your own, *.yaml.")
    default_playbook: str = Field(default="analyze-sales", description="Playbook of a task that names none.")

    max_concurrent_runs: int = Field(default=8, ge=1, le=1000, description="Runs worked on at once; the rest wait.")
    workers: int | None = Field(
        default=None,
        ge=0,
        le=1000,
        description="Runs that the server itself works on at once; 0 leaves them to mgx worker, which needs "
        "PostgreSQL. By default as many as max_concurrent_runs.",
    )
    lease: float = Field(
        default=15.0,
        ge=3.0,
        le=3600.0,
        description="Seconds without news from a worker after which another one takes over its runs, on PostgreSQL.",
    )
    shutdown_grace: float = Field(
        default=3.0,
        ge=0.0,
        le=3600.0,
        description="Seconds that steps under way get to end before a process that was told to end stops them.",
    )
    cancel_grace: float = Field(
        default=10.0,
        ge=0.0,
        le=3600.0,
        description="Seconds that cancelled work gets to stop before it is closed by force.",
    )
    team_timeout: float = Field(
        default=3600.0, gt=0.0, description="Seconds that a team may say nothing before its run fails."
    )
    max_artifact_bytes: int = Field(default=32 * 1024**2, ge=1, description="Size of one artifact at most.")
    max_run_artifact_bytes: int = Field(
        default=256 * 1024**2, ge=1, description="Size of a run's artifacts together at most."
    )
    event_retention: timedelta | None = Field(
        default=None,
        gt=timedelta(0),
        description="How long a run's events and log lines are kept after its end: seconds, or such as 12h or 30d; "
        "by default for ever.",
    )

    max_depth: int = Field(default=12, ge=1, description="Levels of an operation.")
    max_aliases: int = Field(default=30, ge=0, description="Aliases of an operation.")
    max_tokens: int = Field(default=2_000, ge=1, description="Tokens of a document.")
    max_cost: int = Field(default=10_000, ge=1, description="Nodes that an operation may ask for.")
    max_body_bytes: int = Field(default=1024**2, ge=1, description="Body of a request.")
    max_message_bytes: int = Field(default=256 * 1024, ge=1, description="Message on a WebSocket.")
    max_connections: int = Field(default=10_000, ge=1, description="WebSockets and event streams at once.")
    max_connections_per_address: int = Field(default=300, ge=1, description="The same from one address.")
    max_operations_per_socket: int = Field(default=100, ge=1, description="Operations at once on one WebSocket.")
    query_timeout: float = Field(default=30.0, gt=0.0, description="Seconds that a query may take.")
    init_timeout: float = Field(default=10.0, gt=0.0, description="Seconds a WebSocket gets to send connection_init.")
    heartbeat: float = Field(default=15.0, gt=0.0, description="Seconds of silence after which a client hears a ping.")

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="What is logged, and above."
    )
    log_format: LogFormat = Field(
        default="auto",
        description="How: console for people, json for programs; auto is console on a terminal and json elsewhere.",
    )
    traces: Literal["off", "otlp"] = Field(
        default="off",
        description="Where traces go: otlp is the collector that OTEL_EXPORTER_OTLP_ENDPOINT names, off is nowhere.",
    )

    @field_validator("trusted_proxies", "allowed_origins", "allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part for part in (part.strip() for part in value.split(",")) if part)
        return value

    @field_validator("event_retention", mode="before")
    @classmethod
    def _duration(cls, value: object) -> object:
        return parse_duration(value) if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network)
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        Origins(frozenset(value))
        return value

    @field_validator("traces")
    @classmethod
    def _able_to_trace(cls, value: str) -> str:
        if value == "otlp" and not _is_installed("opentelemetry.exporter.otlp.proto.http"):
            raise ValueError("OpenTelemetry is not installed; install mgx-graph[otel]")
        return value

    @field_validator("root_path")
    @classmethod
    def _path(cls, value: str) -> str:
        if value and not value.startswith("/"):
            raise ValueError("must start with a slash")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _loopback_only(self) -> Self:
        if not self.is_loopback and not self.insecure:
            raise ValueError(
                f"{self.host} is not a loopback address, and there is no authentication yet: whoever reaches it can do "
                "everything. Listen on 127.0.0.1, or say --insecure if something else protects it."
            )
        return self

    @model_validator(mode="after")
    def _several_processes(self) -> Self:
        if self.processes > 1 and not self.is_postgres:
            raise ValueError(
                f"{self.processes} processes need a database in PostgreSQL; one process does all the work on SQLite."
            )
        if self.processes > 1 and self.metrics and self.metrics_port is None:
            raise ValueError("Each of several processes has metrics of its own: say --metrics-port as well.")
        if self.metrics is False and self.metrics_port is not None:
            raise ValueError("--no-metrics and a --metrics-port contradict each other.")
        if self.metrics_port is not None and self.metrics_port + self.processes - 1 > _LAST_PORT:
            raise ValueError(f"{self.processes} processes have no ports for metrics from {self.metrics_port} on.")
        return self

    @model_validator(mode="after")
    def _trusted_only(self) -> Self:
        if self.trusted_documents_only and self.trusted_documents is None:
            raise ValueError("--trusted-documents-only needs the manifest that --trusted-documents names.")
        if self.trusted_documents_only and self.graphiql:
            raise ValueError(
                "--graphiql and --trusted-documents-only contradict each other: it sends what people type."
            )
        return self

    @property
    def is_postgres(self) -> bool:
        """Whether the database is in PostgreSQL."""
        return self.database_url.startswith("postgres")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def is_open(self) -> bool:
        """Whether the schema may be told to everyone who asks, unless it is set otherwise."""
        return self.is_loopback or self.dev

    @property
    def own_slots(self) -> int:
        """Runs that the server itself works on at once."""
        return self.max_concurrent_runs if self.workers is None else self.workers

    @property
    def bell_url(self) -> str:
        """What rings at other processes."""
        if self.bus_url:
            return self.bus_url
        place = self.database_url.partition("://")[2]
        return f"postgresql://{place}" if self.is_postgres else "memory://"

    @property
    def serves_graphiql(self) -> bool:
        """Whether there is GraphiQL."""
        by_default = self.is_open and not self.trusted_documents_only
        return by_default if self.graphiql is None else self.graphiql

    @property
    def serves_metrics(self) -> bool:
        """Whether the API's port has /metrics; of several processes it would tell of any."""
        alone = self.processes == 1 and self.metrics_port is None
        return alone and (self.is_open if self.metrics is None else self.metrics)


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even what it is part of
        return False


class ClientSettings(BaseSettings):
    """What commands that speak to a server take from the environment."""

    model_config = SettingsConfigDict(env_prefix="MGX_", frozen=True, extra="ignore", env_ignore_empty=True)

    url: str = Field(default="http://127.0.0.1:8000", description="Address of the server.")
