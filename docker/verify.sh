#!/usr/bin/env bash
# Builds the image for CPUs, runs it as documented, alone and by its compose file, and checks what a
# user would see: the scores, the rights, the drain, a roll-back, a back-up. Run by
# `make test-docker`, as root, on Debian (what is missing is installed). GPU files are only parsed.
#
# BASE_IMAGE  to build on; else python:3.11-slim-bookworm where it can be had, else a stand-in that
#             is made with debootstrap and knows pip's settings of this machine
# PYTHON      with this project, for the scores to compare with
# KEEP=1      leaves the images, so that the next run builds on them
set -Eeuo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-.venv/bin/python}
official=python:3.11-slim-bookworm
stand_in=fragment-scorer-base:bookworm
address=127.0.0.1:18000
container=fragment-scorer-verify
export COMPOSE_PROJECT_NAME=fragment-scorer-verify COMPOSE_FILE=docker/compose.cpu.yml
export IMAGE=fragment-scorer:verify PUBLISH=$address
commit=$(git rev-parse HEAD)
dive=service/web/demo/dive.mp4 vault=service/web/demo/vault.mp4
work=$(mktemp -d)

main() {
  need docker docker.io
  need debootstrap debootstrap
  docker compose version &>/dev/null || need docker-compose docker-compose
  start_docker
  base=${BASE_IMAGE:-$(base_image)}
  build
  holds_what_it_should
  needs_a_key_or_permission
  runs_confined
  drains
  runs_by_compose
  step "the GPU file and the observability profile can be read"
  COMPOSE_FILE=docker-compose.yml compose --profile observability config >/dev/null
  compose --profile observability config >/dev/null
  step "done"
}

step() { printf '%5d s  %s\n' "$SECONDS" "$*"; }
fail() { echo "verify: $*" >&2; exit 1; }
need() {  # COMMAND PACKAGE
  command -v "$1" >/dev/null || { apt-get update -qq; apt-get install -y -qq "$2" >/dev/null; }
}
compose() {
  if docker compose version &>/dev/null; then docker compose "$@"; else docker-compose "$@"; fi
}

clean_up() {
  compose down --volumes --timeout 1 &>/dev/null || true
  docker rm --force --volumes "$container" &>/dev/null || true
  [ -n "${KEEP:-}" ] || docker rmi "$IMAGE" "$stand_in" &>/dev/null || true
  [ -z "${dockerd:-}" ] || { kill "$dockerd"; wait "$dockerd" || true; }
  rm -rf "$work"
}
trap clean_up EXIT
trap 'echo "verify: line $LINENO" >&2' ERR

start_docker() {
  docker info &>/dev/null && return
  step "start dockerd"
  dockerd &>"$work/dockerd.log" &
  dockerd=$!
  for _ in $(seq 60); do docker info &>/dev/null && return; sleep 1; done
  fail "dockerd does not start: $(tail -n 3 "$work/dockerd.log")"
}

has() { docker image inspect "$1" &>/dev/null; }

base_image() {
  if has "$official" || timeout 60 docker pull --quiet "$official" &>/dev/null; then
    echo "$official"
  else
    has "$stand_in" || make_stand_in >&2
    echo "$stand_in"
  fi
}

make_stand_in() {
  step "no $official: make a stand-in"
  local root=$work/root setting value folder
  debootstrap --variant=minbase --include=python3,python3-venv,python3-pip,ca-certificates \
    bookworm "$root" >"$work/debootstrap.log"
  echo '[global]' >"$root/etc/pip.conf"
  for setting in cert index-url find-links; do
    value=$(pip_setting "$setting")
    case $setting in
      cert) [ -z "$value" ] || { cp "$value" "$root/etc/pip.crt"; value=/etc/pip.crt; } ;;
      find-links) for folder in $value; do carry "$folder" "$root"; done ;;
    esac
    [ -z "$value" ] || echo "$setting = $value" >>"$root/etc/pip.conf"
  done
  tar --directory "$root" --create . | docker import - "$stand_in" >/dev/null
  rm -rf "$root"
}

carry() {  # FOLDER of wheels on this machine, ROOT
  [ -d "$1" ] || return 0
  mkdir -p "$2$1"
  cp "$1"/*.whl "$2$1"
}

pip_setting() {  # NAME, from pip's files or, which wins, the environment
  "$python" -m pip config list | sort -r |
    sed -n "s/^\(install\|global\|:env:\)\.$1='\(.*\)'\$/\2/p" | tail -n 1
}

build() {
  step "build on $base"
  local version torch_index=${TORCH_INDEX-https://download.pytorch.org/whl/cpu}
  [ -z "$(pip_setting find-links)" ] || torch_index=
  version=$("$python" -c 'from importlib import metadata; print(metadata.version("fragment-scorer"))')
  docker build --quiet --network host --file docker/Dockerfile --tag "$IMAGE" \
    --build-arg VARIANT=cpu --build-arg BASE_IMAGE="$base" --build-arg TORCH_INDEX="$torch_index" \
    --build-arg COMMIT="$commit" \
    --build-arg VERSION="$version" \
    . >"$work/build.log" 2>&1 || fail "the build ends with: $(tail -n 20 "$work/build.log")"
  local size base_size
  size=$(docker image inspect --format '{{.Size}}' "$IMAGE")
  base_size=$(docker image inspect --format '{{.Size}}' "$base")
  step "image of $((size / 1000000)) MB, of which $((base_size / 1000000)) MB are the base"
}

inside() { docker run --rm --network none --entrypoint "$1" "$IMAGE" "${@:2}"; }

holds_what_it_should() {
  step "its user, its labels, no compiler, nothing that it could write to"
  [ "$(inside id -u)" != 0 ] || fail "the user is root"
  docker image inspect --format '{{json .Config.Labels}}' "$IMAGE" | grep --quiet "\"$commit\"" ||
    fail "no label has the commit"
  inside sh -c 'for c in cc gcc c++ g++ clang tcc rustc; do ! command -v "$c" || exit 1; done' ||
    fail "there is a compiler"
  local writable
  writable=$(inside find / -xdev -writable -not -type l -not -path '/proc/*' -not -path '/dev/*' \
    2>/dev/null || true)  # it may not look into every folder
  grep -qx /store <<<"$writable" || fail "the user cannot write to /store"
  ! grep -Ev '^/(tmp|var/tmp|run/lock|cache|store)(/|$)' <<<"$writable" ||
    fail "the user can write there"
  inside python -m pip --no-cache-dir check >/dev/null || fail "packages do not fit"
}

needs_a_key_or_permission() {
  step "does not start without a key unless that is allowed"
  local status=0
  docker run --rm "$IMAGE" 2>"$work/refused" || status=$?
  [ $status = 2 ] && grep -q SCORING_API_KEYS "$work/refused" || fail "it started"
}

start() {
  docker run --detach --name "$container" --init --read-only --cap-drop ALL \
    --security-opt no-new-privileges --memory 4g --pids-limit 512 --tmpfs /tmp:size=512m \
    --publish "$address:8000" --env SCORING_ALLOW_ANONYMOUS=true \
    --env SCORING_RESULT_CACHE_BYTES=0 "$IMAGE" >/dev/null
}

wait_until_healthy() {  # CONTAINER
  local began=$SECONDS
  for _ in $(seq 300); do
    case $(docker inspect --format '{{.State.Status}} {{.State.Health.Status}}' "$1") in
      'running healthy') step "healthy after $((SECONDS - began)) s"; return ;;
      running*) sleep 1 ;;
      *) break ;;
    esac
  done
  docker logs "$1" >&2
  fail "it does not become healthy"
}

field() { "$python" -c 'import json, sys; print(eval(sys.argv[1], json.load(sys.stdin)))' "$1"; }
post() { curl --silent --fail-with-body --max-time 120 "http://$address/score" "$@"; }
code() { curl --silent --max-time 120 -o /dev/null -w '%{http_code}\n' "http://$address/score" "$@"; }

scores_as_outside() {
  local clip action within outside
  for clip in $dive $vault; do
    action=diving; [ "$clip" = $dive ] || action=vault
    within=$(post -F clip=@"$clip" -F action=$action | field score)
    outside=$("$python" -m model_store score "$clip" --action $action --json | field score)
    "$python" -c "assert abs($within - $outside) < 0.02" || fail "$within inside, $outside outside"
    step "$action: $within inside, $outside outside"
  done
}

runs_confined() {
  step "start: read-only, without capabilities, without new privileges"
  start
  wait_until_healthy "$container"
  scores_as_outside
  step "its decoders have a seccomp filter of their own beside docker's"
  local main worker
  main=$(status_of 'python -m service$' Seccomp_filters)
  worker=$(status_of 'service\.decode\.worker' Seccomp_filters)
  [ "$worker" -gt "$main" ] && [ "$main" -ge 1 ] || fail "filters: $main, and $worker for a decoder"
  [ "$(status_of 'python -m service$' CapBnd)" = 0000000000000000 ] || fail "it has capabilities"
  ! docker exec "$container" touch /here 2>/dev/null || fail "the root file system can be written"
  local complaints  # that it serves without a key was asked for
  complaints=$(docker logs "$container" 2>&1 | grep '"level": "\(warning\|error\|critical\)"' |
    grep -v 'no key is needed' || true)
  [ -z "$complaints" ] || fail "its log has $complaints"
  step "memory: $(docker stats --no-stream --format '{{.MemUsage}}' "$container")"
}

status_of() {  # PROCESS FIELD, from outside
  local pid
  pid=$(docker top "$container" -o pid,args | grep -v docker-init | awk "/$1/ { print \$1; exit }")
  awk -v field="$2:" '$1 == field { print $2 }' "/proc/$pid/status"
}

metric() { curl --silent "http://$address/metrics" | awk "\$1 == \"$1\" { print int(\$2) }"; }

drains() {
  step "stop while it scores"
  under_load docker stop --time 45 "$container"
  exited_with_0 "$container"
  docker rm "$container" >/dev/null
}

under_load() {  # COMMAND... while eight requests are inside, each of which must be answered
  local i inside posts=()
  rm -f "$work"/code-*
  for i in $(seq 8); do
    code -F clip=@"$dive" -F start_s="0.0$i" >"$work/code-$i" &  # each another cut: none is cached
    posts+=($!)
  done
  until inside=$(metric score_inflight_requests) && [ $((inside + $(answered))) = 8 ]; do :; done
  [ "$inside" -gt 0 ] || fail "all were answered before anything was stopped"
  step "$inside are inside"
  "$@" &>/dev/null
  wait "${posts[@]}" || true
  [ "$(cat "$work"/code-* | xargs)" = '200 200 200 200 200 200 200 200' ] ||
    fail "answers while stopping: $(cat "$work"/code-* | xargs)"
}

answered() { find "$work" -name 'code-*' -size +0 | wc -l; }

exited_with_0() {  # CONTAINER
  local state
  state=$(docker inspect --format '{{.State.ExitCode}} {{.State.OOMKilled}}' "$1")
  [ "$state" = '0 false' ] || fail "it ended with $state"
  step "all were answered, exit code 0"
}

served() { post -F clip=@$dive "$@" | field 'checkpoint["version"]'; }

runs_by_compose() {
  step "docker/compose.cpu.yml: up"
  up
  local scorer before
  scorer=$(compose ps --quiet scorer)
  wait_until_healthy "$scorer"
  scores_as_outside
  step "a newer checkpoint while it serves, and back to the older one"
  before=$(served)
  in_store python -c "$publish_again"
  compose kill -s HUP scorer &>/dev/null
  until_served $((before + 1))
  in_store python -m model_store use "diving@$before"
  compose kill -s HUP scorer &>/dev/null
  until_served "$before"
  step "back up the store, lose it, bring it back; the next start adds nothing and changes nothing"
  in_store tar -c -C /store . >"$work/store.tar"
  under_load compose stop scorer
  exited_with_0 "$scorer"
  compose down --volumes &>/dev/null
  in_store tar -x -C /store <"$work/store.tar"
  step "with a key"
  SCORING_API_KEYS=a-key up
  compose logs store | grep 'nothing added' >/dev/null || fail "the store was not as before"
  wait_until_healthy "$(compose ps --quiet scorer)"
  [ "$(code -F clip=@$dive)" = 401 ] || fail "no key was needed"
  [ "$(served -H 'Authorization: Bearer a-key')" = "$before" ] || fail "the roll-back was lost"
}

publish_again='
from model_store.store import Store
store = Store()
old = store.load("diving")
store.publish(
    old.card.model_copy(update={"version": old.version + 1}), old.network, confidence=old.confidence,
    golden_clip=old.golden_clip.read_bytes(), readme="The same again.",
)'

until_served() {  # VERSION
  for _ in $(seq 60); do [ "$(served)" != "$1" ] || return 0; sleep 1; done
  fail "version $(served), need $1"
}

up() { compose up --detach --no-build &>"$work/up.log" || fail "$(tail -n 20 "$work/up.log")"; }
in_store() { compose run --rm -T store "$@" 2>>"$work/run.log"; }

main
