# Where it runs.

data "aws_vpc" "default" {
  count = var.vpc_id == null ? 1 : 0

  default = true
}

# Not every zone has every type, and a group that tries one which has not fails to launch.
data "aws_ec2_instance_type_offerings" "zones" {
  count = var.subnet_ids == null ? 1 : 0

  location_type = "availability-zone"

  filter {
    name   = "instance-type"
    values = [var.instance_type]
  }
}

data "aws_subnets" "default" {
  count = var.subnet_ids == null ? 1 : 0

  filter {
    name   = "vpc-id"
    values = [local.vpc_id]
  }

  filter {
    name   = "default-for-az"
    values = ["true"]
  }

  filter {
    name   = "availability-zone"
    values = data.aws_ec2_instance_type_offerings.zones[0].locations
  }
}

# The zones of subnets that were given, which only several instances must know.
data "aws_subnet" "given" {
  count = var.instances == 1 ? 0 : length(coalesce(var.subnet_ids, []))

  id = var.subnet_ids[count.index]
}

data "aws_ec2_instance_type" "this" {
  instance_type = var.instance_type
}

data "aws_ssm_parameter" "al2023" {
  count = var.ami_id == null ? 1 : 0

  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${local.architecture}"
}

locals {
  vpc_id     = var.vpc_id == null ? data.aws_vpc.default[0].id : var.vpc_id
  subnet_ids = var.subnet_ids == null ? sort(data.aws_subnets.default[0].ids) : var.subnet_ids
  # A zone has one default subnet.
  zones = var.subnet_ids == null ? local.subnet_ids : distinct(data.aws_subnet.given[*].availability_zone)
  # The parameter's value is public; the provider marks all of them as sensitive.
  image_id     = var.ami_id == null ? nonsensitive(data.aws_ssm_parameter.al2023[0].value) : var.ami_id
  architecture = contains(data.aws_ec2_instance_type.this.supported_architectures, "arm64") ? "arm64" : "x86_64"

  # Terraform cannot look into a package: its file name must tell what it is built for.
  package_name          = basename(coalesce(var.package_file, var.package_url))
  package_architectures = distinct(compact([for text, architecture in { aarch64 = "arm64", arm64 = "arm64", x86_64 = "x86_64", amd64 = "x86_64" } : strcontains(local.package_name, text) ? architecture : ""]))

  tags = merge({ Application = var.name }, var.tags)
  # The provider gives its default_tags to what it makes itself. What EC2 makes from the launch template, and the group,
  # whose tags are of another shape, must be given them.
  all_tags = merge(data.aws_default_tags.current.tags, local.tags)

  # The daemon's environment file. What is quoted so reads the same for systemd and for a shell.
  environment_variables = {
    APP_ENVIRONMENT   = join("", [for character in split("", var.environment) : contains(["\\", "\"", "$", "`"], character) ? "\\${character}" : character])
    AWS_REGION        = local.region
    DDB_CONFIG_TABLE  = aws_dynamodb_table.configs.name
    DDB_HISTORY_TABLE = aws_dynamodb_table.history.name
    DDB_STATE_TABLE   = aws_dynamodb_table.states.name
    SNS_TOPIC_ARN     = aws_sns_topic.alerts.arn
  }
  environment_file = join("\n", [for key, value in local.environment_variables : "${key}=\"${value}\""])

  # For several instances, how many are expected stands in the settings: under [fleet] if that is there, else after the rest.
  settings  = trimsuffix(replace(var.settings, "\r\n", "\n"), "\n")
  expected  = "expected = ${var.instances}"
  fleet     = "/(?m)^([ \\t]*\\[[ \\t]*fleet[ \\t]*\\].*)$/"
  has_fleet = length(regexall(trim(local.fleet, "/"), local.settings)) > 0
  all_settings = (
    var.instances == 1 ? local.settings :
    local.has_fleet ? replace(local.settings, local.fleet, "$1\n${local.expected}") :
    trimprefix("${local.settings}\n\n[fleet]\n${local.expected}", "\n\n")
  )

  user_data = templatefile("${path.module}/templates/user-data.sh.tftpl", {
    package_source   = local.package_source
    package_sha256   = local.package_sha256
    region           = local.region
    environment_file = local.environment_file
    settings         = local.all_settings
    # No text has its own sum in it, so that nothing in the settings ends them early.
    settings_end = "END_OF_SETTINGS_${sha256(var.settings)}"
  })
}

data "aws_default_tags" "current" {}

# What reaches it, and what it reaches.

resource "aws_security_group" "daemon" {
  name        = "${var.name}-daemon"
  description = "api-health: nothing comes in; probes, AWS and updates go out."
  vpc_id      = local.vpc_id
  tags        = merge(local.tags, { Name = "${var.name}-daemon" })
}

# All ports and addresses: what is probed is decided in the table, and may be any host and port. Link-local addresses, the
# metadata service's among them, pass by security groups; the daemon guards those itself.
resource "aws_vpc_security_group_egress_rule" "ipv4" {
  security_group_id = aws_security_group.daemon.id
  description       = "Probes, AWS and updates"
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
  tags              = local.tags
}

resource "aws_vpc_security_group_egress_rule" "ipv6" {
  security_group_id = aws_security_group.daemon.id
  description       = "Probes, AWS and updates"
  ip_protocol       = "-1"
  cidr_ipv6         = "::/0"
  tags              = local.tags
}

# What runs.

resource "aws_launch_template" "daemon" {
  name          = "${var.name}-daemon"
  description   = "api-health on Amazon Linux 2023"
  image_id      = local.image_id
  instance_type = var.instance_type
  # A public address is the subnet's affair (map_public_ip_on_launch): asking for one here would give one in a private
  # subnet too.
  vpc_security_group_ids = [aws_security_group.daemon.id]
  user_data              = base64encode(local.user_data)
  update_default_version = true
  ebs_optimized          = data.aws_ec2_instance_type.this.ebs_optimized_support != "unsupported"
  tags                   = local.tags

  iam_instance_profile {
    arn = aws_iam_instance_profile.daemon.arn
  }

  # One hop: no container or proxy on the instance can pass a request on to the metadata service.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "disabled"
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_type           = "gp3"
      volume_size           = 8
      encrypted             = true
      delete_on_termination = true
    }
  }

  dynamic "credit_specification" {
    for_each = data.aws_ec2_instance_type.this.burstable_performance_supported ? [var.cpu_credits] : []

    content {
      cpu_credits = credit_specification.value
    }
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume", "network-interface"]

    content {
      resource_type = tag_specifications.value
      tags          = merge(local.all_tags, { Name = "${var.name}-daemon" })
    }
  }

  lifecycle {
    precondition {
      condition     = length(local.package_architectures) == 1
      error_message = "The name of the package, ${local.package_name}, must tell the one architecture that it is built for: keep the name that infra/packaging/build gives it, such as api-health-0.1.0-1.aarch64.rpm. `rpm -qp --queryformat '%%{ARCH}' FILE` says what a file is for; ${var.instance_type} needs ${local.architecture == "arm64" ? "aarch64" : "x86_64"}."
    }
    precondition {
      condition     = length(local.package_architectures) != 1 || contains(local.package_architectures, local.architecture)
      error_message = "The package ${local.package_name} is not for ${local.architecture}, which ${var.instance_type} is: build one for it, or write another instance_type."
    }
  }
}

# So many instances, and another in the place of each that EC2 finds impaired or that somebody ends. One alone is a group as
# well: nobody else would bring it back.
resource "aws_autoscaling_group" "daemon" {
  name                      = "${var.name}-daemon"
  min_size                  = var.instances
  max_size                  = var.instances
  desired_capacity          = var.instances
  vpc_zone_identifier       = local.subnet_ids
  health_check_type         = "EC2"
  health_check_grace_period = 60

  launch_template {
    id = aws_launch_template.daemon.id
    # A number and not "$Latest", so that a new version is a change of the group, which starts the refresh.
    version = aws_launch_template.daemon.latest_version
  }

  # An upgrade is new instances. Several are replaced one after the other (of twenty, up to two at a time), each new one before
  # an old one ends, so that there are never fewer than expected. One alone ends first, as a version that knows no leases needs
  # it: that one would probe and tell beside the new one. What goes down in between is told when the new one starts.
  instance_refresh {
    strategy = "Rolling"

    preferences {
      min_healthy_percentage = var.instances == 1 ? 0 : 100
      max_healthy_percentage = var.instances == 1 ? 100 : 110
      # EC2 knows the machine, not the daemon: this is the time that it has to boot, install, and take its share, before
      # the next old one ends.
      instance_warmup = var.instances == 1 ? 60 : 300
    }
  }

  # The instance gets its tags from the launch template; these are the group's own.
  dynamic "tag" {
    for_each = local.all_tags

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = false
    }
  }

  # What the first boot needs at once.
  depends_on = [
    aws_iam_role_policy.daemon,
    aws_iam_role_policy.session_manager,
    aws_sns_topic_policy.alerts,
    aws_vpc_security_group_egress_rule.ipv4,
    aws_vpc_security_group_egress_rule.ipv6,
  ]

  lifecycle {
    precondition {
      condition     = length(local.subnet_ids) > 0
      error_message = "The default VPC has no default subnet in a zone that offers ${var.instance_type}: write vpc_id and subnet_ids."
    }
    precondition {
      condition     = var.instances == 1 || length(local.zones) > 1
      error_message = "${var.instances} instances need subnets in at least two zones, so that the loss of one leaves some: write two in different zones as subnet_ids, or instances = 1."
    }
  }
}

# The instances that the group runs just now, for the outputs.
data "aws_instances" "daemon" {
  instance_state_names = ["pending", "running"]

  filter {
    name   = "tag:aws:autoscaling:groupName"
    values = [aws_autoscaling_group.daemon.name]
  }

  depends_on = [aws_autoscaling_group.daemon]
}
