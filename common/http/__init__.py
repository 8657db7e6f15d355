"""HTTP, served and asked."""

import sys

# what our libraries would bring into every process, for nobody
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # its command line, where rich and click are there: 5 MiB
sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type]  # models of old, which FastAPI would recognise: 2 MiB
