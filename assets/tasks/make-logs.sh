#!/bin/sh
# Makes COUNT log files of a web server's kind in FOLDER; the same ones each time.
set -eu
folder=${1:?usage: make-logs.sh FOLDER COUNT}
count=${2:?usage: make-logs.sh FOLDER COUNT}
mkdir -p "$folder"
awk -v folder="$folder" -v count="$count" 'BEGIN {
    for (file = 1; file <= count; file++) {
        path = sprintf("%s/day %02d.log", folder, file)
        for (line = 1; line <= 200 * file; line++) {
            status = (line * 7 + file) % 40 == 0 ? 500 : (line + file) % 11 == 0 ? 404 : 200
            printf "10.0.%d.%d GET /page/%d %d\n", file, line % 250, line % 97, status > path
        }
        close(path)
    }
}'
