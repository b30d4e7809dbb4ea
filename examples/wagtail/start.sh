#!/bin/sh
# Starts the Wagtail site on 127.0.0.1:8000; the first time it installs and fills it.
# Everything stays in this directory. Needs python3 (3.10 or later) and curl.
set -eu
cd "$(dirname "$0")"
if [ -f gunicorn.pid ] && kill -0 "$(cat gunicorn.pid)" 2>/dev/null; then
    echo "already running, pid $(cat gunicorn.pid)"
    exit 0
fi
if [ ! -f .ready ]; then
    python3 -m venv venv
    venv/bin/pip install --quiet -r requirements.txt
    venv/bin/python manage.py makemigrations articles
    venv/bin/python manage.py migrate -v0
    venv/bin/python manage.py collectstatic --noinput -v0
    venv/bin/python manage.py seed
    mkdir -p media
    touch .ready
fi
# access.log has one line for each request that reached Wagtail.
DJANGO_SETTINGS_MODULE=news.settings venv/bin/gunicorn 'django.core.wsgi:get_wsgi_application()' \
    --bind 127.0.0.1:8000 --workers 2 --threads 4 --keep-alive 75 --no-control-socket \
    --access-logfile access.log --access-logformat '%(t)s %(m)s %(U)s?%(q)s %(s)s' \
    --pid gunicorn.pid --error-logfile gunicorn.log --capture-output --daemon
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    if curl -fsS -o /dev/null http://127.0.0.1:8000/en/ 2>/dev/null; then
        echo "Wagtail answers on http://127.0.0.1:8000, pid $(cat gunicorn.pid)"
        exit 0
    fi
    sleep 0.5
done
echo "Wagtail did not answer within 10 s, see gunicorn.log" >&2
exit 1
