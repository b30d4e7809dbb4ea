#!/bin/sh
# Publishes a new title in German and expects it at once, through the edge, wherever the article is shown.
set -eu
cd "$(dirname "$0")"
edge=${EDGE:-http://127.0.0.1:8080}
slug=${1:-neue-bruecke}
list="$edge/api/v2/pages/?type=articles.ArticlePage&locale=de&fields=intro"
id=$(curl -fsS "$edge/api/v2/pages/?locale=de&slug=$slug" | sed -n 's/.*"id": *\([0-9]*\).*/\1/p' | head -n 1)
[ -n "$id" ] || { echo "no article /de/$slug/ behind $edge" >&2; exit 1; }
title="Stand $(date +%s)-$$"
set -- "$edge/de/$slug/" "$edge/de/" "$list" "$edge/api/v2/pages/$id/"

for url in "$@" "$@"; do
    status=$(curl -fsS -o /dev/null -D - "$url" | tr -d '\r' | sed -n 's/^[Cc]ache-[Ss]tatus: //p')
    echo "before  $url  ${status:-no Cache-Status}"
done
./publish de "$slug" --title "$title" >publish.log 2>&1 || { cat publish.log >&2; exit 1; }
failed=0
for url in "$@"; do
    body=$(curl -fsS "$url")
    case $body in
        *"$title"*) echo "new     $url" ;;
        *) echo "OLD     $url"; failed=1 ;;
    esac
done
exit $failed
