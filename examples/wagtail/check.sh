#!/bin/sh
# ./check.sh   tries what docs/cms/wagtail.md promises, on the running site and the running cms-edge
cd "$(dirname "$0")" && exec venv/bin/python check.py "$@"
