#!/usr/bin/env bash
# A pipeline on real files while workers are killed: every file below a copy of a folder is
# compressed, decompressed and its checksum compared, on three workers with homes of their own, one
# of which is killed with SIGKILL every few seconds and started again. Ends with 0 when nothing is
# missing, nothing is extra and every checksum is right.
#
#   assets/bench/pipeline/run.sh [FOLDER [SECONDS BETWEEN KILLS]]      (/usr/share/doc, 5)
#
# Needs a release build: cargo build --release. Works in a temp folder and stops what it started.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
source=${1:-/usr/share/doc}
every=${2:-5}
bin=$PWD/target/release
work=$(mktemp -d)
export GANGER_HOME=$work/master
declare -A workers=()
kills=0

stop() {
    for pid in "${workers[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    "$bin/ganger" stop --now >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap stop EXIT

start_worker() {
    GANGER_HOME=$work/$1 "$bin/ganger-worker" --allow-root >/dev/null 2>&1 &
    workers[$1]=$!
}

mkdir -p "$work/master"
"$bin/ganger" master --listen 127.0.0.1:0 --advertise 127.0.0.1 --local-worker 0 >/dev/null 2>&1 &
until "$bin/ganger" status >/dev/null 2>&1; do sleep 0.1; done
for name in alpha beta gamma; do
    token=$("$bin/ganger" invite --role worker | grep -o 'ganger1[A-Za-z0-9]*' | head -1)
    GANGER_HOME=$work/$name "$bin/ganger-worker" join "$token" --name "$name" --slots 2 \
        --allow-shell --allow-root >/dev/null 2>&1 &
    workers[$name]=$!
done
until [ "$("$bin/ganger" workers --json | grep -o '"state":"up"' | wc -l)" = 3 ]; do sleep 0.1; done

# Links are followed, so that every name below is a file of its own.
mkdir "$work/in" "$work/packed" "$work/out"
cp -RL "$source/." "$work/in" 2>/dev/null || true
cd "$work/in"
find . -type f >"$work/files"
files=$(wc -l <"$work/files")
echo "$files files, $(du -shL . | cut -f1), a worker killed every $every s"

# An attempt may run twice: each writes a file of its own and moves it into place.
began=$(date +%s%N)
pack=$("$bin/ganger" submit --name pack -a "$work/files" --cwd "$work/in" --shell \
    'd=../packed/{//} && mkdir -p "$d" && gzip -9 <{} >../packed/{}.gz.$$ && mv ../packed/{}.gz.$$ ../packed/{}.gz')
unpack=$("$bin/ganger" submit --name unpack --after "$pack" -a "$work/files" --cwd "$work/packed" --shell \
    'mkdir -p ../out/{//} && gunzip <{}.gz >../out/{}.$$ && mv ../out/{}.$$ ../out/{}')
check=$("$bin/ganger" submit --name check --after "$unpack" -a "$work/files" --cwd "$work/out" -- sha256sum {})
"$bin/ganger" wait "$check" >/dev/null &
waiting=$!
names=(alpha beta gamma)
while kill -0 "$waiting" 2>/dev/null; do
    for _ in $(seq "$((every * 10))"); do
        kill -0 "$waiting" 2>/dev/null || break 2
        sleep 0.1
    done
    name=${names[$((kills % 3))]}
    kill -KILL "${workers[$name]}" 2>/dev/null || true
    wait "${workers[$name]}" 2>/dev/null || true
    kills=$((kills + 1))
    start_worker "$name"
done
code=0
wait "$waiting" || code=$?
took=$((($(date +%s%N) - began) / 1000000))

"$bin/ganger" results "$check" | sort >"$work/ours"
(cd "$work/in" && xargs -d '\n' sha256sum <"$work/files" | sort) >"$work/direct"
extra=$(cd "$work/out" && find . -type f | sort | comm -23 - <(sort "$work/files") | wc -l)
# A killed attempt may leave its own unfinished file; nothing else may be there.
strays=$(cd "$work/out" && find . -type f | sort | comm -23 - <(sort "$work/files") | grep -cvE '\.[0-9]+$' || true)
lost=$("$bin/ganger" ls 'tries>=2' --json | wc -l)
echo "$kills kills, $((3 * files)) tasks in $took ms, $lost of them tried again; wait ended with $code"
if cmp -s "$work/ours" "$work/direct" && [ "$strays" = 0 ] && [ "$code" = 0 ]; then
    echo "every checksum is right, nothing is missing, nothing is extra ($extra unfinished files of killed attempts)"
else
    echo "WRONG: $(diff "$work/ours" "$work/direct" | grep -c '^[<>]') lines differ, $strays strays" >&2
    exit 1
fi
