"""Every call is authorised by action and by resource, as AWS does it.

moto checks signatures and actions, but hands each call of DynamoDB and SNS to its policies with the resource "*", so
that a policy by resource denies everything; it never ends a session; it knows no parts of a transaction; and it denies
in words that the SDKs cannot read. What is left to moto: the signature, who a key belongs to, which policies that
principal has, and how the statements of a policy combine. Conditions are in conditions.py. Policies of resources (of a
topic, of a bucket) are not looked at.
"""

import datetime
import fnmatch
import json
import re
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape

import flask
from moto.core import authorization
from moto.iam import access_control
from moto.moto_api._internal import mock_random
from moto.sts.models import sts_backends
from werkzeug.exceptions import HTTPException

import conditions

# These may do everything, without a look at their signature: who sets a test up, and Terraform.
ADMINISTRATORS = {"test", "testing"}

# Where the front keeps the body as it came. moto puts a form together again, in another spelling than was signed.
BODY = "strict.body"

# What a call needs instead of the permission of its own name.
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
TRANSACTION_PARTS = {"Put": "PutItem", "Delete": "DeleteItem", "Update": "UpdateItem", "Get": "GetItem",
                     "ConditionCheck": "ConditionCheckItem"}
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
NEEDED_INSTEAD = {"s3:HeadObject": "s3:GetObject", "s3:HeadBucket": "s3:ListBucket", "s3:ListObjects": "s3:ListBucket",
                  "s3:ListObjectsV2": "s3:ListBucket"}


class Decisions:
    """The log: kept, and written to a file if there is one, a line of JSON for each."""

    def __init__(self):
        self.path, self._all, self._lock = None, [], threading.Lock()

    def add(self, **decision):
        decision = {"at": time.time(), **decision}
        with self._lock:
            self._all.append(decision)
            if self.path:
                with open(self.path, "a", encoding="utf-8") as log:
                    log.write(json.dumps(decision) + "\n")

    def of(self, who):
        """Those of a principal, a part of whose ARN this is; in order."""
        with self._lock:
            return [decision for decision in self._all if who in decision["principal"]]


DECISIONS = Decisions()


# ---- what AWS says

class Refused(HTTPException):
    """An error in the form of the service: JSON for DynamoDB, XML for all others."""

    def __init__(self, service, status, code, message):
        super().__init__()
        self.code = status
        request_id = mock_random.get_random_string(length=52).upper()
        error = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
        if service == "dynamodb":
            self.type = "application/x-amz-json-1.0"
            self.description = json.dumps({"__type": f"com.amazon.coral.service#{code}", "Message": message})
        elif service == "s3":
            self.type = "application/xml"
            self.description = f"<Error>{error}<RequestId>{request_id}</RequestId></Error>"
        else:
            self.type = "text/xml"
            self.description = (f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error>"
                                f"<RequestId>{request_id}</RequestId></ErrorResponse>")

    def get_body(self, *_):
        return self.description

    def get_headers(self, *_):
        return [("Content-Type", self.type)]


def denied(service, who, action, resource):
    # SNS writes its own name in capitals, and has a word of its own for a denial.
    shown = action.replace("sns:", "SNS:", 1)
    message = (f"User: {who} is not authorized to perform: {shown} on resource: {resource} "
               f"because no identity-based policy allows the {shown} action")
    codes = {"dynamodb": "AccessDeniedException", "sns": "AuthorizationError", "ec2": "UnauthorizedOperation"}
    code = codes.get(service, "AccessDenied")
    return Refused(service, 400 if service == "dynamodb" else 403, code, message)


def unknown_key(service):
    code = {"dynamodb": "UnrecognizedClientException", "s3": "InvalidAccessKeyId"}.get(service, "InvalidClientTokenId")
    return Refused(service, 400 if service == "dynamodb" else 403, code,
                   "The security token included in the request is invalid.")


def expired(service):
    code = "ExpiredTokenException" if service == "dynamodb" else "ExpiredToken"
    return Refused(service, 403 if service == "sns" else 400, code, "The security token included in the request is expired")


def bad_signature(service):
    code = "InvalidSignatureException" if service == "dynamodb" else "SignatureDoesNotMatch"
    return Refused(service, 400 if service == "dynamodb" else 403, code,
                   "The request signature we calculated does not match the signature you provided.")


def unsigned(service):
    code = "MissingAuthenticationTokenException" if service == "dynamodb" else "MissingAuthenticationToken"
    return Refused(service, 400 if service == "dynamodb" else 403, code, "Request is missing Authentication Token")


# ---- what a call needs

def of_dynamodb(handler, action):
    """(action, resource, keys of the items that it names) of each part of a call of DynamoDB."""
    body = json.loads(flask.request.environ[BODY] or b"{}")
    tables = f"arn:aws:dynamodb:{handler.region}:{handler.current_account}:table/"

    def table(name, index=None):
        arn = name if name.startswith("arn:") else tables + name
        return arn + (f"/index/{index}" if index else "")

    def keys(name, part):
        return conditions.leading_keys(handler.current_account, handler.region, name, part)

    if "TransactItems" in body:
        parts = [(TRANSACTION_PARTS[kind], part["TableName"], part) for item in body["TransactItems"]
                 for kind, part in item.items()]
        return [(f"dynamodb:{needs}", table(name), keys(name, part)) for needs, name, part in parts]
    if "RequestItems" in body:
        return [(action, table(name), keys(name, part)) for name, part in body["RequestItems"].items()]
    if "Statement" in body or "Statements" in body or "TransactStatements" in body:
        return [("dynamodb:PartiQL (not known to this emulator)", "*", None)]
    name = body.get("TableName") or body.get("ResourceArn") or body.get("TableArn")
    return [(action, table(name, body.get("IndexName")), keys(name, body)) if name else (action, "*", None)]


def of_sns(handler, action):
    """A topic, a subscription or a phone number stands in one of these."""
    fields = ("TopicArn", "TargetArn", "ResourceArn", "SubscriptionArn", "PlatformApplicationArn", "EndpointArn")
    arn = next((handler.data[field][0] for field in fields if field in handler.data), None)
    if arn is None and action == "sns:CreateTopic":
        arn = f"arn:aws:sns:{handler.region}:{handler.current_account}:{handler.data['Name'][0]}"
    return [(action, arn or "*", None)]


def needed(handler, action, resource):
    service = action.split(":")[0]
    if service == "dynamodb":
        return of_dynamodb(handler, action)
    if service == "sns":
        return of_sns(handler, action)
    return [(NEEDED_INSTEAD.get(action, action), resource, None)]


# ---- the decision

def key_of(headers):
    return re.search(r"Credential=([^/]+)/", headers.get("Authorization", ""))


def service_of(headers):
    scope = re.search(r"Credential=[^/]+/[^/]+/[^/]+/([^/]+)/", headers.get("Authorization", ""))
    return scope.group(1) if scope else "unknown"


def has_expired(handler, key):
    for role in sts_backends[handler.current_account]["aws"].assumed_roles:
        if role.access_key_id == key:
            return role.expiration <= datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    return False


def authorise(handler, request_class, resource="*"):
    key, service = key_of(handler.headers), service_of(handler.headers)
    if key is None:
        raise unsigned(service)
    key = key.group(1)
    if key in ADMINISTRATORS:
        return
    url = urllib.parse.urlparse(handler.uri)

    def refuse(error, why, who="", action="", resource=""):
        DECISIONS.add(allowed=False, why=why, principal=who, key=key, action=action, resource=resource)
        raise error

    try:
        request = request_class(account_id=handler.current_account, method=handler.method, data=handler.data,
                                path=url.path + (f"?{url.query}" if url.query else ""), body=flask.request.environ[BODY],
                                headers=handler.headers, action=handler._get_action())
    except Exception:  # each service has its own
        refuse(unknown_key(service), "unknown key")
    who, called = request._access_key.arn, request._action
    if has_expired(handler, key):
        refuse(expired(service), "expired", who, called)
    try:
        request.check_signature()
    except Exception:
        refuse(bad_signature(service), "signature", who, called)
    for action, resource, keys in needed(handler, called, resource):
        request._action = action
        try:
            with conditions.for_keys(keys):
                request.check_action_permitted(resource)
        except Exception:
            refuse(denied(service, who, action, resource), "denied", who, action, resource)
        DECISIONS.add(allowed=True, why="", principal=who, key=key, action=action, resource=resource)


def matches(pattern, text):
    """As IAM matches: * and ? are the only signs."""
    return re.match(fnmatch.translate(pattern.replace("[", "[[]")), text)


def enforce():
    authorization.ActionAuthenticatorMixin._authenticate_and_authorize_action = authorise
    access_control.IAMPolicyStatement._match = staticmethod(matches)
    access_control.IAMPolicyStatement.is_action_permitted = conditions.decide
