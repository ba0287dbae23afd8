"""
The stages that one rule and one snapshot pass through, in this order, one file each.

evaluate: what do the conditions say? pending: have they said so for long enough? inhibit: does another signal keep
this one back? deduplicate: is that news, given what is open and what was sent lately? emit: the record that goes out.
Each is a plain function of its arguments and the rule's state, and can be tested alone.
"""
