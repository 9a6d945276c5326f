#!/usr/bin/env bash
# Draws the README's pictures: builds the release programs, runs the real screen under tmux on a
# temp home, captures what it shows, and has draw.py make SVG of it. Stops all that it started.
# Needs tmux and python3. Usage: assets/screens/make.sh
set -euo pipefail

columns=120 rows=36
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
bin="${CARGO_TARGET_DIR:-$root/target}/release"
scratch=$(mktemp -d)
socket="ganger-screens-$$"
started=()

for tool in cargo tmux python3; do
    command -v "$tool" >/dev/null || { echo "make.sh needs $tool; install it" >&2; exit 2; }
done
# What the person who runs this has set must not show in the pictures.
unset TMUX GANGER_MASTER GANGER_TOKEN NO_COLOR
export GANGER_HOME="$scratch/ganger" LC_ALL=C.UTF-8

t() { tmux -L "$socket" -f /dev/null "$@"; }
pane() { t capture-pane -p -t screen; }
keys() { t send-keys -t screen "$@"; }
typed() { t send-keys -t screen -l "$1"; }

stop_all() {
    t kill-server 2>/dev/null || true
    # The local worker is the master's child, not ours: its folder says who it is.
    local pid_file="$GANGER_HOME/local-worker/pid"
    [ -r "$pid_file" ] && started+=("$(cat "$pid_file")")
    timeout 20 "$bin/ganger" --no-start stop --now >/dev/null 2>&1 || true
    # A first TERM lets a worker finish what it runs, a second one does not.
    for _ in 1 2; do
        for pid in "${started[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
        sleep 1
    done
    wait
    rm -rf "$scratch"
}
trap stop_all EXIT

# Waits until a command succeeds, for 30 s at most.
until_done() {
    local what=$1
    shift
    for _ in $(seq 300); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    echo "waited in vain until $what; the screen shows:" >&2
    pane >&2 || true
    exit 1
}
# Reads to the end: with pipefail a grep that leaves early would fail the capture.
shows() { pane | grep -F -- "$1" >/dev/null; }
wait_for() { until_done "the screen shows \"$1\"" shows "$1"; }

draw() {
    t capture-pane -e -N -p -t screen |
        python3 "$here/draw.py" "$columns" "$rows" "ganger" >"$scratch/$1.svg"
    mv "$scratch/$1.svg" "$here/$1.svg"
    echo "drew assets/screens/$1.svg"
}

# A worker with an identity of its own, as on another machine.
add_worker() {
    local name=$1 slots=$2 line
    line=$("$bin/ganger" invite --name "$name" 2>/dev/null)
    "$bin/ganger-worker" join "${line##* }" --home "$scratch/$name" --slots "$slots" \
        --allow-shell --allow-root >/dev/null 2>&1 &
    started+=($!)
}

cd "$root"
cargo build --release --locked --bins

"$bin/ganger" master --listen 127.0.0.1:0 --advertise localhost --local-worker 2 \
    >/dev/null 2>"$scratch/master.err" &
started+=($!)
until_done 'the master answers' "$bin/ganger" --no-start status

t new-session -d -s screen -x "$columns" -y "$rows" \
    "env TERM=tmux-256color COLORTERM=truecolor '$bin/ganger' --no-start"
t set-option -g status off
t set-option -as terminal-features ',*:RGB'

wait_for 'ganger-worker join'
draw welcome

add_worker alpha 8
add_worker bravo 4
until_done 'alpha is up' bash -c "'$bin/ganger' workers | grep -q alpha"
until_done 'bravo is up' bash -c "'$bin/ganger' workers | grep -q bravo"

# Some work of every kind: long enough to be seen, with failures, retries and a backlog.
keys I
find /usr/share/doc -type f >"$scratch/files"
sed 300q "$scratch/files" |
    "$bin/ganger" submit --name checksums -a - -- sha256sum {} >/dev/null
"$bin/ganger" submit --name render --range 100..600 --shell 'sleep 1.{}; echo frame {}' >/dev/null
"$bin/ganger" submit --name probes --priority 5 --range 1..40 --retries 2 --backoff 2s..10s \
    --shell 'sleep 0.2; case {} in *7) echo "no answer from host {}" >&2; exit 2 ;; esac' >/dev/null
"$bin/ganger" submit --name nightly --not-before 10m --range 1..20 --kind sleep >/dev/null
# The chart has seconds on its axis: it needs some to have something to show.
sleep 8
keys 1
wait_for 'Throughput'
draw overview

keys 2
wait_for 'Tasks'
sleep 1
draw tasks

# The form: kind shell, a range, a template with a width. It opens at the command.
keys i
wait_for 'Inject'
typed 'convert in/{n:04}.png -resize 50% out/{n:04}.png'
keys BTab Right Right Tab Tab
keys BSpace BSpace BSpace
typed '500'
wait_for 'out/0500.png'
draw inject
