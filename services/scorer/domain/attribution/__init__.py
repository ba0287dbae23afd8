"""Attribution: whose account an event belongs to that names none. The state and the fold of one lane, pure."""
