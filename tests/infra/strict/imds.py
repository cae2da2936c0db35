"""The metadata service of an EC2 instance, in version 2 alone: no answer without a token that a PUT asked for.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html and the page on a role's credentials.
"""

import datetime
import json
import secrets
import threading
import time

from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

TOKEN_SECONDS_MAX = 21_600
# A request that hangs is let go after this, so that an emulator can end.
SILENCE_SECONDS = 120


def text_of(moment):
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Imds:
    """One instance. A WSGI application; `settings` may be changed at any time.

    profile             name of its instance profile; without one: that of a running instance, or the only one there is
    region              where it is; empty: it does not say (404)
    credential_seconds  how long a role's credentials live; new ones are there after a fifth of that
    delay_seconds       before each of the first `delayed` answers
    silent              takes requests and never answers, as where a firewall drops them
    disabled            answers 403, as an instance whose metadata is switched off
    """

    def __init__(self, instance_id, settings):
        self.instance_id = instance_id
        self._tokens, self._credentials, self._lock = {}, None, threading.Lock()
        self.requests = []
        self.settings = {"profile": None, "region": "eu-central-1", "credential_seconds": 3_600, "delay_seconds": 0.0,
                         "delayed": 1_000_000, "silent": False, "disabled": False}
        self.change(settings)

    def change(self, settings):
        unknown = set(settings) - set(self.settings)
        if unknown:
            raise ValueError(f"unknown settings {sorted(unknown)}")
        with self._lock:
            self.settings = {**self.settings, **settings}
            if settings:
                self._credentials = None

    def __call__(self, environ, start_response):
        request = Request(environ)
        response = self._delayed(request)
        with self._lock:
            self.requests.append({"method": request.method, "path": request.path, "status": response.status_code})
        return response(environ, start_response)

    def _delayed(self, request):
        with self._lock:
            delays = self.settings["delayed"] > 0
            self.settings["delayed"] -= delays
        if delays and self.settings["delay_seconds"]:
            time.sleep(self.settings["delay_seconds"])
        until = time.monotonic() + SILENCE_SECONDS
        while self.settings["silent"] and time.monotonic() < until:
            time.sleep(0.05)
        if self.settings["disabled"]:
            return Response(status=403)
        return self._answer(request)

    def _answer(self, request):
        path = request.path.removeprefix("/latest/")
        if path == "api/token":
            return self._token(request)
        with self._lock:
            good_until = self._tokens.get(request.headers.get("X-aws-ec2-metadata-token", ""), 0)
        if good_until <= time.time():
            return Response(status=401)
        if request.method not in ("GET", "HEAD"):
            return Response(status=405)
        found = self._data(path.removeprefix("meta-data/"), path)
        return Response(status=404) if found is None else Response(found, content_type="text/plain")

    def _token(self, request):
        if request.method != "PUT":
            return Response(status=405)
        if "X-Forwarded-For" in request.headers:
            return Response(status=403)  # it came through a proxy
        seconds = request.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if not (seconds.isascii() and seconds.isdigit() and 1 <= int(seconds) <= TOKEN_SECONDS_MAX):
            return Response(status=400)
        token = secrets.token_urlsafe(40)
        with self._lock:
            self._tokens[token] = time.time() + int(seconds)
        return Response(token, headers={"X-aws-ec2-metadata-token-ttl-seconds": seconds}, content_type="text/plain")

    def _data(self, name, path):
        region, role = self.settings["region"], self._role()
        if name.rstrip("/") == "iam/security-credentials":
            return role.name if role else None
        if role and name == f"iam/security-credentials/{role.name}":
            return json.dumps(self._role_credentials(role))
        if path == "dynamic/instance-identity/document":
            return json.dumps({"accountId": DEFAULT_ACCOUNT_ID, "instanceId": self.instance_id, "region": region})
        plain = {"instance-id": self.instance_id}
        if region:
            plain |= {"placement/region": region, "placement/availability-zone": f"{region}a"}
        return plain.get(name)

    def _role(self):
        """The role on the instance profile."""
        profiles = iam_backends[DEFAULT_ACCOUNT_ID]["aws"].instance_profiles.values()
        name = self.settings["profile"] or self._profile_of_a_running_instance()
        fits = [profile for profile in profiles if profile.roles and name in (None, profile.name)]
        return fits[0].roles[0] if fits else None

    def _profile_of_a_running_instance(self):
        for reservation in ec2_backends[DEFAULT_ACCOUNT_ID][self.settings["region"] or "eu-central-1"].reservations.values():
            for instance in reservation.instances:
                profile = getattr(instance, "iam_instance_profile", None) or {}
                name = profile.get("Name") or profile.get("Arn", "").rsplit("/", 1)[-1]
                if name and instance.state == "running":
                    return name
        return None

    def _role_credentials(self, role):
        now, lives = time.time(), self.settings["credential_seconds"]
        with self._lock:
            if self._credentials is None or self._credentials[0] + lives * 0.2 <= now:
                sts = sts_backends[DEFAULT_ACCOUNT_ID]["aws"]
                self._credentials = (now, sts.assume_role("us-east-1", self.instance_id, role.arn, None, lives, None))
            since, session = self._credentials
        return {"Code": "Success", "LastUpdated": text_of(since), "Type": "AWS-HMAC", "AccessKeyId": session.access_key_id,
                "SecretAccessKey": session.secret_access_key, "Token": session.session_token,
                "Expiration": text_of(since + lives)}


class Place:
    """An instance's metadata service on a port of its own, which can be absent: nothing listens there then."""

    def __init__(self, host, port, imds):
        self._address, self.imds, self._server = (host, port), imds, None

    def listen(self):
        if self._server is None:
            self._server = make_server(*self._address, self.imds, threaded=True)
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
