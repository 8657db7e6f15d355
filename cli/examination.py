"""Runs every check of `checks.py` and shows what it found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

from cli.places import Places
from cli.progress import console
from common.errors import PlatformError
from common.settings import PlatformSettings


@dataclass(frozen=True, slots=True)
class Patient:
    """The cloud that is examined; `places` only when it is one of this machine's data directories."""

    settings: Path
    places: Places | None

    @classmethod
    def at(cls, places: Places) -> Patient:
        return cls(places.settings, places)

    @classmethod
    def of_file(cls, settings: Path) -> Patient:
        return cls(settings, None)

    @property
    def platform(self) -> PlatformSettings:
        return PlatformSettings.read(self.settings)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `fix` is what to do when it is not well."""

    says: str
    is_well: bool = True
    fix: str = ""


def show(patient: Patient) -> bool:
    """Print each finding with its fix; whether all is well."""
    from cli.checks import CHECKS

    all_well = True
    for check in CHECKS:
        try:
            found = check.look(patient)
        except PlatformError as error:
            found = Finding(error.message, False, check.fix.format(data=_folder(patient)))
        all_well = all_well and found.is_well
        mark = "[green]✓[/green]" if found.is_well else "[red]✗[/red]"
        console.print(f"{mark} {check.name:13} {escape(found.says)}")
        if not found.is_well:
            fix = found.fix or check.fix.format(data=_folder(patient))
            console.print(f"  {'':13} [bold]→[/bold] {escape(fix)}")
    return all_well


def _folder(patient: Patient) -> Path:
    return patient.places.data if patient.places else patient.settings.parent
