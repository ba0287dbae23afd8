"""A tracking plan as a page for people: what to send, and what it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.shared.tracking_plan.plan import EventPlan, PagePlan, PropertyPlan, TrackingPlan, TraitPlan, words

_KINDS = {
    "counts": "counted by day as `{}`",
    "milestones": "reaches the milestone `{}` the first time",
    "features": "uses the feature `{}`",
    "answers": "answers the survey `{}`",
    "absences": "says when the account, or a person, will be away",
}


def page(plan: TrackingPlan) -> str:
    """Return the plan as Markdown."""
    return "\n".join(_lines(plan)).rstrip() + "\n"


_SENT_BY = {
    "person": "People do it, whoever the user is.",
    "agent": "Agents do it, for people.",
    "integration": "Integrations do it.",
}


def _lines(plan: TrackingPlan) -> Iterator[str]:
    yield from ("# Tracking plan", "", "Written by `tidemark plan docs`.", "")
    for title, events in (("Events", plan.events), ("Pages", plan.pages)):
        if events:
            yield from (f"## {title}", "")
            for name, event in events.items():
                yield from _event(name, event)
    if plan.unknown_events == "reject":
        yield from ("Any other event breaks the plan.", "")
    for title, traits in (("Traits of accounts (group)", plan.group_traits), ("Traits of people (identify)", plan.identify_traits)):  # fmt: skip
        if traits:
            yield from (f"## {title}", "")
            yield from _table(traits)
    state = [*_state(plan)]
    if state:
        yield from ("## What is remembered", "", *state, "")
    if plan.deny.drop or plan.deny.hash:
        yield from ("## Never written", "")
        for done, paths in (("left out", plan.deny.drop), ("written as its hash", plan.deny.hash)):
            yield from (f"- `{_text(path)}`: {done}" for path in paths)
        yield ""


def _event(name: str, event: EventPlan) -> Iterator[str]:
    yield from (f"### {_text(name)}", "")
    if event.description:
        yield from (_text(event.description), "")
    if isinstance(event, PagePlan) and event.paths:
        yield from (f"At {', '.join(f'`{_text(path)}`' for path in event.paths)}.", "")
    yield from (f"{_means(event)}.", "")
    if event.actor is not None:
        yield from (_SENT_BY[event.actor], "")
    if event.client is not None:
        yield from ("Only servers may send it.", "")
    if event.properties:
        yield from _table(event.properties)


def _means(event: EventPlan) -> str:
    if event.means == "ignored":
        return "Kept, and scores nothing"
    told = []
    for word in words(event):
        kind, _, name = word.partition(".")
        if kind == "cases":
            sort, _, step = name.rpartition(".")
            told.append(f"{'opens' if step == 'opened' else 'closes'} one of `{sort}`")
        else:
            told.append(_KINDS[kind].format(name))
    uses = all(word.partition(".")[0] in ("counts", "milestones", "features") for word in words(event))
    said = "; ".join([*(["use of the product"] if uses else []), *told])
    return said[0].upper() + said[1:]


def _table(properties: Mapping[str, PropertyPlan]) -> Iterator[str]:
    yield from ("| name | what it may be | |", "|---|---|---|")
    for name, value in properties.items():
        may_be: str = value.type or "anything"
        if value.one_of is not None:
            may_be = "one of " + ", ".join(f"`{_text(str(each))}`" for each in value.one_of)
        means = value.means if isinstance(value, TraitPlan) else ""
        notes = [
            *(["required"] if value.required else []),
            *(["personal"] if value.personal else []),
            *(["only from servers"] if isinstance(value, TraitPlan) and value.client else []),
            *([f"says `{means}`"] if means else []),
            *([_text(value.description)] if value.description else []),
        ]
        yield f"| `{_text(name)}` | {may_be} | {'; '.join(notes)} |"
    yield ""


def _state(plan: TrackingPlan) -> Iterator[str]:
    for name, case in plan.cases.items():
        yield f"- `{name}` open and close; `{_text(case.id)}` says which one"
    for name, survey in plan.answers.items():
        yield f"- answers to `{name}`: `{_text(survey.score)}`, {survey.scale[0]} to {survey.scale[1]}"
    for name, depth in plan.features.items():
        yield f"- who uses `{name}` ({depth})"
    if plan.roles:
        yield f"- the role of each person: {', '.join(f'`{_text(role)}`' for role in plan.roles)}, else `other`"


def _text(text: str) -> str:
    """Return text that neither ends a table's cell nor a line."""
    return " ".join(text.split()).replace("|", "\\|").replace("`", "'")
