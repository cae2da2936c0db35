variable "name" {
  type        = string
  default     = "api-health"
  description = "Prefix of the name of everything but the tables. Another one lets a second deployment live in the same account."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 24 lower case letters, digits and hyphens, begin with a letter and not end with a hyphen, such as \"api-health\"."
  }
}

variable "environment" {
  type        = string
  default     = "production"
  description = "What this deployment is called in every alert (APP_ENVIRONMENT)."

  validation {
    condition     = can(regex("^[^[:cntrl:]]{1,64}$", var.environment))
    error_message = "environment must be 1 to 64 characters without line breaks or other control characters, such as \"production\"."
  }
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "Tags for everything that is made, the instance and its volume included, beside the provider's default_tags."

  validation {
    condition = alltrue([
      for key, value in var.tags :
      can(regex("^[\\pL\\pZ\\pN_.:/=+@-]{1,128}$", key)) && can(regex("^[\\pL\\pZ\\pN_.:/=+@-]{0,256}$", value)) && !startswith(lower(key), "aws:")
    ])
    error_message = "tags must have keys of 1 to 128 and values of at most 256 letters, digits, spaces and _ . : / = + - @, and no key may begin with \"aws:\"."
  }
}

# Tables and topic.

variable "configs_table_name" {
  type        = string
  default     = "api_health_configs"
  description = "The table of the APIs to watch, which people edit."

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{3,255}$", var.configs_table_name))
    error_message = "configs_table_name must be 3 to 255 characters of A-Z a-z 0-9 . _ -, such as \"api_health_configs\"."
  }
}

variable "states_table_name" {
  type        = string
  default     = "api_health_states"
  description = "The table of what is known of each API, which only the daemon writes."

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{3,255}$", var.states_table_name)) && var.states_table_name != var.configs_table_name
    error_message = "states_table_name must be 3 to 255 characters of A-Z a-z 0-9 . _ -, and another one than configs_table_name, such as \"api_health_states\"."
  }
}

variable "history_table_name" {
  type        = string
  default     = "api_health_history"
  description = "The table of what people look at of the past, which only the daemon writes."

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{3,255}$", var.history_table_name)) && !contains([var.configs_table_name, var.states_table_name], var.history_table_name)
    error_message = "history_table_name must be 3 to 255 characters of A-Z a-z 0-9 . _ -, and another one than configs_table_name and states_table_name, such as \"api_health_history\"."
  }
}

variable "deletion_protection" {
  type        = bool
  default     = true
  description = "Whether DynamoDB refuses to delete the tables. Apply it as false before `terraform destroy`."
}

variable "alert_emails" {
  type        = list(string)
  description = "Who gets the alerts. Each address is sent a link, and gets nothing until somebody has followed it."

  validation {
    condition     = length(var.alert_emails) > 0 && alltrue([for email in var.alert_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", email))])
    error_message = "alert_emails must be a list of at least one e-mail address, such as [\"ops@example.com\"]."
  }

  validation {
    condition     = length(distinct([for email in var.alert_emails : lower(email)])) == length(var.alert_emails)
    error_message = "alert_emails must name each address once."
  }
}

# The package.

variable "package_file" {
  type        = string
  default     = null
  description = "An .rpm on this machine, as infra/packaging/build makes it. It is kept in a private bucket, from which the instance fetches it."

  validation {
    condition     = (var.package_file == null) != (var.package_url == null)
    error_message = "Write exactly one of package_file (the path of an .rpm on this machine) and package_url (with package_sha256)."
  }

  validation {
    condition     = var.package_file == null ? true : endswith(var.package_file, ".rpm") && fileexists(var.package_file)
    error_message = "package_file must be the path of an .rpm that exists on this machine; infra/packaging/build makes one."
  }
}

variable "package_url" {
  type        = string
  default     = null
  description = "Where a published .rpm is fetched from, in place of package_file."

  validation {
    condition     = var.package_url == null ? true : can(regex("^https://[A-Za-z0-9.-]+(:[0-9]+)?/[A-Za-z0-9/._~%+-]+\\.rpm$", var.package_url))
    error_message = "package_url must be an https:// address that ends in .rpm, without a query, such as \"https://example.com/api-health.aarch64.rpm\"."
  }

  validation {
    condition     = var.package_url == null ? true : length(var.package_url) <= 1024
    error_message = "package_url must be at most 1024 characters: it stands in the user data, which EC2 limits to 16 KiB in all."
  }
}

variable "package_sha256" {
  type        = string
  default     = null
  description = "The SHA-256 that the file at package_url must have. That of package_file is computed."

  validation {
    condition     = (var.package_sha256 == null) == (var.package_url == null)
    error_message = "Write package_sha256 with package_url, and without package_file, whose sum is computed."
  }

  validation {
    condition     = var.package_sha256 == null ? true : can(regex("^[0-9a-f]{64}$", var.package_sha256))
    error_message = "package_sha256 must be 64 lower case hexadecimal digits, as `sha256sum FILE` prints them."
  }
}

# The instances.

variable "instances" {
  type        = number
  default     = 1
  description = "How many instances share the APIs. With two or more, spread over at least two zones, another takes over within seconds when one is lost."

  validation {
    condition     = var.instances >= 1 && var.instances <= 20 && floor(var.instances) == var.instances
    error_message = "instances must be a whole number from 1 to 20, such as 2. To run none for a while, see \"Stop them all\" in docs/operations.md."
  }
}

variable "instance_type" {
  type        = string
  default     = "t4g.nano"
  description = "The EC2 instance type. The package must be built for its architecture."

  validation {
    condition     = can(regex("^[a-z0-9-]+\\.[a-z0-9-]+$", var.instance_type))
    error_message = "instance_type must be an EC2 instance type, such as \"t4g.nano\"."
  }
}

variable "cpu_credits" {
  type        = string
  default     = "unlimited"
  description = "What a burstable type does once its CPU credits are used up: \"unlimited\" goes on at full speed, and AWS bills what a day's credits do not pay back; \"standard\" slows down. A new t3 or t4g has no credits at all, so standard is slow from the first boot on."

  validation {
    condition     = contains(["unlimited", "standard"], var.cpu_credits)
    error_message = "cpu_credits must be \"unlimited\" or \"standard\"."
  }
}

variable "settings" {
  type        = string
  default     = ""
  description = "The text of /etc/api-health/api-health.toml (TOML). \"\" leaves the package's file, in which all is at its default. No secrets: whoever may read the launch template or Terraform's state reads this."

  validation {
    # What base64 makes of n bytes tells n; length() counts characters.
    condition     = length(base64encode(var.settings)) / 4 * 3 - length(regexall("=", base64encode(var.settings))) <= 10240
    error_message = "settings must be at most 10240 bytes (10 KiB): they stand in the user data, which EC2 limits to 16 KiB in all. Leave out comments and defaults, and keep APIs in the table instead of in a file."
  }

  validation {
    condition     = can(regex("^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f]*$", var.settings))
    error_message = "settings must have no control characters but tabs and line breaks, which TOML does not allow either."
  }

  # What is laid down for several instances has a line more, and TOML takes no key and no table twice.
  validation {
    condition     = var.instances == 1 || !can(regex("(?m)^[ \\t]*(expected|fleet([ \\t]*\\.[ \\t]*\\w+)?)[ \\t]*=", var.settings))
    error_message = "With several instances, settings must not have fleet.expected, which is written for you, and must have what else is of the fleet under a line [fleet]."
  }
}

variable "ami_id" {
  type        = string
  default     = null
  description = "An Amazon Linux 2023 image to boot. null takes the newest for the instance type's architecture at each apply."

  validation {
    condition     = var.ami_id == null ? true : can(regex("^ami-[0-9a-f]{8,17}$", var.ami_id))
    error_message = "ami_id must be the id of an image, such as \"ami-0123456789abcdef0\", or null for the newest Amazon Linux 2023."
  }
}

variable "vpc_id" {
  type        = string
  default     = null
  description = "The VPC of subnet_ids. null is the region's default VPC."

  validation {
    condition     = var.vpc_id == null ? true : can(regex("^vpc-[0-9a-f]{8,17}$", var.vpc_id))
    error_message = "vpc_id must be the id of a VPC, such as \"vpc-0123456789abcdef0\", or null for the default one."
  }

  validation {
    condition     = (var.vpc_id == null) == (var.subnet_ids == null)
    error_message = "Write vpc_id and subnet_ids together, or neither for the default VPC."
  }
}

variable "subnet_ids" {
  type        = list(string)
  default     = null
  description = "Where instances may run: at least one subnet of vpc_id; two in different zones outlive the loss of one, and several instances need them. Each needs a way out: public addresses on launch, or NAT. null is every default subnet whose zone has the instance type."

  validation {
    condition     = var.subnet_ids == null ? true : length(var.subnet_ids) > 0 && alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-f]{8,17}$", id))])
    error_message = "subnet_ids must be a list of at least one subnet id (two in different zones are better), such as [\"subnet-0123456789abcdef0\"]."
  }
}

variable "session_manager" {
  type        = bool
  default     = true
  description = "Whether Session Manager may open a shell on the instance. There is no other way in."
}
