"""HTTP, served and asked."""

import sys

# httpx brings its command line along where rich and click are installed: 5 MiB in every process, for nobody
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
