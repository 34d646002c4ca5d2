"""Apache Kafka as one node: broker and controller in one process (KRaft)."""

import socket
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import DeployError
from deploy.supervision.process import Spec

# The optimising compiler works for minutes on what a broker this small hardly does: without it Kafka is up in half the
# time, and takes half the CPU for a message (measured over its first minute).
FLAGS = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]

# One node: everything is kept once. Sessions are short, so that a killed broker or consumer is noticed in
# seconds: the broker refuses its own id until the session of its former self has ended.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
log.segment.bytes=67108864
"""


@dataclass(frozen=True)
class KafkaServer:
    java: Path
    classpath: str
    data: Path
    run: Path
    port: int
    controller_port: int
    cluster_id: str
    properties: str = PROPERTIES
    """its settings, with places for `port`, `controller_port` and `data`"""

    def spec(self) -> Spec:
        properties = self.run / "kafka.properties"
        return Spec(
            name="kafka",
            argv=[str(self.java), "-Xmx400m", *FLAGS, *self._options(), "kafka.Kafka", str(properties)],
            port=self.port,
            address=f"127.0.0.1:{self.port}",
            ready=lambda: has_broker("127.0.0.1", self.port),
            prepare=self._prepare,
            grace=20.0,
        )

    def _options(self) -> list[str]:
        level = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        return [level, "-Dorg.slf4j.simpleLogger.showDateTime=true", "-cp", self.classpath]

    def _prepare(self) -> None:
        properties = self.run / "kafka.properties"
        fields = {"port": self.port, "controller_port": self.controller_port, "data": self.data}
        properties.write_text(self.properties.format(**fields))
        if (self.data / "meta.properties").exists():
            return
        self.data.mkdir(parents=True, exist_ok=True)
        words = ["kafka.tools.StorageTool", "format", "-t", self.cluster_id, "-c", str(properties)]
        done = subprocess.run(
            [str(self.java), "-Xmx128m", *FLAGS, *self._options(), *words],
            capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
            raise DeployError(f"kafka: its storage cannot be formatted: {lines[-1]}")


def has_broker(host: str, port: int) -> bool:
    """Ask for the cluster's metadata: true once a broker is in service. Before that the port may be open already.

    One request of Kafka's protocol by hand (Metadata v1, no topics), so that asking costs no client.
    """
    body = struct.pack(">hhih", 3, 1, 1, -1) + struct.pack(">i", 0)
    try:
        with socket.create_connection((host, port), 0.5) as connection:
            connection.settimeout(0.9)
            connection.sendall(struct.pack(">i", len(body)) + body)
            answer = connection.recv(12, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(answer) == 12 and struct.unpack(">iii", answer)[2] > 0
