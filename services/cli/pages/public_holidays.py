"""
The table of public holidays, out of the package `holidays`.

`python -m services.cli.pages.public_holidays` writes services/shared/calendars/public_holidays.txt and says how many lines
changed. Do so once a year, and whenever a country has moved a holiday; a changed table is a new model (docs/adr/0116).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

TABLE = Path("services/shared/calendars/public_holidays.txt")
FIRST_YEAR, LAST_YEAR = 2020, 2035

_ISO_PART = re.compile(r"[A-Z0-9]{1,3}")
_HEAD = """# Public holidays by country and year, made by `python -m services.cli.pages.public_holidays` from the package
# holidays {version}. Do not edit. `DE 2025 0101` is a day of a country; a part of a country has what differs, with + and -.
# Days of the weekend are numbered from 0, Monday.
"""


def text() -> str:
    """Return the table."""
    head = _HEAD.format(version=version("holidays"))
    return head + "".join(f"{line}\n" for line in _lines())


def lines_of(code: str) -> list[str]:
    """Return the lines of one country."""
    import holidays

    years = range(FIRST_YEAR, LAST_YEAR + 1)
    country = holidays.country_holidays(code, years=years)
    parts = sorted(part for part in country.subdivisions if _ISO_PART.fullmatch(part))
    lines = [f"{code} weekend {' '.join(map(str, sorted(country.weekend)))}"]
    if parts:
        lines.append(f"{code} parts {' '.join(parts)}")
    of_all = {day: f"{day:%m%d}" for day in sorted(country)}
    for year in years:
        days = [word for day, word in of_all.items() if day.year == year]
        lines.append(" ".join([code, str(year), *days]))
    for part in parts:
        own = set(holidays.country_holidays(code, subdiv=part, years=years))
        for year in years:
            more = [f"+{day:%m%d}" for day in sorted(own - of_all.keys()) if day.year == year]
            less = [f"-{day:%m%d}" for day in sorted(of_all.keys() - own) if day.year == year]
            if more or less:
                lines.append(" ".join([f"{code}-{part}", str(year), *more, *less]))
    return lines


def _lines() -> Iterator[str]:
    import holidays

    for code in sorted(code for code in holidays.list_supported_countries() if len(code) == 2):
        yield from lines_of(code)


if __name__ == "__main__":
    before = set(TABLE.read_text("utf-8").splitlines()) if TABLE.exists() else set()
    made = text()
    TABLE.write_text(made, "utf-8")
    print(f"{TABLE}: {len(set(made.splitlines()) ^ before)} lines changed")
