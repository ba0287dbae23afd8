"""What a tracking plan of the right shape can still get wrong, each with the path of its field."""

from __future__ import annotations

import re
from collections.abc import Iterator

from services.shared.tracking_plan.deny_checks import problems_of_denylist
from services.shared.tracking_plan.page_paths import wrong_with
from services.shared.tracking_plan.plan import (
    TrackingPlan,
    facts,
    named,
    plain,
    words,
)
from services.shared.tracking_plan.property_checks import all_events, all_properties, problems_of_properties
from services.shared.tracking_plan.state_names import (
    ABSENT_FROM,
    ABSENT_UNTIL,
    COUNTS_OF_ALL,
    FIRST_ACTIVITY,
    LAST_ACTIVITY,
    PLANNED_ABSENCES,
    closed,
    opened,
)
from services.shared.tracking_plan.use import is_use_word

MAX_EVENTS, MAX_PAGES, MAX_PATHS, MAX_PROPERTIES = 2_000, 200, 500, 200
MAX_COUNTS = 32
"""Daily counts of an account, those of its cases among them: 256 or 512 bytes each that ever counts."""
MAX_CASES, MAX_SURVEYS = 8, 8
MAX_FACTS, MAX_MILESTONES = 32, 16
MAX_ROLES, MAX_FEATURES = 15, 16
HIGHEST_SCORE = 100
NPS_SCALE = (0, 10)

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_EXAMPLES_OF_USE = {"counts": "counts.exports", "milestones": "milestones.first_value", "features": "features.reports"}
_ONE_CASE, _ONE_ANSWER = "cases.tickets.opened", "answers.nps"
_DECLARE_AS = {
    "cases": "with the property that has its id",
    "answers": "with its score and scale",
    "features": "as core or deep",
}


def problems_of(plan: TrackingPlan, *, whole: bool = True) -> list[str]:
    """Return all that is wrong; what refers to something else is looked at only if the plan is `whole`, else that may be lost."""
    return [
        *_counted(plan), *_names_of_events(plan), *_meanings(plan), *_names_of_state(plan), *_scales(plan), *_paths(plan),
        *_excluded(plan), *problems_of_properties(plan), *problems_of_denylist(plan),
        *(_references(plan) if whole else ()),
    ]  # fmt: skip


def _counted(plan: TrackingPlan) -> Iterator[str]:
    counts = len(COUNTS_OF_ALL) + len(named(plan, "counts")) + 2 * len(plan.cases)
    for path, count, most in (
        ("events", len(plan.events), MAX_EVENTS),
        ("pages", len(plan.pages), MAX_PAGES),
        ("paths of pages", sum(len(page.paths) for page in plan.pages.values()), MAX_PATHS),
        ("counts", counts, MAX_COUNTS),
        ("cases", len(plan.cases), MAX_CASES),
        ("answers", len(plan.answers), MAX_SURVEYS),
        ("facts", len({fact for _, fact, _ in facts(plan)}), MAX_FACTS),
        ("milestones", len(named(plan, "milestones")), MAX_MILESTONES),
        ("features", len(plan.features), MAX_FEATURES),
        ("roles", len(plan.roles), MAX_ROLES),
        *((path, len(properties), MAX_PROPERTIES) for path, properties in all_properties(plan)),
    ):
        if count > most:
            more = ", with events, active and two for each sort of cases" if path == "counts" else ""
            yield f"{path}: {count} are too many{more}; {most} is the most"


def _names_of_events(plan: TrackingPlan) -> Iterator[str]:
    for kind, names in (("events", plan.events), ("pages", plan.pages)):
        taken: dict[str, str] = {}
        for name in names:
            if not plain(name):
                yield f"{kind}.{name}: a name is not empty"
            elif taken.setdefault(plain(name), name) != name:
                yield f"{kind}.{name}: the same name as {taken[plain(name)]}"


def _meanings(plan: TrackingPlan) -> Iterator[str]:
    """Check that each event is use of the product, counted in any number of ways, or one case or answer."""
    for path, event in all_events(plan):
        meant = words(event)
        if event.actor is not None and (event.means == "ignored" or any(not is_use_word(word) for word in meant)):
            yield f"{path}.actor: who acts counts for use of the product alone; leave it out, or change means"
        if isinstance(event.means, list) and not meant:
            yield f"{path}.means: name what it means, or write use or ignored"
        for number, word in enumerate(meant):
            at = f"{path}.means[{number}]"
            kind, _, name = word.partition(".")
            if meant.index(word) != number:
                yield f"{at}: {word} is there twice"
            elif kind == "cases" and name.rpartition(".")[2] not in {"opened", "closed"}:
                yield f"{at}: write which it is, such as {_ONE_CASE} or cases.tickets.closed"
            elif kind in {"cases", "answers"} or word == PLANNED_ABSENCES:
                if len(meant) > 1:
                    yield f"{at}: what opens or closes a case, answers a survey or plans an absence means nothing else"
            elif not is_use_word(word) or not name:
                known = ", ".join([*_EXAMPLES_OF_USE.values(), _ONE_CASE, _ONE_ANSWER, PLANNED_ABSENCES])
                yield f"{at}: {word!r} means nothing; write such as {known}"


def _references(plan: TrackingPlan) -> Iterator[str]:
    """Name what events mean and nothing declares, and what is declared and no event means: it would never hold anything."""
    declared = {
        **{f"cases.{name}.{step}": f"cases.{name}" for name in plan.cases for step in ("opened", "closed")},
        **{f"answers.{name}": f"answers.{name}" for name in plan.answers},
        **{f"features.{name}": f"features.{name}" for name in plan.features},
    }
    meant: set[str] = set()
    for path, event in all_events(plan):
        for number, word in enumerate(words(event)):
            kind, _, name = word.partition(".")
            meant.add(word)
            if kind in _DECLARE_AS and name and word not in declared:
                sort, _, step = name.rpartition(".")
                if kind != "cases" or step in {"opened", "closed"}:
                    told = f"{kind} declares no {sort if kind == 'cases' else name}; declare it {_DECLARE_AS[kind]}"
                    yield f"{path}.means[{number}]: {told}"
    for word, path in declared.items():
        if word not in meant:
            yield f"{path}: no event means {word}"


def _names_of_state(plan: TrackingPlan) -> Iterator[str]:
    """Check the names of state: their form, and that each stands for one thing."""
    of_all = (*COUNTS_OF_ALL, FIRST_ACTIVITY, LAST_ACTIVITY, ABSENT_FROM, ABSENT_UNTIL)
    taken = dict.fromkeys(of_all, "every account")
    for kind, names in (
        ("cases", list(plan.cases)),
        ("counts", named(plan, "counts")),
        ("answers", list(plan.answers)),
        ("facts", list(dict.fromkeys(fact for _, fact, _ in facts(plan)))),
        ("milestones", named(plan, "milestones")),
        ("features", list(plan.features)),
    ):
        for name in names:
            path = f"{kind}.{name}"
            if not _NAME.fullmatch(name):
                yield f"{path}: a name has 1 to 40 small letters, digits and underscores, a letter first"
            for used in (name, opened(name), closed(name)) if kind == "cases" else (name,):
                if used in taken:
                    yield f"{path}: {used} is a name of {taken[used]} already"
                taken.setdefault(used, path)


def _scales(plan: TrackingPlan) -> Iterator[str]:
    for name, survey in plan.answers.items():
        low, high = survey.scale
        if not 0 <= low < high <= HIGHEST_SCORE:
            yield f"answers.{name}.scale: give a lowest and a greater highest score within 0 to {HIGHEST_SCORE}"
        elif name == "nps" and (low, high) != NPS_SCALE:
            yield f"answers.nps.scale: must be {list(NPS_SCALE)}, since measures and rules have it so"


def _paths(plan: TrackingPlan) -> Iterator[str]:
    for name, page in plan.pages.items():
        for number, pattern in enumerate(page.paths):
            problem = wrong_with(pattern)
            if problem:
                yield f"pages.{name}.paths[{number}]: {problem}"


def _excluded(plan: TrackingPlan) -> Iterator[str]:
    for part, users, does in (
        ("excluded_users", plan.excluded_users, "leaves out everybody"),
        ("agent_users", plan.agent_users, "makes everybody an agent"),
    ):
        for user in users:
            if user in {"", "*"}:
                yield f"{part}: {user!r} {does}; give user ids, or endings such as '*@example.com'"
