#!/bin/sh
# Puts the first content back, with the same page ids, and restarts the site.
# No purge is sent: restart the edge too, or purge everything there.
set -eu
cd "$(dirname "$0")"
./stop.sh
rm -f db.sqlite3 db.sqlite3-wal db.sqlite3-shm
venv/bin/python manage.py migrate -v0
venv/bin/python manage.py seed
exec ./start.sh
