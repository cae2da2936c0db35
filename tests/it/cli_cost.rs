//! `cost` from outside, and docs/cost.md, whose tables are those of the code.

use super::cli::Place;
use super::cost_page as page;

#[test]
fn the_tables_of_the_page_are_those_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cost.md");
    let text = std::fs::read_to_string(path).unwrap();
    for (name, expected) in [
        ("bills", page::bills()),
        ("fleets", page::fleets()),
        ("choices", page::choices()),
        ("history", page::history()),
        ("prices", page::prices()),
    ] {
        let marker = format!("<!-- table: {name} -->\n");
        let (_, after) = text.split_once(&marker).unwrap_or_else(|| panic!("no {marker}"));
        let found = after.split_once("\n\n").map_or(after, |(table, _)| table);
        assert_eq!(format!("{found}\n"), expected, "this is what must stand there:\n{marker}{expected}");
    }
}

#[test]
fn without_anything_configured_it_reckons_with_a_thousand_apis_a_minute() {
    let place = Place::new();
    let cost = place.json(&["cost"]);
    assert_eq!(
        (&cost["apis"], &cost["apis_are"], &cost["interval_seconds"]),
        (&1_000.into(), &"assumed".into(), &60.0.into())
    );
    assert_eq!(
        (&cost["checkpoint_seconds"], &cost["reload_seconds"], &cost["instance"]),
        (&3_600.into(), &60.into(), &"t4g.nano".into())
    );
    assert_eq!(cost["history_flush_seconds"], 21_600);
    assert!(cost["dynamodb_usd"].as_f64().unwrap() < 1.0, "{cost}");
    let sum: f64 = cost["lines"].as_array().unwrap().iter().map(|line| line["usd"].as_f64().unwrap()).sum();
    assert!((sum - cost["total_usd"].as_f64().unwrap()).abs() < 1e-6);
    let help = place.ok(&["cost", "--help"]);
    for (name, _) in cost.as_object().unwrap() {
        assert!(name == "schema" || help.contains(name.as_str()), "{name} is not in the help");
    }
    let ran = place.run(&["cost"]);
    assert!(ran.out.starts_with("1,000 APIs (assumed), each every 1 min; "), "{}", ran.out);
    for word in [
        "DynamoDB: writes of states",
        "total",
        "Route 53, any endpoint, HTTPS",
        "CloudWatch Synthetics",
        "not confirmed",
        "requests to KMS",
        "the bucket of a package",
    ] {
        assert!(ran.out.contains(word), "{word}: {}", ran.out);
    }
    assert!(ran.err.contains("SQLite"), "{}", ran.err);
    assert_eq!(place.files(), Vec::<String>::new(), "and no store is made");
}

#[test]
fn what_is_configured_is_reckoned_with_and_what_is_given_wins() {
    let place = Place::new();
    for (id, set) in [
        ("a", "interval_seconds=30"),
        ("b", "interval_seconds=30"),
        ("c", "schedule=*/5 * * * *"),
        ("d", "enabled=false"),
    ] {
        place.ok(&["apis", "add", "--url", "http://127.0.0.1:1/", "--id", id, "--set", set]);
    }
    let cost = place.json(&["cost"]);
    assert_eq!((&cost["apis"], &cost["apis_are"]), (&3.into(), &"configured".into()), "{cost}");
    assert!(cost["interval_seconds"].is_null());
    assert!((cost["probes"].as_f64().unwrap() - 2_628_000.0 * (2.0 / 30.0 + 1.0 / 300.0)).abs() < 1.0, "{cost}");
    let given = place.json(&[
        "cost",
        "--apis",
        "100000",
        "--interval-seconds",
        "10",
        "--checkpoint-seconds",
        "60",
        "--reload-seconds",
        "300",
    ]);
    assert_eq!(
        (&given["apis"], &given["instance"], &given["checkpoint_seconds"]),
        (&100_000.into(), &"c7g.large".into(), &60.into())
    );
    assert!(given["dynamodb_usd"].as_f64().unwrap() > cost["dynamodb_usd"].as_f64().unwrap());
    let shared = place.json(&["cost", "--workers", "2"]);
    assert_eq!((&cost["workers"], &shared["workers"]), (&1.into(), &2.into()));
    let of = |bill: &serde_json::Value, item: &str| {
        let lines = bill["lines"].as_array().unwrap();
        lines.iter().find(|line| line["item"] == item).unwrap()["usd"].as_f64().unwrap()
    };
    assert!((of(&shared, "ec2_instance") - 2.0 * of(&cost, "ec2_instance")).abs() < 1e-6, "{shared}");
    assert!(of(&shared, "dynamodb_lease_renewals") > 1.0 && of(&cost, "dynamodb_lease_renewals") == 0.0, "{shared}");
    assert!(place.ok(&["cost", "--workers", "2"]).contains(", shared by 2 workers; "));
    for refused in ["0", "21"] {
        assert_eq!(place.run(&["cost", "--workers", refused]).code, 64);
    }
    assert_eq!(place.json(&["cost", "--instance", "t4g.micro"])["instance"], "t4g.micro");
    assert_eq!(place.run(&["cost", "--instance", "m1.small"]).code, 64);
    assert_eq!(place.run(&["cost", "--apis", "0"]).code, 64);
}
