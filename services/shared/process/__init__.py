"""How a process of a service begins, collects its garbage and ends."""
