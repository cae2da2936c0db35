# With package_file: a private bucket that holds the package, and nothing else. With package_url nothing of this is made.
# What is fetched must have the SHA-256 that stands in the user data, so the bucket is not trusted either.

locals {
  package_sha256 = var.package_file == null ? var.package_sha256 : filesha256(var.package_file)
  package_source = var.package_file == null ? var.package_url : "s3://${aws_s3_bucket.package[0].bucket}/${aws_s3_object.package[0].key}"
}

resource "aws_s3_bucket" "package" {
  count = var.package_file == null ? 0 : 1

  bucket_prefix = "${var.name}-package-"
  tags          = local.tags

  # It holds what Terraform put there, which can be built again.
  force_destroy = true
}

resource "aws_s3_bucket_versioning" "package" {
  count = length(aws_s3_bucket.package)

  bucket = aws_s3_bucket.package[0].bucket

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "package" {
  count = length(aws_s3_bucket.package)

  bucket = aws_s3_bucket.package[0].bucket

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "package" {
  count = length(aws_s3_bucket.package)

  bucket                  = aws_s3_bucket.package[0].bucket
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_object" "package" {
  count = length(aws_s3_bucket.package)

  bucket = aws_s3_bucket.package[0].bucket
  source = var.package_file

  # The key tells the content, and the old object goes last: an instance that starts during an upgrade finds the package
  # that its user data names.
  key = "${local.package_sha256}/${basename(var.package_file)}"

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_s3_bucket_versioning.package, aws_s3_bucket_server_side_encryption_configuration.package]
}
