"""Makes calls of AWS through boto3 with the credentials that the environment gives, and tells what came of each.

Each line of standard input is a call, ["dynamodb", "delete_table", {"TableName": "t"}], and is answered by a line of
standard output: {"ok": answer} or {"code": "AccessDeniedException", "message": "..."}.
"""

import json
import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30, s3={"addressing_style": "path"})


def main():
    clients, session = {}, boto3.session.Session(region_name=os.environ["AWS_REGION"])
    for line in sys.stdin:
        service, operation, parameters = json.loads(line)
        try:
            if service not in clients:
                clients[service] = session.client(service, config=CONFIG)
            answer = getattr(clients[service], operation)(**parameters)
            told = {"ok": {name: part for name, part in answer.items() if name not in ("ResponseMetadata", "Body")}}
        except ClientError as error:
            told = {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
        except BotoCoreError as error:
            told = {"code": type(error).__name__, "message": str(error)}
        print(json.dumps(told, default=str), flush=True)


if __name__ == "__main__":
    main()
