"""A mail server for tests: aiosmtpd, which does with each recipient what the name before the @ says.

nobody    no such mailbox (550)
grey      comes back later, the first time (450)
full      is full, once it has all of the mail (452)
spam      refuses the mail, once it has all of it (554)
hang      says nothing to the recipient
hangs     says nothing to the mail
cut       takes the mail and closes the connection without a word, the first time
others    are taken
Whoever logs in with another password than "letmein" is refused, with that password in the answer.
"""

import argparse
import asyncio
import os
import pathlib
import ssl
import sys
import threading

from aiosmtpd.smtp import SMTP, AuthResult


class Mailbox:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.seen = set()

    def first_time(self, address):
        return address not in self.seen and not self.seen.add(address)

    async def handle_RCPT(self, server, session, envelope, address, options):
        match address.split("@")[0]:
            case "nobody":
                return "550 5.1.1 no mailbox here by that name"
            case "grey" if self.first_time(address):
                return "450 4.2.0 greylisted, come back later"
            case "hang":
                await asyncio.sleep(3600)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        [address] = envelope.rcpt_tos
        match address.split("@")[0]:
            case "full":
                return "452 4.2.2 mailbox full"
            case "spam":
                return "554 5.7.1-looks like\r\n554 5.7.1 spam"
            case "hangs":
                await asyncio.sleep(3600)
        self.keep(session, envelope, address)
        if address.split("@")[0] == "cut" and self.first_time(address):
            server.transport.close()
        return "250 OK queued"

    def keep(self, session, envelope, address):
        number = len(list(self.folder.glob("*.eml")))
        name = session.auth_data or "nobody"
        head = f"X-Seen: from={envelope.mail_from} to={address} tls={session.ssl is not None} login={name} helo={session.host_name}\r\n"
        whole = self.folder / f"{number:04}.part"
        whole.write_bytes(head.encode() + envelope.original_content)
        whole.rename(whole.with_suffix(".eml"))


def log_in(server, session, envelope, mechanism, data):
    password = data.password.decode()
    if password != "letmein":
        return AuthResult(success=False, handled=False, message=f"535 5.7.8 not {password}")
    return AuthResult(success=True, auth_data=f"{data.login.decode()}/{mechanism}")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("port", type=int)
    options.add_argument("folder")
    options.add_argument("--certificate", help="a PEM file of certificate and key")
    options.add_argument("--at-once", action="store_true", help="TLS from the first byte on, and not by STARTTLS")
    options.add_argument("--without", default="", help="ways to log in that are not offered, with commas between")
    options = options.parse_args()
    context = None
    if options.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.certificate)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    mailbox = Mailbox(options.folder)

    def server():
        return SMTP(
            mailbox,
            hostname="mail.test",
            tls_context=None if options.at_once else context,
            authenticator=log_in,
            auth_require_tls=not options.at_once,
            auth_exclude_mechanism=[name for name in options.without.split(",") if name],
        )

    async def serve():
        outer = context if options.at_once else None
        listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", options.port, ssl=outer)
        await listening.serve_forever()

    asyncio.run(serve())


main()
