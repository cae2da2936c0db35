"""The condition of a statement, as far as it asks for the keys of DynamoDB's items.

moto takes a statement whose condition does not hold for one that denies, asks for the condition before the resource, and
knows no keys of items. Whatever else a condition asks for is not known here, and the call that it would decide is denied.
"""

import contextlib
import threading

from moto.dynamodb.models import dynamodb_backends
from moto.iam.access_control import IAMPolicyStatement, PermissionResult

# The one condition that is known, https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html:
# each item that is named has one of these partition keys. It holds where no item is named, as in a scan.
OPERATOR, KEY = "ForAllValues:StringEquals", "dynamodb:LeadingKeys"

# The keys of the call that this thread decides on; None: they are not known.
CALL = threading.local()

# A statement without a condition is moto's.
PLAIN = IAMPolicyStatement.is_action_permitted


@contextlib.contextmanager
def for_keys(keys):
    CALL.keys = keys
    try:
        yield
    finally:
        CALL.keys = None


def leading_keys(account, region, table, part):
    """The partition keys of the items that a part of a call names; None where it says them in another way."""
    found = dynamodb_backends[account][region].tables.get(table.rsplit("/", 1)[-1])
    if found is None or "KeyConditionExpression" in part or "KeyConditions" in part:
        return None
    if isinstance(part, list):  # of a BatchWriteItem
        items = [item for write in part for request in write.values() for item in request.values()]
    else:
        items = [part[field] for field in ("Item", "Key") if field in part] + part.get("Keys", [])
    return [value for item in items for value in item[found.hash_key_attr].values()]


def holds(condition):
    if list(condition) != [OPERATOR] or list(condition[OPERATOR]) != [KEY] or getattr(CALL, "keys", None) is None:
        raise NotImplementedError(f"the condition {condition}")
    allowed = condition[OPERATOR][KEY]
    return all(key in ([allowed] if isinstance(allowed, str) else allowed) for key in CALL.keys)


def decide(statement, action, resource="*", principal=None, incoming=None):
    """In place of moto's own: a statement whose condition does not hold says nothing."""
    fields = statement._statement
    condition = fields.get("Condition")
    if not condition or principal is not None:  # who may take a role is left to moto
        return PLAIN(statement, action, resource, principal, incoming)
    plain = IAMPolicyStatement({name: value for name, value in fields.items() if name != "Condition"})
    result = PLAIN(plain, action, resource)
    return result if result == PermissionResult.NEUTRAL or holds(condition) else PermissionResult.NEUTRAL
