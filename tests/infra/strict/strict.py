"""An emulator of AWS (moto) that enforces IAM by resource, and hands out a role's credentials as EC2 does.

    strict.py -H 127.0.0.1 -p 5000 --decisions iam.jsonl

One port serves AWS and the metadata service of one instance (/latest/...). More instances, each on a port of its own:
    POST /strict/imds/PORT {"listening": true, "profile": "...", "credential_seconds": 15, ...}  makes or changes one
    GET  /strict/imds/PORT                                                                       what it was asked
    GET  /strict/decisions/WHO    what was decided on the calls of a principal, a part of whose ARN this is
PORT 0 is the instance on the main port. imds.py says what can be set. The keys "test" and "testing" may do everything.
"""

import argparse
import importlib
import io
import json
import os
import sys
import threading

sys.dont_write_bytecode = True  # this folder is the source tree

import iam
from imds import Imds, Place

# What is asked first would otherwise wait for its import, and clients of the metadata service wait for one second.
WARM = ("dynamodb", "sns", "sqs", "sts", "iam", "ec2", "s3")


def end_with_standard_input():
    def watch():
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def write_in_one_step():
    """moto checks the condition of a put and writes in two steps, so that two of many writers could win."""
    from moto.dynamodb.models import DynamoDBBackend

    one_at_a_time = threading.Lock()

    def locked(method):
        def in_one_step(*args, **named):
            with one_at_a_time:
                return method(*args, **named)
        return in_one_step

    DynamoDBBackend.put_item = locked(DynamoDBBackend.put_item)


class Front:
    """What comes in on the main port, by its path: the metadata service, the switches of a test, and AWS."""

    def __init__(self, aws, host, main_instance):
        self._aws, self._host, self._places, self._lock = aws, host, {"0": Place(host, 0, main_instance)}, threading.Lock()

    def __call__(self, environ, start_response):
        path = environ.get("PATH_INFO", "")
        if path.startswith("/latest/"):
            return self._places["0"].imds(environ, start_response)
        if path.startswith("/strict/imds/"):
            return give(start_response, self._switch(path.rsplit("/", 1)[-1], environ))
        if path.startswith("/strict/decisions/"):
            return give(start_response, iam.DECISIONS.of(path.removeprefix("/strict/decisions/")))
        length = int(environ.get("CONTENT_LENGTH") or 0)
        environ[iam.BODY] = environ["wsgi.input"].read(length)
        environ["wsgi.input"] = io.BytesIO(environ[iam.BODY])
        return self._aws(environ, start_response)

    def _switch(self, port, environ):
        length = int(environ.get("CONTENT_LENGTH") or 0)
        settings = json.loads(environ["wsgi.input"].read(length) or b"{}")
        with self._lock:
            if port not in self._places:
                self._places[port] = Place(self._host, int(port), Imds(f"i-{int(port):017x}", {}))
            place = self._places[port]
        listening = settings.pop("listening", None)
        place.imds.change(settings)
        if port != "0" and listening is not None:
            place.listen() if listening else place.close()
        return {"instance_id": place.imds.instance_id, "requests": place.imds.requests}


def give(start_response, answer):
    body = json.dumps(answer).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-H", "--host", default="127.0.0.1")
    parser.add_argument("-p", "--port", type=int, default=5000)
    parser.add_argument("--decisions", help="a file that gets one line of JSON for each decision")
    parser.add_argument("--instance", default="{}", help="settings of the instance on the main port, as JSON: see imds.py")
    parser.add_argument("--until-stdin-ends", action="store_true", help="end when standard input ends")
    given = parser.parse_args()
    if given.until_stdin_ends:
        end_with_standard_input()
    iam.DECISIONS.path = given.decisions
    iam.enforce()
    write_in_one_step()

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    aws = DomainDispatcherApplication(create_backend_app)
    for service in WARM:
        importlib.import_module(f"moto.{service}.responses")
    os.environ.setdefault("MOTO_PORT", str(given.port))
    instance = Imds("i-00000000000000000", json.loads(given.instance))
    run_simple(given.host, given.port, Front(aws, given.host, instance), threaded=True)


if __name__ == "__main__":
    main()
