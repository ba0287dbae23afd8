"""
The command-line tool `tidemark`: the whole stack on one machine, and every task of an operator.

`commands/` has one module per sub-command or group of sub-commands, with a function `register(app)`; `__main__.COMMANDS`
lists them. `local/` is the stack on this machine, `pages/` writes documents from the code. Commands import heavy modules
inside their functions, so that each command starts fast.
"""
