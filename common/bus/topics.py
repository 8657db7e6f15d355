"""Topic patterns as AMQP has them: `*` is one word, `#` any number of words."""

from __future__ import annotations


def matches(pattern: str, topic: str) -> bool:
    """Whether `topic` ("compute.server.changed") is among those that `pattern` ("compute.#") means."""
    return _match(pattern.split("."), topic.split("."))


def _match(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(_match(pattern[1:], words[skipped:]) for skipped in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and _match(pattern[1:], words[1:])
