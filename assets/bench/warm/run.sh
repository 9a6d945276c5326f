#!/bin/sh
# One process for each task against a warm handler, on the same Python job: heavy imports and an
# SQLite query. Prints the seconds of both, their ratio, and the rate of a handler that does nothing.
#     GANGER=target/release/ganger assets/bench/warm/run.sh [TASKS] [TRIVIAL_TASKS] [SLOTS]
set -eu
tasks=${1:-2000}
trivial=${2:-200000}
slots=${3:-2}
GANGER=${GANGER:-ganger}
# The interpreter itself: a shim that looks for it costs more than it does.
python=$(python3 -c 'import sys; print(sys.executable)')
here=$(cd "$(dirname "$0")" && pwd)
home=$(mktemp -d)
export GANGER_HOME="$home"
finish() {
    "$GANGER" stop --now >/dev/null 2>&1 || true
    wait
    rm -rf "$home"
}
trap finish EXIT

"$python" - "$home/items.db" <<'END'
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("CREATE TABLE items (kind INTEGER, price INTEGER)")
rows = ((n % 100, n * 37 % 1000) for n in range(20000))
connection.executemany("INSERT INTO items VALUES (?, ?)", rows)
connection.execute("CREATE INDEX kinds ON items (kind)")
connection.commit()
END

mkdir -m 700 "$home/local-worker"
for name in warm echo; do
    cat >>"$home/local-worker/worker.toml" <<END
[handlers.$name]
command = ["$python", "$here/$name.py"]
env = { ITEMS = "$home/items.db", HANDLERS = "$here/../../handlers", PYTHONDONTWRITEBYTECODE = "1" }
END
done
"$GANGER" master --listen 127.0.0.1:0 --local-worker "$slots" >/dev/null 2>&1 &
until [ "$("$GANGER" workers --json 2>/dev/null | grep -c '"up"')" -gt 0 ]; do sleep 0.1; done

# Milliseconds of a batch from the command to its last recorded result.
took() {
    from=$(date +%s%N)
    "$GANGER" submit --wait --name "$@" >/dev/null
    to=$(date +%s%N)
    echo $(((to - from) / 1000000))
}
once=$(took once --range "1..$tasks" -- "$python" "$here/once.py" "$home/items.db" "{}")
"$GANGER" results >"$home/once.txt"
warm=$(took warm --kind handler:warm --range "1..$tasks")
"$GANGER" results >"$home/warm.txt"
cmp "$home/once.txt" "$home/warm.txt" || { echo "the answers differ" >&2; exit 1; }
took echo --kind handler:echo --range "1..$slots" >/dev/null
echo=$(took echo --kind handler:echo --range "1..$trivial")
"$GANGER" results | tail -n 1 | grep -qx "$trivial" || { echo "an answer is wrong" >&2; exit 1; }

awk -v tasks="$tasks" -v trivial="$trivial" -v once="$once" -v warm="$warm" -v echo="$echo" 'BEGIN {
    printf "one process a task: %d tasks in %.2f s, %d/s\n", tasks, once / 1000, tasks * 1000 / once
    printf "warm handler:       %d tasks in %.2f s, %d/s\n", tasks, warm / 1000, tasks * 1000 / warm
    printf "ratio:              %.1f\n", once / warm
    printf "trivial handler:    %d tasks in %.2f s, %d/s\n", trivial, echo / 1000, trivial * 1000 / echo
}'
