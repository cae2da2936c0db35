//! What was found once, each with the fault that it was.

use api_health::configs::{file, url};
use api_health_core::Timestamp;
use api_health_core::schedule::{CronFault, Schedule};

#[test]
fn a_url_that_grows_when_it_is_sent_is_refused() {
    // Stored fifty times in one record, this passed DynamoDB's 400 KB.
    let text = format!("https://a.test/{}", "🦀".repeat(2_000));
    assert!(url::check(&text).unwrap_err().why.contains("24015 characters in the form in which it is sent"));
}

#[test]
fn a_file_that_is_no_toml_at_all_takes_no_gigabytes() {
    // 2 MB of it took 9 s and 830 MB: the parser keeps every fault that it finds.
    let text = "=\n".repeat(1_000_000);
    let error = crate::soon(|| file::parse("t", &text).unwrap_err()).to_string();
    assert!(error.starts_with("t, line 1, column 1: the text is not TOML ("), "{error}");
}

#[test]
fn a_status_set_that_is_none_is_not_quoted_without_an_end() {
    let mut fields = crate::rows::good();
    fields.insert("expected_status".into(), "ok".repeat(1_000_000).into());
    let faults = crate::rules().check(&crate::rows::rows(vec![fields])[0]).unwrap_err().faults;
    assert!(faults.len() == 1 && faults[0].to_string().len() < 1_000, "{} bytes", faults[0].to_string().len());
}

#[test]
fn a_field_of_a_cron_expression_with_nothing_beside_its_comma_is_refused_at_once() {
    // The library searched for a minute, for a tick that there is not.
    for expression in [", * 2 */3 */2 2", ",1 * * * *", "1, * * * *", "1,,2 * * * *", "* * , * *"] {
        let refused =
            crate::soon(|| Schedule::cron(expression, "Europe/Berlin", Timestamp::from_millis(1_917_468_854_556)));
        assert!(matches!(refused, Err(CronFault::Expression(why)) if why.contains("comma")), "{expression}");
    }
    let close =
        crate::soon(|| Schedule::cron("0 * 2 */3 */2 2", "Europe/Berlin", Timestamp::from_millis(1_917_468_854_556)));
    crate::soon(|| close.unwrap().longest_gap());
}
