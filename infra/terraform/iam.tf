# Policies are written with jsonencode() and not as data sources, so that a plan, and a test with a mocked provider, shows
# every action and resource.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.id

  # What the daemon, and `doctor` beside it, may do. It reads configs and never writes them.
  daemon_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          # BatchGetItem: one worker reads the whole table, and says which rows changed; the others fetch those alone.
          Sid      = "ReadConfigs"
          Effect   = "Allow"
          Action   = ["dynamodb:Scan", "dynamodb:BatchGetItem", "dynamodb:DescribeTable"]
          Resource = aws_dynamodb_table.configs.arn
        },
        {
          # DeleteItem: a record that cannot be read is set aside, in one transaction with its copy.
          Sid      = "KeepStates"
          Effect   = "Allow"
          Action   = ["dynamodb:Scan", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:DescribeTable"]
          Resource = aws_dynamodb_table.states.arn
        },
        {
          # What it writes is never deleted by it: DynamoDB does that by the TTL. Both Describe are of `doctor` alone.
          Sid      = "KeepHistory"
          Effect   = "Allow"
          Action   = ["dynamodb:Query", "dynamodb:PutItem", "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive"]
          Resource = aws_dynamodb_table.history.arn
        },
        {
          # The two that read: the daemon and `doctor` tell whether anybody has confirmed a subscription.
          Sid      = "Alert"
          Effect   = "Allow"
          Action   = ["sns:Publish", "sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic"]
          Resource = aws_sns_topic.alerts.arn
        },
      ],
      [
        for object in aws_s3_object.package : {
          Sid      = "FetchPackage"
          Effect   = "Allow"
          Action   = ["s3:GetObject"]
          Resource = "${aws_s3_bucket.package[0].arn}/${object.key}"
        }
      ],
    )
  })

  # What Session Manager's agent needs for a shell, and no more: not the managed policy, which also reads parameters.
  # AWS has no narrower resource for these.
  session_manager_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid    = "SessionManager"
      Effect = "Allow"
      Action = [
        "ssm:UpdateInstanceInformation",
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
      ]
      Resource = "*"
    }]
  })

  # For the people who say what is watched: attach it to them. They look at states and history and write none; of the workers' records
  # they may write the one in which they say that rows changed, or ask for a try.
  operator_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "EditConfigs"
        Effect   = "Allow"
        Action   = ["dynamodb:Scan", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem", "dynamodb:DescribeTable"]
        Resource = aws_dynamodb_table.configs.arn
      },
      {
        Sid      = "ReadStates"
        Effect   = "Allow"
        Action   = ["dynamodb:Scan", "dynamodb:GetItem", "dynamodb:DescribeTable"]
        Resource = aws_dynamodb_table.states.arn
      },
      {
        Sid      = "ReadHistory"
        Effect   = "Allow"
        Action   = ["dynamodb:Query", "dynamodb:DescribeTable"]
        Resource = aws_dynamodb_table.history.arn
      },
      {
        Sid       = "TellWorkers"
        Effect    = "Allow"
        Action    = ["dynamodb:PutItem"]
        Resource  = aws_dynamodb_table.states.arn
        Condition = { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = ["api-health:assignment"] } }
      },
    ]
  })
}

resource "aws_iam_role" "daemon" {
  name        = "${var.name}-daemon"
  description = "What the api-health daemon may do."
  tags        = local.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "daemon" {
  name   = "daemon"
  role   = aws_iam_role.daemon.name
  policy = local.daemon_policy
}

resource "aws_iam_role_policy" "session_manager" {
  count = var.session_manager ? 1 : 0

  name   = "session-manager"
  role   = aws_iam_role.daemon.name
  policy = local.session_manager_policy
}

resource "aws_iam_instance_profile" "daemon" {
  name = "${var.name}-daemon"
  role = aws_iam_role.daemon.name
  tags = local.tags
}

resource "aws_iam_policy" "operator" {
  name        = "${var.name}-operator"
  description = "Edit what api-health watches, and look at what it found."
  policy      = local.operator_policy
  tags        = local.tags
}
