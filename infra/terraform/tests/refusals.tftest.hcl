# What is refused before anything is made. Each message says what to write instead. A run has several faults, and each must be
# found. (A validation that looks at a variable which was refused is not reached: such faults are in runs of their own.)

mock_provider "aws" {
  override_during = plan

  mock_data "aws_ec2_instance_type" {
    defaults = { supported_architectures = ["arm64"] }
  }
  mock_data "aws_ec2_instance_type_offerings" {
    defaults = { locations = ["eu-central-1a"] }
  }
  mock_data "aws_subnets" {
    defaults = { ids = ["subnet-0aaaaaaaaaaaaaaaa"] }
  }
}

variables {
  alert_emails   = ["ops@example.com"]
  package_url    = "https://example.com/api-health.aarch64.rpm"
  package_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
}

run "wrong_words" {
  command = plan

  variables {
    name               = "Api-Health"
    environment        = ""
    tags               = { "aws:name" = "x" }
    configs_table_name = "api health"
    alert_emails       = []
    package_url        = "http://example.com/api-health.rpm"
    instance_type      = "t4g"
    cpu_credits        = "endless"
    settings           = "environment = \"a\"\u0007"
    ami_id             = "i-0123456789abcdef0"
    subnet_ids         = []
  }

  expect_failures = [
    var.name,
    var.environment,
    var.tags,
    var.configs_table_name,
    var.alert_emails,
    var.package_url,
    var.instance_type,
    var.cpu_credits,
    var.settings,
    var.ami_id,
    var.subnet_ids,
  ]
}

# Terraform asks this only where the names of the other tables are good.
run "a_table_of_history_that_is_none" {
  command = plan

  variables {
    history_table_name = "api/history"
  }

  expect_failures = [var.history_table_name]
}

run "a_table_of_history_that_is_another" {
  command = plan

  variables {
    history_table_name = "api_health_states"
  }

  expect_failures = [var.history_table_name]
}

run "smuggled" {
  command = plan

  # A line break would bring a setting into the environment file, a quote a command into the user data.
  variables {
    name              = "a-name-of-far-too-many-letters"
    environment       = "production\nAWS_REGION=eu-west-1"
    tags              = { Team = "a\nb" }
    states_table_name = "ab"
    instances         = 1.5
    alert_emails      = ["ops@example.com", "nobody"]
    package_url       = "https://example.com/'; reboot; '.rpm"
    subnet_ids        = ["vpc-0123456789abcdef0"]
  }

  expect_failures = [
    var.name,
    var.environment,
    var.tags,
    var.states_table_name,
    var.instances,
    var.alert_emails,
    var.package_url,
    var.subnet_ids,
  ]
}

# 10241 bytes, in 5121 characters.
run "too_large" {
  command = plan

  variables {
    settings    = "#${replace(format("%05120d", 0), "0", "ü")}"
    package_url = "https://example.com/${replace(format("%0993d", 0), "0", "p")}.aarch64.rpm"
  }

  expect_failures = [var.settings, var.package_url]
}

run "none" {
  command = plan

  variables {
    instances = 0
  }

  expect_failures = [var.instances]
}

run "too_many" {
  command = plan

  variables {
    instances = 21
  }

  expect_failures = [var.instances]
}

# What a second line or table of the same name would be for TOML.
run "expected_twice" {
  command = plan

  variables {
    instances = 2
    settings  = "[fleet]\n  expected = 3\n"
  }

  expect_failures = [var.settings]
}

run "fleet_without_a_table" {
  command = plan

  variables {
    instances = 2
    settings  = "fleet . fail_open = false\n"
  }

  expect_failures = [var.settings]
}

run "fleet_in_one_line" {
  command = plan

  variables {
    instances = 2
    settings  = "fleet = { fail_open = false }\n"
  }

  expect_failures = [var.settings]
}

run "several_in_one_zone" {
  command = plan

  variables {
    instances  = 2
    vpc_id     = "vpc-0123456789abcdef0"
    subnet_ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
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

  expect_failures = [aws_autoscaling_group.daemon]
}

run "several_in_one_default_zone" {
  command = plan

  variables {
    instances = 2
  }

  expect_failures = [aws_autoscaling_group.daemon]
}

run "wrong_beside_another" {
  command = plan

  variables {
    states_table_name = "api_health_configs"
    alert_emails      = ["ops@example.com", "Ops@example.com"]
    package_file      = "./tests/testdata/api-health-0.0.0-1.aarch64.rpm"
    package_sha256    = "abc"
    vpc_id            = "vpc-0123456789abcdef0"
  }

  expect_failures = [
    var.states_table_name,
    var.alert_emails,
    var.package_file,
    var.package_sha256,
    var.vpc_id,
  ]
}

run "one_of_a_pair" {
  command = plan

  variables {
    package_sha256 = null
    vpc_id         = "subnet-0123456789abcdef0"
    subnet_ids     = ["subnet-0123456789abcdef0"]
  }

  expect_failures = [
    var.package_sha256,
    var.vpc_id,
  ]
}

run "the_other_of_a_pair" {
  command = plan

  variables {
    subnet_ids = ["subnet-0123456789abcdef0"]
    vpc_id     = null
  }

  expect_failures = [
    var.vpc_id,
  ]
}

run "no_package" {
  command = plan

  variables {
    package_url    = null
    package_sha256 = null
  }

  expect_failures = [var.package_file]
}

run "package_that_is_not_there" {
  command = plan

  variables {
    package_file   = "./no-such.rpm"
    package_url    = null
    package_sha256 = null
  }

  expect_failures = [var.package_file]
}

run "package_of_another_kind_with_a_sum" {
  command = plan

  variables {
    package_file = "./versions.tf"
    package_url  = null
  }

  expect_failures = [var.package_file, var.package_sha256]
}

run "package_for_another_architecture" {
  command = plan

  variables {
    package_url = "https://example.com/api-health.x86_64.rpm"
  }

  expect_failures = [aws_launch_template.daemon]
}

run "package_whose_name_tells_no_architecture" {
  command = plan

  variables {
    package_url = "https://example.com/aarch64/api-health.rpm"
  }

  expect_failures = [aws_launch_template.daemon]
}

run "package_whose_name_tells_two" {
  command = plan

  variables {
    package_url = "https://example.com/api-health.x86_64.aarch64.rpm"
  }

  expect_failures = [aws_launch_template.daemon]
}

run "no_default_subnet" {
  command = plan

  override_data {
    target          = data.aws_subnets.default[0]
    override_during = plan
    values          = { ids = [] }
  }

  expect_failures = [aws_autoscaling_group.daemon]
}
