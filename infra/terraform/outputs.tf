output "autoscaling_group_name" {
  description = "The group that keeps the instances running."
  value       = aws_autoscaling_group.daemon.name
}

output "instance_id" {
  description = "An instance that ran when this was applied; null if none did."
  value       = try(data.aws_instances.daemon.ids[0], null)
}

output "instance_ids" {
  description = "All instances that ran when this was applied."
  value       = data.aws_instances.daemon.ids
}

output "public_ip" {
  description = "Its public address, which probes come from, if its subnet gives one; null behind NAT. A new instance has another."
  value       = try(data.aws_instances.daemon.public_ips[0], null)
}

output "public_ips" {
  description = "The public addresses of all of them. A new instance has another."
  value       = data.aws_instances.daemon.public_ips
}

output "ami_id" {
  description = "The image of the instances. Written into the variable ami_id, it stays."
  value       = local.image_id
}

output "configs_table_name" {
  description = "The table of the APIs to watch."
  value       = aws_dynamodb_table.configs.name
}

output "states_table_name" {
  description = "The table of what is known of each."
  value       = aws_dynamodb_table.states.name
}

output "history_table_name" {
  description = "The table of the past."
  value       = aws_dynamodb_table.history.name
}

output "topic_arn" {
  description = "The topic of the alerts."
  value       = aws_sns_topic.alerts.arn
}

output "role_name" {
  description = "The daemon's role."
  value       = aws_iam_role.daemon.name
}

output "role_arn" {
  description = "The daemon's role."
  value       = aws_iam_role.daemon.arn
}

output "instance_profile_name" {
  description = "What hands the role to the instance."
  value       = aws_iam_instance_profile.daemon.name
}

output "daemon_policy_json" {
  description = "What the daemon may do."
  value       = local.daemon_policy
}

output "operator_policy_arn" {
  description = "A policy for the people who edit configs: attach it to them."
  value       = aws_iam_policy.operator.arn
}

output "operator_policy_json" {
  description = "What they may do."
  value       = local.operator_policy
}

output "next_steps" {
  description = "What is left to do by hand."
  value = templatefile("${path.module}/templates/next-steps.txt.tftpl", {
    alert_emails        = var.alert_emails
    configs_table       = aws_dynamodb_table.configs.name
    group               = aws_autoscaling_group.daemon.name
    instances           = var.instances
    operator_policy_arn = aws_iam_policy.operator.arn
    region              = local.region
    session_manager     = var.session_manager
    states_table        = aws_dynamodb_table.states.name
  })
}
