"""The fold of one lane of usage-events: its clock, its accounts, their days, what it dead-letters."""
