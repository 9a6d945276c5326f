#!/bin/sh
# A warm handler in POSIX shell: says what an HTTP status means. Its context is a table that is
# read once, before the first task, and kept in this process.
set -u
table=$(sort -n "${STATUS_TABLE:-status.txt}") || exit 1
table="
$table
"
# Answers go where standard output was; all else goes to standard error.
exec 3>&1 1>&2

while IFS= read -r line; do
    # `args` comes before `env`, and no other part of the line can look like this.
    args=${line#*'"args":'}
    args=${args%'"env":{'*}
    args=${args%,}
    case $args in
    '"'[1-5][0-9][0-9]'"') ;;
    *)
        printf '{"error":"a status of three digits is needed"}\n' >&3
        continue
        ;;
    esac
    args=${args#'"'}
    args=${args%'"'}
    case $table in
    *"
$args "*)
        meaning=${table#*"
$args "}
        printf '{"ok":"%s %s"}\n' "$args" "${meaning%%"
"*}" >&3
        ;;
    *) printf '{"error":"no status %s is known"}\n' "$args" >&3 ;;
    esac
done
