#!/bin/sh
# Counts the lines and the errors of one log file: one task. Prints `LINES ERRORS FILE`.
set -eu
file=$1
lines=$(wc -l < "$file")
errors=$(grep -c -i error "$file" || true)
echo "$lines $errors $file"
