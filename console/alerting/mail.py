"""Send a delivery by mail: by a server over STARTTLS, or by the machine's own sendmail."""

from __future__ import annotations

import smtplib
import ssl
import subprocess
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path

from backends.contract import BackendError
from backends.entities import Delivery
from console.alerting.channels import Channel
from console.alerting.message import body, subject
from console.alerting.undelivered import Undelivered, plainly
from console.safe import safe_text

TLS_PORT = 465
"""There, and nowhere else, TLS is spoken from the first byte on."""


def letter(channel: Channel, delivery: Delivery, workspace: str) -> EmailMessage:
    """Its Message-ID is the same at every try: mail stores drop the second of two with the same."""
    mail = EmailMessage()
    mail["Subject"] = safe_text(subject(delivery), 200)
    mail["From"] = channel.sender
    mail["To"] = ", ".join(channel.to)
    mail["Date"] = formatdate(delivery.at / 1000)
    domain = channel.sender.rpartition("@")[2].strip("<> ") or "localhost"
    mail["Message-ID"] = f"<{delivery.id}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(f"{body(delivery)}\n\n-- \nmlops-console, {workspace}\n")
    return mail


def send_mail(channel: Channel, delivery: Delivery, workspace: str) -> str:
    """What the server said. Raises Undelivered."""
    mail = letter(channel, delivery, workspace)
    return _by_server(channel, mail) if channel.smtp else _by_sendmail(channel, mail)


def _connected(host: str, port: int, timeout: float) -> smtplib.SMTP:
    if port == TLS_PORT:
        return smtplib.SMTP_SSL(host, port, timeout=timeout, context=ssl.create_default_context())
    return smtplib.SMTP(host, port, timeout=timeout)


def _by_server(channel: Channel, mail: EmailMessage) -> str:
    host, port = channel.smtp_place
    try:
        password = channel.secret.secret()
    except BackendError as error:
        raise Undelivered(f"{channel.name}: {error}; it is read where the agent runs") from error
    try:
        with _connected(host, port, channel.timeout) as server:
            if channel.starttls and port != TLS_PORT:
                server.starttls(context=ssl.create_default_context())
            if channel.username:
                server.login(channel.username, password)
            refused = server.send_message(mail)
    except smtplib.SMTPRecipientsRefused as error:
        said = "; ".join(f"{who}: {_words(code, text)}" for who, (code, text) in error.recipients.items())
        final = all(code >= 500 for code, _ in error.recipients.values())
        raise Undelivered(f"{channel.smtp} refused {safe_text(said, 300)}", final=final) from error
    except smtplib.SMTPAuthenticationError as error:
        # Without its words: a server may repeat what it was given.
        raise Undelivered(
            f"{channel.smtp} refused the login of {channel.username} ({error.smtp_code})", final=True
        ) from None
    except smtplib.SMTPNotSupportedError as error:
        raise Undelivered(
            f"{channel.smtp}: {safe_text(str(error), 200)}; see starttls and username", final=True
        ) from error
    except smtplib.SMTPResponseException as error:
        said = _words(error.smtp_code, error.smtp_error)
        raise Undelivered(f"{channel.smtp} answered {said}", final=error.smtp_code >= 500) from error
    except ssl.SSLCertVerificationError as error:
        raise Undelivered(
            f"{channel.smtp}: its certificate is not trusted ({error.verify_message}); where it is your own, name the "
            "file of its issuer in SSL_CERT_FILE, where the agent runs"
        ) from error
    except (smtplib.SMTPException, OSError) as error:
        if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            raise Undelivered(f"{channel.smtp} did not answer within {channel.timeout:g} s") from error
        raise Undelivered(f"{channel.smtp} cannot be reached: {safe_text(plainly(error), 200)}") from error
    if refused:  # some of several: the others have it, and a second letter would reach them twice
        return f"taken by {channel.smtp}, but not for {safe_text(', '.join(refused), 200)}"
    return f"taken by {channel.smtp}"


def _by_sendmail(channel: Channel, mail: EmailMessage) -> str:
    program = Path(channel.sendmail).expanduser()
    try:
        done = subprocess.run(
            [str(program), "-i", "-f", channel.sender, "--", *channel.to],
            input=bytes(mail),
            capture_output=True,
            timeout=channel.timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Undelivered(f"{program} took longer than {channel.timeout:g} s") from None
    except OSError as error:
        raise Undelivered(
            f"{program} cannot be run: {error.strerror}; give smtp or sendmail",
            final=isinstance(error, FileNotFoundError),
        ) from error
    if done.returncode:
        said = safe_text(done.stderr.decode("utf-8", "replace").strip()[-300:], 200)
        raise Undelivered(f"{program} ended with {done.returncode}{f': {said}' if said else ''}")
    return f"taken by {program}"


def _words(code: int, text: bytes | str) -> str:
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {safe_text(' '.join(said.split()), 200)}"
