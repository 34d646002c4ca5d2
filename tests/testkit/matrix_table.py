"""The table that the media matrix ends with."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Table:
    """What became of each cell that was tried; differences with their reason."""

    cells: Counter[str] = field(default_factory=Counter)
    different: list[tuple[str, str, str]] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For people."""
        counted = ", ".join(f"{count} {name}" for name, count in sorted(self.cells.items()))
        tried = self.cells["equal"] + self.cells["different"]
        listed = [f"  {cell}: {difference} ({reason})" for cell, difference, reason in sorted(self.different)]
        return [f"{tried} cells tried: {counted}", *listed]
