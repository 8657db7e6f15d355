#!/bin/bash
# Bundle what the consoles' pages need of noVNC, spice-html5 and xterm.js out of Debian's packages, for `make setup`.  Nothing is fetched
# and nothing of it is committed.  Done at once while the packages are those that the bundles were made of.
set -euo pipefail
PAGES="$(cd "$(dirname "$0")/.." && pwd)/services/compute/console/pages"
OUT="$PAGES/bundles"

bundle() { # bundle NAME ENTRY [OPTION...]
  NODE_PATH=/usr/share/nodejs:/usr/share esbuild "$2" --bundle --minify --format=esm --legal-comments=inline \
    --log-level=warning --outfile="$OUT/$1" "${@:3}"
}

made_of() { dpkg-query --show novnc spice-html5 node-xterm esbuild && sha256sum "$PAGES"/entries/*.js "$0" | cut -c1-64; }

now="$(made_of)"
[ "$(cat "$OUT/made-of" 2>/dev/null)" != "$now" ] || exit 0
mkdir -p "$OUT"
bundle novnc.js "$PAGES/entries/novnc.js"
# its websockets are ours, and a key that it does not know opens no window
bundle spice-html5.js "$PAGES/entries/spice-html5.js" --define:alert=console.info \
  --inject:"$PAGES/entries/spice-websocket.js"
bundle xterm.js "$PAGES/entries/xterm.js"
bundle xterm.css /usr/share/nodejs/xterm/lib/xterm.css
echo "$now" >"$OUT/made-of"
