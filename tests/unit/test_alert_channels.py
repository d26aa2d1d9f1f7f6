"""What a `[[notify]]` table may say, and what is said of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.contract import Invalid
from backends.entities import Alert, AlertEvent, AlertState, Delivery, Happening
from console.alerting.channels import Channel, read_channels, redacted
from console.alerting.message import body, payload, subject
from console.alerting.outbox import failed, routed
from console.alerting.undelivered import Undelivered
from console.config import load_config

HERE = Path("config.toml")
HOOK = {"name": "ops", "kind": "webhook", "url": "https://hooks.example.org/T0/B0/hush"}
MAIL = {"name": "m", "kind": "email", "to": ["a@b.c"], "from": "d@e.f", "smtp": "mail:25"}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({**HOOK, "secret_evn": "X"}, "did you mean secret_env"),
        ({**HOOK, "kind": "webhok"}, "did you mean webhook"),
        ({**HOOK, "severities": ["critcal"]}, "did you mean critical"),
        ({**HOOK, "to": ["a@b.c"]}, "to is for kind email"),
        ({**HOOK, "url_env": "X"}, "url and url_env name the same thing"),
        ({**HOOK, "secret_env": "X", "secret_file": "y"}, "secret_env and secret_file"),
        ({**HOOK, "url": "ftp://x"}, "must begin with https"),
        ({**HOOK, "attempts": 0}, "more than 0"),
        ({**HOOK, "name": "a b"}, "a name of letters"),
        ({"name": "ops", "kind": "webhook"}, "wants its url"),
        ({"name": "c", "kind": "command"}, "a command is wanted"),
        ({"name": "c", "kind": "command", "command": "a 'b"}, "cannot be read"),
        ({**MAIL, "to": ["a@b.c\nBcc: x@y.z"]}, "one line"),
        ({**MAIL, "smtp": "mail:many"}, "HOST or HOST:PORT is wanted"),
        ({**MAIL, "smtp": "smtp://mail:25"}, "HOST or HOST:PORT is wanted"),
        ({**MAIL, "username": "u"}, "wants its password"),
        ({**MAIL, "username": "u", "secret_env": "X", "starttls": False}, "STARTTLS only"),
        ({**MAIL, "to": "a@b.c"}, "Expected `array`"),
    ],
)
def test_a_wrong_table_is_refused_with_what_would_do(table: dict[str, object], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        read_channels([table], HERE)


def test_two_channels_have_two_names(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="two with this name"):
        read_channels([HOOK, HOOK], HERE)
    file = tmp_path / "config.toml"
    file.write_text('notify = "ops"\n')
    with pytest.raises(Invalid, match="under"):
        load_config(file)


def test_a_url_is_told_without_its_secret_part() -> None:
    (channel,) = read_channels([HOOK], HERE)
    assert channel.target == redacted(HOOK["url"]) == "https://hooks.example.org/…"
    assert redacted("https://user:hush@host:99999999/x") == "…"
    assert redacted("https://user:hush@host:81/x?token=1") == "https://host:81/…"


def happening(name: str = "h", event: AlertEvent = AlertEvent.FIRED, **more: object) -> Happening:
    whole = {"monitor": "live", "severity": "warn", "text": "AUC\x1b[2J is low", **more}
    alert = Alert(id=name, metric="auc", state=AlertState.FIRING, opened_at=1, **whole)
    return Happening(id=f"e{name}", event=event, at=5, alert=alert)


def delivery(*happenings: Happening, **more: object) -> Delivery:
    return Delivery(id="d", channel="ops", happenings=happenings or (happening(),), at=5, due_at=5, **more)


def test_words_are_harmless_and_a_long_burst_is_cut() -> None:
    many = delivery(*(happening(str(n), monitor=f"m{n % 5}") for n in range(30)))
    assert subject(many) == "30 alerts changed: m0, m1, m2 and 2 more"
    assert "and 10 more: mlops-console alert list" in body(many)
    assert len(payload(many, "w")["alerts"]) == 30
    assert "\x1b" not in payload(many, "w")["text"]


def test_the_same_events_have_the_same_id_on_each_channel() -> None:
    channels = [Channel(name="a", kind="command", command="x"), Channel(name="b", kind="command", command="x")]
    events = [delivery(happening("1")), delivery(happening("2", severity="info"))]
    once, again = routed(events, channels, 7), routed(events, channels, 9)
    assert [each.id for each in once] == [each.id for each in again]
    assert len({each.id for each in once}) == 2
    assert [len(each.happenings) for each in once] == [1, 1]  # info is not asked for


def test_waits_grow_and_what_is_asked_for_is_kept() -> None:
    channel = Channel(name="ops", kind="command", command="x", wait=10)
    waits = [failed(delivery(attempts=n), channel, Undelivered("no"), 0).due_at / 1000 for n in range(9)]
    assert all(8 <= waits[n] / 2**n <= 12 for n in range(6))
    assert max(waits) <= 1080
    assert failed(delivery(), channel, Undelivered("busy", wait=3000), 0).due_at == 3_000_000


def test_a_test_is_tried_once() -> None:
    tried = failed(delivery(happening(event=AlertEvent.TEST)), Channel(name="o", kind="command"), Undelivered("no"), 0)
    assert (str(tried.state), tried.said) == ("failed", "no")
