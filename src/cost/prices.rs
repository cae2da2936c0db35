//! The price table: us-east-1, on demand, before tax, in US dollars.
//!
//! A price changes here and nowhere else. `confirmed` says that more than one public text had it on [`AS_OF`]; the others are as
//! the author of this table remembers them: look at the source before you rely on one.

/// When the table was last gone through.
pub const AS_OF: &str = "2026-11-22";

/// Where the prices hold.
pub const REGION: &str = "us-east-1";

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// What is paid for.
    pub what: &'static str,
    /// Dollars for one [`Self::unit`].
    pub usd: f64,
    /// What that price is for.
    pub unit: &'static str,
    /// So much of the unit is free each month.
    pub free: f64,
    /// More than one public text had it.
    pub confirmed: bool,
    /// Where to look it up.
    pub source: &'static str,
}

impl Price {
    /// Dollars for `quantity` in a month.
    pub fn of(&self, quantity: f64) -> f64 {
        (quantity - self.free).max(0.0) * self.usd
    }
}

const fn price(what: &'static str, usd: f64, unit: &'static str, free: f64, source: &'static str) -> Price {
    Price { what, usd, unit, free, confirmed: false, source }
}

const fn confirmed(what: &'static str, usd: f64, unit: &'static str, free: f64, source: &'static str) -> Price {
    Price { what, usd, unit, free, confirmed: true, source }
}

const DYNAMODB: &str = "aws.amazon.com/dynamodb/pricing/on-demand";
const SNS: &str = "aws.amazon.com/sns/pricing";
const EC2: &str = "aws.amazon.com/ec2/pricing/on-demand";
const VPC: &str = "aws.amazon.com/vpc/pricing";
const EBS: &str = "aws.amazon.com/ebs/pricing";
const ROUTE_53: &str = "aws.amazon.com/route53/pricing";
const CLOUDWATCH: &str = "aws.amazon.com/cloudwatch/pricing";

/// A write of an item of up to 1 KB.
pub const WRITES: Price = confirmed("DynamoDB write request units", 0.625, "million", 0.0, DYNAMODB);
/// Two eventually consistent reads, or a consistent one, of up to 4 KB.
pub const READS: Price = confirmed("DynamoDB read request units", 0.125, "million", 0.0, DYNAMODB);
/// What the tables hold.
pub const STORAGE: Price = price("DynamoDB storage", 0.25, "GB and month", 25.0, DYNAMODB);
/// Their continuous backup.
pub const RECOVERY: Price = price("DynamoDB point-in-time recovery", 0.20, "GB and month", 0.0, DYNAMODB);
/// Alerts that are published.
pub const PUBLISHES: Price = price("SNS publishes", 0.50, "million", 1.0, SNS);
/// Alerts that are sent on by e-mail.
pub const MAILS: Price = price("SNS e-mails", 2.0, "100,000", 0.01, SNS);
/// What reaches the internet.
pub const EGRESS: Price = price("data out to the internet", 0.09, "GB", 100.0, EC2);
/// The address that probes come from.
pub const IPV4: Price = price("public IPv4 address", 0.005, "hour", 0.0, VPC);
/// The root volume.
pub const DISK: Price = price("gp3 volume", 0.08, "GB and month", 0.0, EBS);
/// A health check of an endpoint in AWS, without options.
pub const ROUTE_53_AWS: Price = confirmed("Route 53 health check, AWS endpoint", 0.50, "check", 50.0, ROUTE_53);
/// A health check of any other endpoint.
pub const ROUTE_53_OTHER: Price = confirmed("Route 53 health check, other endpoint", 0.75, "check", 0.0, ROUTE_53);
/// HTTPS, a string to match, or a fast interval: each is one.
pub const ROUTE_53_OPTION: Price =
    price("Route 53 option of a check, other endpoint", 2.0, "check and option", 0.0, ROUTE_53);
/// One run of a canary.
pub const SYNTHETICS: Price = price("CloudWatch Synthetics run", 0.0012, "run", 0.0, CLOUDWATCH);

/// The instances that the command knows, by name.
pub const INSTANCES: [(&str, Price); 4] = [
    ("t4g.nano", price("EC2 t4g.nano", 0.0042, "hour", 0.0, EC2)),
    ("t4g.micro", price("EC2 t4g.micro", 0.0084, "hour", 0.0, EC2)),
    ("t4g.small", price("EC2 t4g.small", 0.0168, "hour", 0.0, EC2)),
    ("c7g.large", price("EC2 c7g.large", 0.0725, "hour", 0.0, EC2)),
];

/// Every price but those of instances.
pub const ALL: [&Price; 13] = [
    &WRITES,
    &READS,
    &STORAGE,
    &RECOVERY,
    &PUBLISHES,
    &MAILS,
    &EGRESS,
    &IPV4,
    &DISK,
    &ROUTE_53_AWS,
    &ROUTE_53_OTHER,
    &ROUTE_53_OPTION,
    &SYNTHETICS,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_free_costs_nothing_and_only_the_rest_is_paid() {
        assert!(EGRESS.of(100.0).abs() < 1e-9);
        assert!((EGRESS.of(101.0) - 0.09).abs() < 1e-9);
        assert!((WRITES.of(2.0) - 1.25).abs() < 1e-9);
        assert!((MAILS.of(0.04) - 0.06).abs() < 1e-9, "1,000 of 4,000 are free");
    }
}
