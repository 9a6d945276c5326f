#!/usr/bin/env bash
# Draws the README's pictures: builds the release programs, runs the real screen under tmux on a
# temp home, and has it draw itself with its own key for pictures. Stops all that it started.
# Needs tmux. Usage: assets/screens/make.sh
set -euo pipefail

columns=120 rows=36
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
bin="${CARGO_TARGET_DIR:-$root/target}/release"
scratch=$(mktemp -d)
socket="ganger-screens-$$"
shots="$scratch/shots"
started=()
mkdir "$shots"

for tool in cargo tmux; do
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
hides() { ! shows "$1"; }
wait_for() { until_done "the screen shows \"$1\"" shows "$1"; }

# The screen draws itself: F12 writes a picture of what it shows into its folder.
draw() {
    rm -f "$shots"/*.svg
    keys F12
    until_done "the picture of $1 is written" bash -c "ls '$shots'/*.svg"
    # The sentence that says where the picture is must not be in the next one.
    wait_for 'the picture is in'
    until_done 'the sentence about the picture is gone' hides 'the picture is in'
    mv "$shots"/*.svg "$here/$1.svg"
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

t new-session -d -s screen -c "$shots" -x "$columns" -y "$rows" \
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

# What failed or waits to be tried again, with what one of them printed below.
keys 2
wait_for 'Tasks'
sleep 8
keys /
typed 'state:failed|delayed -kind:sleep'
keys Enter
sleep 1
keys Space Down Space Down o
wait_for 'no answer from host'
sleep 1
draw tasks

keys :
sleep 0.5
typed 're'
sleep 0.5
draw palette
keys Escape
sleep 0.5
keys o Escape Escape

# A task that prints for a while, to be looked at live.
build=$("$bin/ganger" submit --name build --shell 'for part in parse resolve plan; do
    printf "\033[1;32m  Compiling\033[0m %s v1.4.2\n" $part; sleep 0.4; done
    i=0; while [ $i -lt 99 ]; do i=$((i+1)); printf "\033[1;36m   Building\033[0m [%d/99]\r" $i
    [ $((i % 9)) = 0 ] && printf "\033[1;32m  Compiling\033[0m crate-%02d v0.%d.0\033[K\n" $i $i
    [ $i = 40 ] && echo "warning: unused variable: \`width\`" >&2; sleep 0.2; done' -p 9)

keys / C-u
typed "batch:$build state:running"
keys Enter
wait_for '1–1 of 1'
keys Enter
wait_for 'unused variable'
sleep 0.5
draw output
keys q
sleep 0.3
keys Escape

# The form: kind shell, a range, a template with a width. It opens at the command.
keys i
wait_for 'Inject'
typed 'convert in/{n:04}.png -resize 50% out/{n:04}.png'
keys BTab Right Right Tab Tab
keys BSpace BSpace BSpace
typed '500'
wait_for 'out/0500.png'
draw inject
