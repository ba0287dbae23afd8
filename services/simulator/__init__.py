"""
A made-up SaaS product with sixty customers, for the demo and for tests.

Promises: the same seed and dates give the same events, byte for byte, in time order; every event is a call in
Segment's format with a messageId of its own; each account lives through the storyline that its roster entry
names, so that what the signals say can be checked against what really happened.
"""

from services.simulator.history import History, TimedEvent
from services.simulator.live import live_traffic
from services.simulator.roster import Customer, roster
from services.simulator.storylines import Storyline
from services.simulator.strays import stray_traffic

__all__ = ["Customer", "History", "Storyline", "TimedEvent", "live_traffic", "roster", "stray_traffic"]
