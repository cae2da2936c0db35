# The names and the keys are what the program expects: DDB_CONFIG_TABLE, DDB_STATE_TABLE and DDB_HISTORY_TABLE name them.

resource "aws_dynamodb_table" "configs" {
  name                        = var.configs_table_name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "api_id"
  deletion_protection_enabled = var.deletion_protection
  tags                        = local.tags

  attribute {
    name = "api_id"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }

  # The AWS managed key: its use is logged, and the role needs no permission of KMS for it.
  server_side_encryption {
    enabled = true
  }
}

resource "aws_dynamodb_table" "states" {
  name                        = var.states_table_name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "api_id"
  deletion_protection_enabled = var.deletion_protection
  tags                        = local.tags

  attribute {
    name = "api_id"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled = true
  }
}

# What people look at of the past: one item for each API and day, month and incident.
resource "aws_dynamodb_table" "history" {
  name                        = var.history_table_name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "api_id"
  range_key                   = "slot"
  deletion_protection_enabled = var.deletion_protection
  tags                        = local.tags

  attribute {
    name = "api_id"
    type = "S"
  }

  attribute {
    name = "slot"
    type = "S"
  }

  # Days and incidents that are no longer kept; months have no such attribute and stay.
  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled = true
  }
}
