"""Creates what api-health needs on an emulator of AWS: three tables, a standard topic, a FIFO topic. Safe to run again."""

import os
import sys

import boto3

TABLES = {
    "DDB_CONFIG_TABLE": ("api_health_configs", ["api_id"]),
    "DDB_STATE_TABLE": ("api_health_states", ["api_id"]),
    "DDB_HISTORY_TABLE": ("api_health_history", ["api_id", "slot"]),
}


def create_table(dynamodb, name, keys):
    try:
        dynamodb.create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ["HASH", "RANGE"])],
            BillingMode="PAY_PER_REQUEST",
        )
        if "slot" in keys:
            expiry = {"Enabled": True, "AttributeName": "expires_at"}
            dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)
    except dynamodb.exceptions.ResourceInUseException:
        pass  # it is there already


def main():
    region = os.environ["AWS_REGION"]
    make = {"endpoint_url": os.environ["AWS_ENDPOINT_URL"], "region_name": region}
    dynamodb, sns = boto3.client("dynamodb", **make), boto3.client("sns", **make)
    for variable, (name, keys) in TABLES.items():
        create_table(dynamodb, name, keys)
        print(f"export {variable}={name}")
    standard = sns.create_topic(Name="api-health")["TopicArn"]
    fifo = sns.create_topic(Name="api-health.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    print(f"export SNS_TOPIC_ARN={standard}")
    print(f"# in order, and without repeats: export SNS_TOPIC_ARN={fifo}")


if __name__ == "__main__":
    sys.exit(main())
