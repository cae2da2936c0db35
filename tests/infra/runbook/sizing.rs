//! The sizes and the package that docs/operations.md names are those of the code.

use std::time::Duration;

use api_health::cost::bill::Workload;

use super::logs::table;
use super::page::{OPERATIONS, marked};

/// A second, with so many APIs that are probed in each.
fn instance(probes_per_second: u64) -> &'static str {
    // Slow ones, so that the count of APIs and the rate are not the same number.
    Workload::of(probes_per_second * 10, Duration::from_secs(10)).instance_that_should_do()
}

#[test]
fn the_table_of_sizes_is_what_the_cost_command_reckons_with() {
    let rows = table("sizes");
    assert_eq!(rows.len(), 3);
    let mut from = 1;
    for row in rows {
        let name = row[1].trim_matches('`');
        match row[0].strip_prefix("up to ") {
            Some(rate) => {
                let rate: u64 = rate.parse().unwrap();
                assert_eq!([instance(from), instance(rate)], [name, name], "{row:?}");
                from = rate + 1;
            }
            None => assert_eq!((row[0].as_str(), [instance(from), instance(from * 100)]), ("more", [name, name])),
        }
    }
    // `cost` shows the same.
    assert_eq!(Workload::of(10_000, Duration::from_secs(60)).instance_that_should_do(), instance(10_000 / 60));
}

#[test]
fn the_variables_name_the_package_that_is_built_and_variables_of_the_module() {
    let tfvars = marked(OPERATIONS, "tfvars").concat();
    let package = format!("target/packages/api-health-{}-1.aarch64.rpm\"", env!("CARGO_PKG_VERSION"));
    assert!(tfvars.contains(&package), "{package}: {tfvars}");
    let known = include_str!("../../../infra/terraform/variables.tf");
    for line in tfvars.lines().filter(|line| !line.starts_with('#') && line.contains(" = ")) {
        let name = line.split(' ').next().unwrap();
        assert!(known.contains(&format!("variable \"{name}\" {{")), "{line}");
    }
}
