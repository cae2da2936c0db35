# A root of your own, which is where versions are locked and the state is kept. Its .terraform.lock.hcl belongs in your
# version control.

terraform {
  required_version = ">= 1.9.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80.0, < 6.0.0"
    }
  }

  # backend "s3" { ... }
}

variable "region" {
  type        = string
  description = "Where everything is made."
}

variable "alert_emails" {
  type        = list(string)
  description = "Who gets the alerts."
}

variable "package_file" {
  type        = string
  description = "The .rpm that `infra/packaging/build --arch arm64` made, under the name that it gave it."
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { Owner = "platform" }
  }
}

module "api_health" {
  source = "../.."

  environment  = "production"
  alert_emails = var.alert_emails
  package_file = var.package_file
}

output "next_steps" {
  description = "What is left to do by hand: terraform output -raw next_steps"
  value       = module.api_health.next_steps
}

output "public_ip" {
  description = "Where probes come from."
  value       = module.api_health.public_ip
}
