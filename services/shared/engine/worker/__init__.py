"""One process of the group: it follows the assignments, runs the lanes, and watches that they move."""
