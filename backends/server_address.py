"""The address of a server that is spoken to over HTTP, checked before anything is sent there."""

from __future__ import annotations

from urllib.parse import urlsplit

from backends.contract import Invalid


def plain_address(url: str, word: str, *, what: str, like: str, field: str = "url") -> str:
    """`word+https://host/path` → `https://host/path`, without a slash at its end. Invalid for another form, and for
    one that holds credentials. `what` names it in errors ("the address"), `like` shows one."""
    plain = url.removeprefix(f"{word}+")
    wrong = Invalid(f"{like}, and this is none", field)
    try:
        parts = urlsplit(plain)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise wrong
    except ValueError:  # a port that is no number, half a bracket
        raise wrong from None
    if parts.query or parts.fragment or not plain.isprintable() or " " in plain:
        raise Invalid(
            f"{what} holds a question mark, a # or a space, which no such address does; a token in it would be seen "
            "by everybody. Give the address alone, and name the place of the secret (token_env, …)",
            field,
        )
    if parts.username or parts.password:
        raise Invalid(
            f"{what} holds a user or a password; name the place of the secret instead (token_env, token_file or "
            "token_command, with username)",
            field,
        )
    return plain.rstrip("/")
