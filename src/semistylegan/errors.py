"""The one exception that means "the user can mend this"."""

from __future__ import annotations


class UserError(ValueError):
    """Something that a user did or owns is wrong.

    The message is one line that names the file or option, the value and the fix. The command line prints it and
    exits with status 2, without a traceback.
    """


def missing_extra(what: str, extra: str) -> UserError:
    """For a library that is not installed: what needs it, and the extra that brings it."""
    return UserError(f"{what} needs the extra {extra!r}; pip install 'semistylegan[{extra}]'")
