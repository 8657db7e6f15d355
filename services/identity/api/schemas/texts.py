"""Kinds of text in bodies."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, StringConstraints


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("A text must not hold a NUL")
    return text


Text = Annotated[str, AfterValidator(_without_nul)]
Name = Annotated[Text, StringConstraints(min_length=1, max_length=255, pattern=r"\S")]
ProjectName = Annotated[Text, StringConstraints(min_length=1, max_length=64, pattern=r"\S")]
Id = Annotated[Text, StringConstraints(min_length=1, max_length=64)]
