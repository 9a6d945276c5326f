#!/usr/bin/env bash
# Instructions per task of the master, a worker and the submitter, when squares are listed one by
# one: each of the three runs under callgrind once with few tasks and once with many, beside the
# other two as they are, and the difference is divided by the difference in tasks, so that starting
# and ending cancel. Counts repeat within a few percent however busy the machine is; what varies is
# how many tasks go together in a frame or a commit.
#
#   assets/bench/profile/run.sh [FEW [MANY [ROLE...]]]     (100000 300000 master worker submitter)
#
# Needs valgrind and a release build: cargo build --release. BIN=FOLDER takes the programs from
# elsewhere, KEEP=FOLDER keeps what callgrind wrote. Works in a temp folder and stops what it
# started.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
few=${1:-100000}
many=${2:-300000}
shift $(($# < 2 ? $# : 2))
roles=("$@")
[ ${#roles[@]} -gt 0 ] || roles=(master worker submitter)
bin=${BIN:-$PWD/target/release}
parts=$PWD/assets/bench/profile/parts.awk
work=$(mktemp -d)
kept=${KEEP:-$work}
pids=()

stop() {
    for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap stop EXIT

# Starts a program of a role, under callgrind when that is the role that is counted.
as() {
    local role=$1
    shift
    if [ "$role" = "$counted" ]; then
        exec valgrind --tool=callgrind --callgrind-out-file="$out" "$@"
    fi
    exec "$@"
}

# Waits a moment for a program that must not have ended.
still() {
    kill -0 "$1" 2>/dev/null || { cat "$2" >&2; exit 1; }
    sleep 0.2
}

# One run of $counted with so many tasks; what callgrind counted is in $out.
run() {
    local tasks=$1 home=$work/$counted-$1 token master worker
    out=$kept/$counted-$tasks.out
    rm -f "$out"
    mkdir -p "$home/master" "$home/worker"
    seq "$tasks" >"$home/list"
    export GANGER_HOME=$home/master
    (as master "$bin/ganger" master --listen 127.0.0.1:0 --advertise 127.0.0.1 --local-worker 0) \
        >"$home/master.log" 2>&1 &
    master=$!
    pids+=("$master")
    until "$bin/ganger" status >/dev/null 2>&1; do still "$master" "$home/master.log"; done
    token=$("$bin/ganger" invite --role worker 2>/dev/null | grep -o 'ganger1[A-Za-z0-9]*' | head -1)
    (GANGER_HOME=$home/worker as worker "$bin/ganger-worker" --allow-root join "$token" \
        --name counted --slots 2) >"$home/worker.log" 2>&1 &
    worker=$!
    pids+=("$worker")
    until "$bin/ganger" workers --json | grep -q '"state":"up"'; do
        still "$worker" "$home/worker.log"
    done
    (as submitter "$bin/ganger" submit --kind square -a "$home/list" --wait) >"$home/submit.log" 2>&1
    kill -TERM "$worker"
    wait "$worker" || true
    "$bin/ganger" stop --now >/dev/null
    wait "$master" || true
    pids=()
    rm -rf "$home"
}

for counted in "${roles[@]}"; do
    run "$few"
    run "$many"
    echo "$counted, instructions per task:"
    awk -v few="$few" -v many="$many" -f "$parts" "$kept/$counted-$few.out" \
        "$kept/$counted-$many.out" | sort -k1,1nr
    echo
done
