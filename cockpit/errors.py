"""Errors meant for the person: what was wrong, and what to do about it."""

from __future__ import annotations


class CockpitError(Exception):
    """A failure that is told to the user in words, never as a traceback.

    `message` names the thing and what was wrong with it; `advice` says what to do.
    """

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message}\n  {self.advice}" if self.advice else self.message


class UsageError(CockpitError):
    """Bad input: a command line, a parameter or a file that cannot be right (exit code 2)."""


class BoxError(CockpitError):
    """The box's agent could not be reached, or refused a request (exit code 1)."""

    def __init__(self, message: str, advice: str = "", code: int = 0, away: bool = False) -> None:
        super().__init__(message, advice)
        self.code = code
        self.away = away
        """Whether the way to the box is lost, so that trying again later may well help."""
