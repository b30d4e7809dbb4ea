#!/bin/sh
# Stops the site that start.sh started, by its pid.
set -eu
cd "$(dirname "$0")"
[ -f gunicorn.pid ] || { echo "not running"; exit 0; }
pid=$(cat gunicorn.pid)
kill "$pid" 2>/dev/null || true
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    kill -0 "$pid" 2>/dev/null || { rm -f gunicorn.pid; echo "stopped, pid $pid"; exit 0; }
    sleep 0.5
done
echo "pid $pid did not stop within 10 s" >&2
exit 1
