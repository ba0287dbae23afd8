"""
Made-up customers of a B2B SaaS product, with the truth about them, for back-tests.

Promises: equal arguments give equal output, byte for byte, on every version of Python and numpy; what customers are
like stands in `parameters.yaml`, which is frozen under its version; the truth is apart from what a scorer may see.
"""

from services.backtest.generator.figures import Figures, found
from services.backtest.generator.generating import VERSION, AccountFacts, Generated, GeneratedEvent, generate
from services.backtest.generator.stories import LOSSES, Absence, AccountStory, Truth

__all__ = [
    "LOSSES",
    "VERSION",
    "Absence",
    "AccountFacts",
    "AccountStory",
    "Figures",
    "Generated",
    "GeneratedEvent",
    "Truth",
    "found",
    "generate",
]
