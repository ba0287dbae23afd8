"""
The command-line tool `tidemark`: the whole stack on one machine, and every task of an operator.

`commands/` has one module a sub-command (or a group of them), with a function `register(app)`; `__main__.COMMANDS` lists
them. `local/` is the stack on this machine, `pages/` writes documents from the code. Commands import what is heavy inside their functions, so that each command starts fast.
"""
