# The names and the key are what the program expects: DDB_CONFIG_TABLE and DDB_STATE_TABLE name them, api_id is the key.

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
