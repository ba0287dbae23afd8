"""The sixty customers: who they are, whom they employ and which storyline they live through."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from services.simulator.storylines import CAST, Storyline

FIRST_NAMES = (
    "Ada", "Amir", "Bea", "Carlos", "Chen", "Dana", "Elif", "Femi", "Grace", "Hana", "Ines", "Jonas", "Kofi", "Lena",
    "Mara", "Nils", "Olga", "Priya", "Quinn", "Rosa", "Sam", "Tariq", "Uma", "Vera", "Wei", "Yara", "Zoe",
)  # fmt: skip
COMPANIES = (
    "Acorn Logistics", "Alder Health", "Anchor Foods", "Aspen Legal", "Atlas Freight", "Beacon Energy", "Birch Media",
    "Blue Harbor", "Brightside Care", "Cedar Works", "Clearwater Labs", "Cobalt Mining", "Copperfield Books",
    "Coral Travel", "Crestline Bank", "Delta Foundry", "Driftwood Homes", "Eastgate Motors", "Elm Street Dental",
    "Ember Studios", "Fairview Schools", "Falcon Security", "Fern Cosmetics", "Firth Shipping", "Foxglove Pharma",
    "Granite Build", "Greenway Transit", "Harvest Mills", "Hawthorn Press", "Hazel & Sons", "Hillcrest Hotels",
    "Indigo Textiles", "Ironbridge Steel", "Juniper Cafe", "Keystone Tools", "Kingfisher Air", "Lakeside Dairy",
    "Lantern Games", "Laurel Insurance", "Maple Robotics", "Meridian Maps", "Millstone Bakery", "Nimbus Weather",
    "North Pier Yachts", "Oakfield Farms", "Ochre Paints", "Opal Optics", "Orchard Juice", "Pebble Mobile",
    "Pine Ridge Lodge", "Quarry Stone", "Quayside Seafood", "Redwood Furniture", "Riverbend Clinics", "Saffron Kitchens",
    "Sandstone Retail", "Silver Birch Spa", "Summit Outdoor", "Thistle Tea", "Willow Analytics",
)  # fmt: skip
OWNERS = ("Nora Lindt", "Peter Osei", "Maya Torres", "Ivan Petrov")
PLANS = (("team", 30.0), ("business", 55.0), ("enterprise", 90.0))
"""Plan and price of a seat a month."""
ZONES = (-8, -5, 0, 1, 2, 8)
COUNTRIES = {
    -8: ("US-CA", "US-WA"), -5: ("US-NY", "US-MA"), 0: ("GB", "PT"), 1: ("DE", "IT", "FR", "ES"), 2: ("FI", "GR"),
    8: ("SG",),
}  # fmt: skip
"""Where an account of a zone may be."""
_STATES_ITS_COUNTRY = 0.85


_WITH_SEVERAL_PEOPLE = frozenset(
    {
        Storyline.SEAT_LOSS,
        Storyline.SLOW_DECAY,
        Storyline.SEAT_SATURATION,
        Storyline.GROWING,
        Storyline.MOVED_TO_AGENTS,
    }
)


@dataclass(frozen=True, slots=True)
class Person:
    """One user of an account."""

    user: str
    name: str
    keenness: float
    """Chance of being active on a working day, 0 to 1."""
    events: float
    """Mean events on an active day."""


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer."""

    account: str
    name: str
    storyline: Storyline
    shift: int
    """Its number among the accounts of the same storyline, from 0."""
    owner: str
    plan: str
    seats: int
    revenue: float
    """A year."""
    zone: int
    """Hours ahead of UTC."""
    country: str | None
    """Where its people work, as it says itself; None: it does not say, and keeps no holidays."""
    contract_age_days: int
    """At the end of the simulated time, for accounts that did not begin within it."""
    people: tuple[Person, ...]


def roster(seed: int) -> tuple[Customer, ...]:
    """Return the accounts for `seed`, always the same ones in the same order."""
    dice = Random(f"tidemark-roster/{seed}")
    companies = list(COMPANIES)
    dice.shuffle(companies)
    parts = [(storyline, shift) for storyline, count in CAST.items() for shift in range(count)]
    return tuple(_account(dice, company, *part) for company, part in zip(companies, parts, strict=True))


def _account(dice: Random, company: str, storyline: Storyline, shift: int) -> Customer:
    slug = "-".join(word for word in company.lower().replace("&", "and").split())
    size = round(min(28, max(5, dice.lognormvariate(2.15, 0.45))))
    if storyline in _WITH_SEVERAL_PEOPLE:
        size = max(size, 9)  # a loss of people shows only where there are some
    tight = storyline is Storyline.SEAT_SATURATION
    seats = size if tight else max(size + 2, round(size * dice.uniform(1.3, 1.9)))
    plan, price = PLANS[min(2, size // 9)]
    people = tuple(_person(dice, slug, number, sturdy=number == 0 or tight) for number in range(size))
    owner, revenue = dice.choice(OWNERS), round(seats * price * 12 / 100) * 100.0
    zone = dice.choice(ZONES)
    return Customer(
        account=slug,
        name=company,
        storyline=storyline,
        shift=shift,
        owner=owner,
        plan=plan,
        seats=seats,
        revenue=revenue,
        zone=zone,
        country=_country(slug, zone),
        contract_age_days=dice.randint(270, 900),
        people=people,
    )


def _country(slug: str, zone: int) -> str | None:
    dice = Random(f"tidemark-country/{slug}")
    return dice.choice(COUNTRIES[zone]) if dice.random() < _STATES_ITS_COUNTRY else None


def _person(dice: Random, slug: str, number: int, *, sturdy: bool) -> Person:
    first = dice.choice(FIRST_NAMES)
    return Person(
        user=f"{first.lower()}.{number}@{slug}.example",
        name=first,
        keenness=dice.uniform(0.7, 0.9) if sturdy else dice.uniform(0.35, 0.85),
        events=dice.uniform(0.6, 1.8),
    )
