"""
Erasing a person or an account: what is written to the log for it, in which order, and what the log keeps for how long.

First attribution forgets the person. Once it has, and so has forwarded what it had of them, a random pseudonym takes the place
of theirs in the state of each account, so that no number of people falls. Once the scorer has read that, and the alerter what
the scorer wrote before, the order for the warehouse follows, which covers what was appended before it. All of it is in the log:
it is carried out whenever the processes run, and by a replay too.
"""
