"""S3Proxy over a folder."""

import http.client
from dataclasses import dataclass
from pathlib import Path

from deploy.supervision.process import Spec

PROPERTIES = """\
s3proxy.endpoint=http://127.0.0.1:{port}
s3proxy.authorization=aws-v2-or-v4
s3proxy.identity={access_key}
s3proxy.credential={secret_key}
jclouds.provider=filesystem-nio2
jclouds.filesystem.basedir={data}
"""
LOGBACK = """\
<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d %-5p %c{1} %m%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="out"/></root>
</configuration>
"""


@dataclass(frozen=True)
class S3Server:
    java: Path
    classpath: str
    data: Path
    run: Path
    port: int
    access_key: str
    secret_key: str

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def spec(self) -> Spec:
        logback, properties = self.run / "logback.xml", self.run / "s3proxy.properties"
        return Spec(
            name="s3",
            argv=[
                str(self.java), "-Xmx256m", "-XX:+UseSerialGC", f"-Dlogback.configurationFile={logback}",
                "-cp", self.classpath, "org.gaul.s3proxy.Main", "--properties", str(properties),
            ],
            port=self.port,
            address=self.endpoint,
            ready=lambda: answers_http("127.0.0.1", self.port, "/"),
            prepare=self._prepare,
            grace=20.0,
        )  # fmt: skip

    def _prepare(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        (self.run / "logback.xml").write_text(LOGBACK)
        properties = self.run / "s3proxy.properties"
        properties.touch(0o600)
        fields = {"port": self.port, "data": self.data, "access_key": self.access_key, "secret_key": self.secret_key}
        properties.write_text(PROPERTIES.format(**fields))


def answers_http(host: str, port: int, path: str, status: int | None = None) -> bool:
    """True when a GET is answered within a second, with `status` where one is asked for."""
    connection = http.client.HTTPConnection(host, port, timeout=0.9)
    try:
        connection.request("GET", path)
        answer = connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return status is None or answer == status
