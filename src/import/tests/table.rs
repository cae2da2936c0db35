//! Lines of tables.

use super::*;

fn mapped(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(field, column)| ((*field).to_owned(), (*column).to_owned())).collect()
}

#[test]
fn lines_of_a_table_become_rows() {
    let import = read(Source::Csv, &[file("csv", "uptimerobot.csv")], &environment, &[]).unwrap();
    check_sum(&import, "uptimerobot.csv");
    assert_eq!(
        row(&import, "shop-checkout"),
        serde_json::json!({
            "api_id": "shop-checkout", "name": "Shop, checkout", "interval_seconds": 60,
            "url": "https://shop.example.org/checkout?token=${env:SHOP_CHECKOUT_TOKEN}",
            "assert": ["body contains Add \"to\" cart"], "basic_auth": "monitor:${env:SHOP_CHECKOUT_PASSWORD}",
        })
    );
    let closed = row(&import, "maintenance-page");
    assert_eq!((&closed["assert"][0], &closed["enabled"]), (&"body lacks We are closed".into(), &false.into()));
    assert_eq!(row(&import, "database")["url"], "tcp://db.example.org:5432");
    assert!(said(&import, "row 5:").starts_with("lost: ping is not asked"));
    assert!(said(&import, "row 1:Alert Contacts").starts_with("lost: nothing is known"));

    let pairs = mapped(&[("url", "Website"), ("name", "Title"), ("tags", "Team")]);
    let import = read(Source::Csv, &[file("csv", "semicolons.csv")], &environment, &pairs).unwrap();
    check_sum(&import, "semicolons.csv");
    assert_eq!(
        row(&import, "home"),
        serde_json::json!({
            "api_id": "home", "name": "Home", "url": "https://www.example.org", "interval_seconds": 300,
            "method": "HEAD", "tags": ["web", "eu"],
        })
    );
    assert_eq!(said(&import, "row 2:"), "lost: it has no URL");
    for (text, pairs, why) in [
        ("a,b\n1,2\n", mapped(&[]), "has no column that is known to hold URLs"),
        ("a,b\n1,2\n", mapped(&[("url", "c")]), "has no column c"),
    ] {
        let bad = File { name: "x.csv".into(), content: Content::Bytes(text.into()) };
        assert_eq!(read(Source::Csv, &[bad], &environment, &pairs).unwrap_err()[0].why, why);
    }
}
