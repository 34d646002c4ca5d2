#!/bin/bash
# Build every image and put the demo's clips through them, on a machine without a Docker engine: buildah builds and runs
# them, on a Debian 12 with Python 3.11 in the place of python:3.11-slim-bookworm, and on the servers of `python3 deploy`.
# They run where there is no network but loopback, so that none can fetch anything, and must write nothing but their volume
# and /tmp. Looks, too, whether all that is installed exists for arm64. Needs root, and of Debian: buildah, debootstrap,
# iproute2. Compiling dlib takes ten minutes of two cores, once. Ends with the images' sizes and what the steps took; exit
# code 0 when the answer was right.
set -euo pipefail
cd "$(dirname "$0")/../.."

PREFIX=localhost/castlist-check
SERVICES="profile-aggregator frame-workers query-api-search ingest"
declare -A TOOK STARTED PORTS=([profile-aggregator]=50003 [frame-workers]=50002 [query-api-search]=56667 [ingest]=50001)
work=$(mktemp -d /tmp/castlist-images-XXXXXX)
containers=()
running=()

finish() {
  for pid in "${running[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || true; done
  for pid in "${running[@]}"; do wait "$pid" 2>/dev/null || true; done
  for container in "${containers[@]}"; do buildah rm "$container" >/dev/null || true; done
  if [ -e "$work/home" ]; then CASTLIST_HOME=$work/home python3 deploy down || true; fi
  if [ -n "${alone:-}" ]; then kill "$alone"; fi
  if [ "${passed:-}" = 1 ]; then rm -rf "$work"; else echo "the logs are in $work" >&2; fi
}
trap finish EXIT

took() { # what, since when
  TOOK[$1]=$(( SECONDS - $2 ))
}

base_image() {
  buildah inspect --type image "$BASE" >/dev/null 2>&1 && return
  debootstrap --variant=minbase --include=ca-certificates,python3,python3-dev,python3-pip,python3-venv \
    bookworm "$work/root" > "$work/debootstrap.log"
  rm -rf "$work"/root/var/cache/apt/archives/*.deb "$work"/root/var/lib/apt/lists/*
  # Where this machine reaches its package registries by settings of its own, so does the image.
  cp /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/ca-certificates.crt"
  if [ -e /etc/pip.conf ]; then cp /etc/pip.conf "$work/root/etc/pip.conf"; fi
  local container
  container=$(buildah from scratch)
  buildah add -q "$container" "$work/root" / >/dev/null
  buildah config --env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    --env REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt \
    --env PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin "$container"
  buildah commit -q "$container" "$BASE" >/dev/null
  buildah rm "$container" >/dev/null
  rm -rf "$work/root"
}
BASE=$PREFIX/python:$(declare -f base_image | sha256sum | cut -c -12) # made again when it would be another

build() { # image, file, target
  local since=$SECONDS format=docker # which has health checks; the image that runs nothing has none
  if [ "$1" = dlib ]; then format=oci; fi
  buildah bud --isolation chroot --layers --format $format --build-arg PYTHON_IMAGE="$BASE" \
    --build-arg DLIB_IMAGE="$PREFIX/dlib" -f "$2" ${3:+--target "$3"} -t "$PREFIX/$1" . > "$work/build-$1.log" 2>&1
  took "build $1" "$since"
}

config_of() { # image, what of its configuration: a list, its first word
  buildah inspect --type image "$PREFIX/$1" | python3 -c '
import json, shlex, sys

found = json.load(sys.stdin)["Docker"]["config"]
for name in sys.argv[1].split("."):
    found = found[name]
print(shlex.join(found[int(sys.argv[2]):]))' "$2" "$3"
}

on_loopback() { # command …: where loopback is all the network that there is
  nsenter --net="/proc/$alone/ns/net" "$@"
}

in_container() { # container, command …
  on_loopback buildah run --isolation chroot "${given[@]}" "$@"
}

written() { # container: what it has that it had not before it ran, but for its volume and /tmp
  local root
  root=$(buildah mount "$1")
  find "$root" -xdev -type f -newer "$work/built" ! -path "$root/tmp/*" ! -path "$root/var/lib/castlist/*" \
    ! -path "$root/run/.containerenv" -size +0 -printf '/%P\n'
  buildah umount "$1" >/dev/null
}

ask() { # whether the demo's answer is right
  on_loopback .venv/bin/python - "$INGEST_URL" "$QUERY_URL" "$work/demo.html" <<'PYTHON'
import sys
from pathlib import Path

from deploy.commands.demo import ask
from deploy.config import load_config

ingest, query, sheet = sys.argv[1:]
sys.exit(not ask(load_config(), {"INGEST_URL": ingest, "QUERY_URL": query}, Path(sheet)))
PYTHON
}

# --- build ------------------------------------------------------------------------------------------------------------

since=$SECONDS
base_image
took "base image" "$since"
build dlib Dockerfile-dlib
for image in $SERVICES query-api; do build "$image" deploy/images/Dockerfile "$image"; done
build all-in-one Dockerfile-all-in-one
echo "built"

# Each hash-pinned file that a build installs from, asked for as arm64 would: wheels, but for two that are Python alone.
since=$SECONDS
uv=$(python3 -c 'from deploy import config, tools; print(tools.find_uv(config.load_config().cache))')
for lock in deploy/locks/build.txt deploy/locks/uv.txt deploy/locks/images/*.txt; do
  "$uv" pip install -q --dry-run --no-deps --require-hashes --only-binary :all: --no-binary face-recognition-models \
    --no-binary faust-streaming --python-version 3.11 --python-platform aarch64-manylinux_2_36 --target "$work/arm64" \
    -r "$lock"
done
echo "arm64: every package is there"
took "arm64" "$since"

# --- run --------------------------------------------------------------------------------------------------------------

since=$SECONDS
unshare --net sleep infinity &
alone=$!
while [ "$(readlink "/proc/$alone/ns/net")" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
on_loopback ip link set lo up
free() { on_loopback python3 -c 'from deploy.supervision.ports import free_port; print(free_port())'; }
export CASTLIST_HOME=$work/home
for setting in INGEST_PORT QUERY_PORT WORKERS_PORT AGGREGATOR_PORT; do export $setting="$(free)"; done
PORTS=([profile-aggregator]=$AGGREGATOR_PORT [frame-workers]=$WORKERS_PORT [query-api-search]=$QUERY_PORT [ingest]=$INGEST_PORT)
on_loopback python3 deploy up --servers-only --detach
set -a
# shellcheck disable=SC1091 # written by deploy
. "$CASTLIST_HOME/env"
set +a
unset CASTLIST_CACHE
given=()
for setting in KAFKA_BOOTSTRAP MONGO_URL S3_ENDPOINT S3_ACCESS_KEY S3_SECRET_KEY INGEST_PORT QUERY_PORT WORKERS_PORT \
  AGGREGATOR_PORT QUERY_URL; do
  given+=(--env "$setting=${!setting}")
done
given+=(--env BIND_HOST=127.0.0.1 --env WORKERS=2)

for image in $SERVICES; do
  container=$(buildah from --pull-never "$PREFIX/$image")
  containers+=("$container")
  STARTED[$image]=$container
done
touch "$work/built"
in_container "${STARTED[ingest]}" -- python -m castlist.admin init
for image in $SERVICES; do
  eval "words=($(config_of "$image" Cmd 0))"
  setsid nsenter --net="/proc/$alone/ns/net" buildah run --isolation chroot "${given[@]}" "${STARTED[$image]}" \
    -- "${words[@]}" > "$work/$image.log" 2>&1 &
  running+=($!)
done
for image in $SERVICES; do
  eval "words=($(config_of "$image" Healthcheck.Test 1))"
  words[-1]=${PORTS[$image]}
  for _ in $(seq 60); do
    if told=$(in_container "${STARTED[$image]}" -- "${words[@]}" 2>/dev/null); then break; fi
    sleep 1
  done
  echo "$image: ${told}"
  [[ $told == *'"ready"'* || $told == *'"ok"'* ]]
done
took "start" "$since"

since=$SECONDS
ask
took "demo" "$since"

# A face of the sample, asked for by its crop: search by picture has the models too.
since=$SECONDS
crop=$(on_loopback curl -sf "$QUERY_URL/profiles?gallery=demo&limit=1" \
  | python3 -c 'import json, sys; print(json.load(sys.stdin)["items"][0]["appearances"][0]["crop"]["url"])')
on_loopback curl -sf -o "$work/face.jpg" "$QUERY_URL$crop"
on_loopback curl -sf -F "file=@$work/face.jpg" -F gallery=demo "$QUERY_URL/search" \
  | python3 -c 'import json, sys; faces = json.load(sys.stdin)["faces"]; assert faces[0]["matches"], faces'
echo "search by picture: found"
took "search" "$since"

for image in $SERVICES; do
  found=$(written "${STARTED[$image]}")
  if [ -n "$found" ]; then echo "$image has written: $found" >&2; exit 1; fi
done
echo "written outside of volume and /tmp: nothing"

# The same clips once more, through everything in one container.
since=$SECONDS
for pid in "${running[@]}"; do kill -TERM -- "-$pid"; wait "$pid" || true; done
python3 deploy down
container=$(buildah from --pull-never "$PREFIX/all-in-one")
containers+=("$container")
given=()
for setting in INGEST_PORT QUERY_PORT WORKERS_PORT AGGREGATOR_PORT; do given+=(--env "$setting=${!setting}"); done
eval "words=($(config_of all-in-one Cmd 0))"
setsid nsenter --net="/proc/$alone/ns/net" buildah run --isolation chroot "${given[@]}" "$container" \
  -- "${words[@]}" > "$work/all-in-one.log" 2>&1 &
running=($!)
for _ in $(seq 120); do
  if on_loopback curl -sf "$INGEST_URL/health/ready" && on_loopback curl -sf "$QUERY_URL/health/ready"; then break; fi
  sleep 1
done
echo
ask
took "all in one" "$since"

echo; echo "seconds:"
for step in "base image" "build dlib" $(for image in $SERVICES query-api all-in-one; do echo "build_$image"; done) arm64 start demo search "all in one"; do
  printf '  %-28s %5d\n' "${step/_/ }" "${TOOK[${step/_/ }]}"
done
echo; echo "sizes:"
buildah images --format '{{.Name}} {{.Size}}' | grep "^$PREFIX/" | while read -r name size; do
  printf '  %-28s %s\n' "${name#"$PREFIX/"}" "$size"
done
passed=1
