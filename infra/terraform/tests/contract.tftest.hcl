# What a deployment is, on a provider that is mocked: no account, no network. `terraform init && terraform test`.

mock_provider "aws" {
  override_during = plan

  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { id = "eu-central-1", name = "eu-central-1" }
  }
  mock_data "aws_default_tags" {
    defaults = { tags = { Owner = "provider", Team = "provider" } }
  }
  mock_data "aws_vpc" {
    defaults = { id = "vpc-0123456789abcdef0" }
  }
  mock_data "aws_subnets" {
    defaults = { ids = ["subnet-0aaaaaaaaaaaaaaaa", "subnet-0bbbbbbbbbbbbbbbb"] }
  }
  mock_data "aws_ec2_instance_type_offerings" {
    defaults = { locations = ["eu-central-1a", "eu-central-1b"] }
  }
  mock_data "aws_ec2_instance_type" {
    defaults = { supported_architectures = ["arm64"], burstable_performance_supported = true, ebs_optimized_support = "default" }
  }
  mock_data "aws_ssm_parameter" {
    defaults = { value = "ami-0123456789abcdef0" }
  }
  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:123456789012:api-health-alerts" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/api-health-daemon" }
  }
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/api-health-operator" }
  }
  mock_resource "aws_iam_instance_profile" {
    defaults = { arn = "arn:aws:iam::123456789012:instance-profile/api-health-daemon" }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { bucket = "api-health-package-1", arn = "arn:aws:s3:::api-health-package-1" }
  }
  mock_resource "aws_security_group" {
    defaults = { id = "sg-0123456789abcdef0" }
  }
}

override_resource {
  target          = aws_dynamodb_table.configs
  override_during = plan
  values          = { arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/api_health_configs" }
}

override_resource {
  target          = aws_dynamodb_table.states
  override_during = plan
  values          = { arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/api_health_states" }
}

override_resource {
  target          = aws_dynamodb_table.history
  override_during = plan
  values          = { arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/api_health_history" }
}

variables {
  alert_emails   = ["ops@example.com", "night@example.com"]
  package_url    = "https://example.com/api-health-1.0.0-1.aarch64.rpm"
  package_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
}

run "tables" {
  command = plan

  assert {
    condition     = [for table in [aws_dynamodb_table.configs, aws_dynamodb_table.states, aws_dynamodb_table.history] : table.name] == ["api_health_configs", "api_health_states", "api_health_history"]
    error_message = "The program's defaults name these tables."
  }
  assert {
    condition = alltrue([for table in [aws_dynamodb_table.configs, aws_dynamodb_table.states] :
      table.hash_key == "api_id" && table.range_key == null && one(table.attribute).name == "api_id" && one(table.attribute).type == "S"
    ])
    error_message = "The key is api_id, a string."
  }
  assert {
    condition     = aws_dynamodb_table.history.hash_key == "api_id" && aws_dynamodb_table.history.range_key == "slot" && { for attribute in aws_dynamodb_table.history.attribute : attribute.name => attribute.type } == { api_id = "S", slot = "S" }
    error_message = "The keys of history are api_id and slot, strings."
  }
  assert {
    condition     = aws_dynamodb_table.history.ttl[0].attribute_name == "expires_at" && aws_dynamodb_table.history.ttl[0].enabled
    error_message = "What expired is deleted from history."
  }
  assert {
    condition = alltrue([for table in [aws_dynamodb_table.configs, aws_dynamodb_table.states, aws_dynamodb_table.history] :
      table.billing_mode == "PAY_PER_REQUEST" && try(table.point_in_time_recovery[0].enabled, false) && try(table.server_side_encryption[0].enabled, false) && table.deletion_protection_enabled
    ])
    error_message = "On demand, point-in-time recovery, encryption and deletion protection, on all."
  }
}

run "topic" {
  command = plan

  assert {
    condition     = aws_sns_topic.alerts.kms_master_key_id == "alias/aws/sns" && aws_sns_topic.alerts.fifo_topic != true
    error_message = "Encrypted, and standard, which e-mail needs."
  }
  assert {
    condition     = { for key, subscription in aws_sns_topic_subscription.email : subscription.endpoint => subscription.protocol } == { "ops@example.com" = "email", "night@example.com" = "email" }
    error_message = "Each address is subscribed."
  }
  assert {
    condition = {
      for statement in jsondecode(aws_sns_topic_policy.alerts.policy).Statement :
      statement.Sid => [statement.Effect, jsonencode(statement.Principal), jsonencode(statement.Action), jsonencode(try(statement.Condition, null))] if contains(flatten([statement.Action]), "sns:Publish")
      } == {
      DaemonPublishes     = ["Allow", "{\"AWS\":\"arn:aws:iam::123456789012:role/api-health-daemon\"}", "\"sns:Publish\"", "null"]
      NobodyElsePublishes = ["Deny", "\"*\"", "\"sns:Publish\"", "{\"ArnNotEquals\":{\"aws:PrincipalArn\":\"arn:aws:iam::123456789012:role/api-health-daemon\"}}"]
      OnlyOverTls         = ["Deny", "\"*\"", "\"sns:Publish\"", "{\"Bool\":{\"aws:SecureTransport\":\"false\"}}"]
    }
    error_message = "Only the role publishes, and only over TLS."
  }
  assert {
    condition     = alltrue([for statement in jsondecode(aws_sns_topic_policy.alerts.policy).Statement : statement.Resource == aws_sns_topic.alerts.arn])
    error_message = "The policy is of this topic."
  }
}

run "role" {
  command = plan

  assert {
    condition = { for statement in jsondecode(aws_iam_role_policy.daemon.policy).Statement : statement.Sid => [statement.Effect, statement.Resource, join(" ", sort(statement.Action))] } == {
      ReadConfigs = ["Allow", aws_dynamodb_table.configs.arn, "dynamodb:BatchGetItem dynamodb:DescribeTable dynamodb:Scan"]
      KeepStates  = ["Allow", aws_dynamodb_table.states.arn, "dynamodb:DeleteItem dynamodb:DescribeTable dynamodb:GetItem dynamodb:PutItem dynamodb:Scan"]
      KeepHistory = ["Allow", aws_dynamodb_table.history.arn, "dynamodb:DescribeTable dynamodb:DescribeTimeToLive dynamodb:PutItem dynamodb:Query"]
      Alert       = ["Allow", aws_sns_topic.alerts.arn, "sns:GetTopicAttributes sns:ListSubscriptionsByTopic sns:Publish"]
    }
    error_message = "The daemon may do just this."
  }
  assert {
    condition     = output.daemon_policy_json == aws_iam_role_policy.daemon.policy
    error_message = "The output is the policy of the role."
  }
  assert {
    condition = { for statement in jsondecode(aws_iam_policy.operator.policy).Statement : statement.Sid => [statement.Effect, statement.Resource, join(" ", sort(statement.Action))] } == {
      EditConfigs = ["Allow", aws_dynamodb_table.configs.arn, "dynamodb:DeleteItem dynamodb:DescribeTable dynamodb:GetItem dynamodb:PutItem dynamodb:Scan"]
      ReadStates  = ["Allow", aws_dynamodb_table.states.arn, "dynamodb:DescribeTable dynamodb:GetItem dynamodb:Scan"]
      ReadHistory = ["Allow", aws_dynamodb_table.history.arn, "dynamodb:DescribeTable dynamodb:Query"]
      TellWorkers = ["Allow", aws_dynamodb_table.states.arn, "dynamodb:PutItem"]
    }
    error_message = "An operator edits configs and reads states and history."
  }
  assert {
    condition     = [for statement in jsondecode(aws_iam_policy.operator.policy).Statement : jsonencode(statement.Condition) if statement.Sid == "TellWorkers"] == ["{\"ForAllValues:StringEquals\":{\"dynamodb:LeadingKeys\":[\"api-health:assignment\"]}}"]
    error_message = "Of states, an operator writes one record alone."
  }
  assert {
    condition     = jsondecode(aws_iam_role.daemon.assume_role_policy).Statement[0].Principal == { Service = "ec2.amazonaws.com" } && aws_iam_instance_profile.daemon.role == "api-health-daemon"
    error_message = "EC2 alone takes the role."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.session_manager[0].policy).Statement[0].Action == ["ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel"] && length(jsondecode(aws_iam_role_policy.session_manager[0].policy).Statement) == 1
    error_message = "Session Manager's shell, and no more."
  }
}

run "instance" {
  command = plan

  assert {
    condition     = aws_launch_template.daemon.metadata_options[0].http_tokens == "required" && aws_launch_template.daemon.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "IMDSv2 alone, one hop."
  }
  assert {
    condition     = aws_launch_template.daemon.block_device_mappings[0].ebs[0].encrypted == "true" && aws_launch_template.daemon.block_device_mappings[0].ebs[0].volume_type == "gp3"
    error_message = "An encrypted gp3 volume."
  }
  assert {
    condition     = aws_launch_template.daemon.instance_type == "t4g.nano" && aws_launch_template.daemon.image_id == "ami-0123456789abcdef0" && aws_launch_template.daemon.credit_specification[0].cpu_credits == "unlimited" && data.aws_ssm_parameter.al2023[0].name == "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
    error_message = "A t4g.nano of Amazon Linux 2023 for arm64, not slowed at its first boot."
  }
  assert {
    condition     = length(coalesce(aws_security_group.daemon.ingress, [])) == 0 && aws_launch_template.daemon.key_name == null
    error_message = "Nothing comes in, and there is no key for it."
  }
  assert {
    condition     = aws_vpc_security_group_egress_rule.ipv4.cidr_ipv4 == "0.0.0.0/0" && aws_vpc_security_group_egress_rule.ipv6.cidr_ipv6 == "::/0"
    error_message = "All goes out."
  }
  assert {
    condition     = aws_autoscaling_group.daemon.min_size == 1 && aws_autoscaling_group.daemon.max_size == 1 && length(aws_autoscaling_group.daemon.vpc_zone_identifier) == 2 && aws_autoscaling_group.daemon.health_check_type == "EC2"
    error_message = "One instance, in any zone."
  }
  assert {
    condition     = aws_autoscaling_group.daemon.instance_refresh[0].preferences[0].min_healthy_percentage == 0 && aws_autoscaling_group.daemon.instance_refresh[0].preferences[0].max_healthy_percentage == 100
    error_message = "A change replaces the instance, the old one first."
  }
  assert {
    condition     = length(aws_s3_bucket.package) == 0
    error_message = "A published package needs no bucket."
  }
}

run "two_instances" {
  command = plan

  variables {
    instances = 2
  }

  assert {
    condition     = [aws_autoscaling_group.daemon.min_size, aws_autoscaling_group.daemon.desired_capacity, aws_autoscaling_group.daemon.max_size] == [2, 2, 2] && length(aws_autoscaling_group.daemon.vpc_zone_identifier) == 2
    error_message = "Two instances over two zones."
  }
  assert {
    condition     = aws_autoscaling_group.daemon.instance_refresh[0].preferences[0].min_healthy_percentage == 100 && aws_autoscaling_group.daemon.instance_refresh[0].preferences[0].max_healthy_percentage > 100 && tonumber(aws_autoscaling_group.daemon.instance_refresh[0].preferences[0].instance_warmup) >= 300
    error_message = "A change replaces one after the other, each new one before an old one ends."
  }
  assert {
    condition     = strcontains(base64decode(aws_launch_template.daemon.user_data), "'\n[fleet]\nexpected = 2\nEND_OF_SETTINGS_")
    error_message = "Each knows how many are expected."
  }
  assert {
    condition     = strcontains(output.next_steps, "`api-health fleet` shows who of the 2 instances watches what.")
    error_message = "There is a command that shows them."
  }
}

run "several_with_settings_of_their_own" {
  command = plan

  variables {
    instances  = 3
    settings   = "expected_status = 1\r\n [ fleet ] # ours\r\nfail_open = false\r\n[log]\r\n"
    vpc_id     = "vpc-0fedcba9876543210"
    subnet_ids = ["subnet-0fedcba9876543210", "subnet-0fedcba9876543211", "subnet-0fedcba9876543212"]
  }

  override_data {
    target          = data.aws_subnet.given[0]
    override_during = plan
    values          = { availability_zone = "eu-central-1a" }
  }
  override_data {
    target          = data.aws_subnet.given[1]
    override_during = plan
    values          = { availability_zone = "eu-central-1a" }
  }
  override_data {
    target          = data.aws_subnet.given[2]
    override_during = plan
    values          = { availability_zone = "eu-central-1b" }
  }

  assert {
    condition     = strcontains(base64decode(aws_launch_template.daemon.user_data), "'\nexpected_status = 1\n [ fleet ] # ours\nexpected = 3\nfail_open = false\n[log]\nEND_OF_SETTINGS_")
    error_message = "How many are expected stands in the table that is there."
  }
}

run "several_without_a_table_of_theirs" {
  command = plan

  variables {
    instances = 20
    settings  = "[log]\nlevel = \"debug\"\n"
  }

  assert {
    condition     = strcontains(base64decode(aws_launch_template.daemon.user_data), "'\n[log]\nlevel = \"debug\"\n\n[fleet]\nexpected = 20\nEND_OF_SETTINGS_")
    error_message = "How many are expected stands after the rest."
  }
}

run "outputs" {
  command = plan

  assert {
    condition     = alltrue([for text in ["ops@example.com, night@example.com", "api-health apis add --url", "ssm start-session --region eu-central-1", "AWS-StartPortForwardingSession --parameters portNumber=8462,", "DDB_CONFIG_TABLE=api_health_configs"] : strcontains(output.next_steps, text)])
    error_message = "What is left to do: confirm, add, look."
  }
  assert {
    condition     = strcontains(base64decode(aws_launch_template.daemon.user_data), "SNS_TOPIC_ARN=\"arn:aws:sns:eu-central-1:123456789012:api-health-alerts\"\n") && strcontains(base64decode(aws_launch_template.daemon.user_data), "package='https://example.com/api-health-1.0.0-1.aarch64.rpm'\n")
    error_message = "The user data has the environment and the package."
  }
  assert {
    condition     = strcontains(base64decode(aws_launch_template.daemon.user_data), "DDB_HISTORY_TABLE=\"api_health_history\"\n")
    error_message = "The daemon is told where history is kept."
  }
  assert {
    condition     = !strcontains(base64decode(aws_launch_template.daemon.user_data), "api-health.toml")
    error_message = "Without settings the package's file stays."
  }
  assert {
    condition     = strcontains(output.next_steps, "Instances[?LifecycleState=='InService'] | [0].InstanceId")
    error_message = "The shell opens on the instance that is in service."
  }
  assert {
    condition     = output.ami_id == "ami-0123456789abcdef0"
    error_message = "The image can be kept."
  }
}

run "everything_by_variable" {
  command = plan

  variables {
    name                = "probes"
    configs_table_name  = "probes.configs"
    states_table_name   = "probes.states"
    history_table_name  = "probes.history"
    deletion_protection = false
    session_manager     = false
    instance_type       = "c7i.large"
    ami_id              = "ami-0fedcba9876543210"
    vpc_id              = "vpc-0fedcba9876543210"
    subnet_ids          = ["subnet-0fedcba9876543210"]
    tags                = { Team = "platform" }
    cpu_credits         = "standard"
    package_url         = "https://example.com/api-health-1.0.0-1.x86_64.rpm"
  }

  override_data {
    target          = data.aws_ec2_instance_type.this
    override_during = plan
    values          = { supported_architectures = ["x86_64"], burstable_performance_supported = false, ebs_optimized_support = "default" }
  }

  assert {
    condition     = [for table in [aws_dynamodb_table.configs, aws_dynamodb_table.states, aws_dynamodb_table.history] : table.deletion_protection_enabled ? "protected" : table.name] == ["probes.configs", "probes.states", "probes.history"]
    error_message = "Tables."
  }
  assert {
    condition     = length(aws_iam_role_policy.session_manager) == 0 && !strcontains(output.next_steps, "start-session")
    error_message = "Without Session Manager nothing speaks of it."
  }
  assert {
    condition     = aws_launch_template.daemon.image_id == "ami-0fedcba9876543210" && length(data.aws_vpc.default) == 0 && aws_security_group.daemon.vpc_id == "vpc-0fedcba9876543210" && aws_autoscaling_group.daemon.vpc_zone_identifier == toset(["subnet-0fedcba9876543210"])
    error_message = "Image and network are those that were given."
  }
  assert {
    condition     = length(aws_launch_template.daemon.credit_specification) == 0
    error_message = "CPU credits are for burstable types only."
  }
  assert {
    condition = alltrue([for tags in concat(
      [for resource in [aws_dynamodb_table.configs, aws_dynamodb_table.states, aws_dynamodb_table.history, aws_sns_topic.alerts, aws_iam_role.daemon, aws_iam_policy.operator, aws_iam_instance_profile.daemon, aws_security_group.daemon, aws_launch_template.daemon] : resource.tags],
      aws_launch_template.daemon.tag_specifications[*].tags,
    ) : tags.Application == "probes" && tags.Team == "platform"])
    error_message = "Everything has the tags."
  }
  assert {
    condition     = length(aws_launch_template.daemon.tag_specifications) == 3 && alltrue([for tags in aws_launch_template.daemon.tag_specifications[*].tags : tags == tomap({ Owner = "provider", Team = "platform", Application = "probes", Name = "probes-daemon" })])
    error_message = "The instance, its volume and its interface have the provider's default tags too; the module's win."
  }
  assert {
    condition     = { for tag in aws_autoscaling_group.daemon.tag : tag.key => tag.value } == { Owner = "provider", Team = "platform", Application = "probes" }
    error_message = "The group has the provider's default tags too."
  }
}

run "burstable_on_standard_credits" {
  command = plan

  variables {
    cpu_credits = "standard"
  }

  assert {
    condition     = aws_launch_template.daemon.credit_specification[0].cpu_credits == "standard"
    error_message = "Credits as they were asked for."
  }
}

# Everything in the user data at its longest.
run "largest_user_data" {
  command = plan

  variables {
    instances          = 20
    environment        = replace(format("%064d", 0), "0", "\"")
    configs_table_name = replace(format("%0255d", 0), "0", "c")
    states_table_name  = replace(format("%0255d", 0), "0", "s")
    history_table_name = replace(format("%0255d", 0), "0", "h")
    package_url        = "https://example.com/${replace(format("%0992d", 0), "0", "p")}.aarch64.rpm"
    settings           = replace(format("%05120d", 0), "0", "ü")
  }

  assert {
    condition     = length(var.package_url) == 1024
    error_message = "The longest address."
  }
  assert {
    condition     = length(aws_launch_template.daemon.user_data) <= 21848 && strcontains(base64decode(aws_launch_template.daemon.user_data), var.settings)
    error_message = "EC2 takes 16 KiB of user data."
  }
}

run "package_from_this_machine" {
  command = plan

  variables {
    package_file   = "./tests/testdata/api-health-0.0.0-1.aarch64.rpm"
    package_url    = null
    package_sha256 = null
  }

  assert {
    condition     = aws_s3_bucket_versioning.package[0].versioning_configuration[0].status == "Enabled" && one(aws_s3_bucket_server_side_encryption_configuration.package[0].rule).apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"
    error_message = "The bucket is versioned and encrypted."
  }
  assert {
    condition = alltrue([for access in aws_s3_bucket_public_access_block.package :
      access.block_public_acls && access.block_public_policy && access.ignore_public_acls && access.restrict_public_buckets
    ])
    error_message = "The bucket is private."
  }
  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.daemon.policy).Statement : statement if statement.Sid == "FetchPackage"] == [{
      Sid      = "FetchPackage"
      Effect   = "Allow"
      Action   = ["s3:GetObject"]
      Resource = "arn:aws:s3:::api-health-package-1/${filesha256("./tests/testdata/api-health-0.0.0-1.aarch64.rpm")}/api-health-0.0.0-1.aarch64.rpm"
    }]
    error_message = "The role may fetch the package, and nothing beside it."
  }
}
