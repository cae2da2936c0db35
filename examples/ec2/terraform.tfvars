environment   = "production"
alert_emails  = ["ops@example.org"]
package_file  = "../../target/packages/api-health-0.1.0-1.aarch64.rpm"
instance_type = "t4g.nano"
instances     = 1
