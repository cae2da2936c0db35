terraform {
  # 1.9 is the first whose variable validations may look at another variable.
  required_version = ">= 1.9.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80.0, < 6.0.0"
    }
  }
}

# There is no provider block on purpose. Applied here, Terraform configures the provider from the environment (AWS_REGION,
# AWS_PROFILE, ...); called as a module, it takes the caller's. A module with a provider of its own could not be used
# with count, for_each or depends_on.
