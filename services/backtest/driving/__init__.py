"""Drive a history through the folds of scorer, fleet and alerter, and keep what they said."""

from services.backtest.driving.drive import Driven, drive, drive_all, judge_again

__all__ = ["Driven", "drive", "drive_all", "judge_again"]
