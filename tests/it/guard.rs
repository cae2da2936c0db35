//! Instance metadata is out of reach: as a URL that somebody writes, and as a place that an API points to.

use crate::alerts::Receiver;
use crate::apis::{row, row_with};
use crate::daemon::{Home, SOON};
use crate::support::http::{Answer, Server};

#[test]
fn a_redirect_to_instance_metadata_is_a_failed_probe_and_is_not_followed() {
    let (target, receiver) = (Server::start(), Receiver::start());
    // The guard looks at addresses before anything is sent, so these tests send nothing there.
    for (path, to) in [
        ("/v4", "http://169.254.169.254/latest/meta-data/"),
        ("/mapped", "http://[::ffff:169.254.169.254]/latest/"),
        ("/odd", "http://0xa9fea9fe/"),
    ] {
        target.set(path, Answer::Redirect(to.into()));
    }
    let follow = "max_redirects = 1\ntimeout_seconds = 30";
    let apis: String =
        ["v4", "mapped", "odd"].iter().map(|id| row_with(id, &target.url(&format!("/{id}")), follow)).collect();
    let home = Home::new(&receiver.settings(), &apis);
    let daemon = home.run();
    for api_id in ["v4", "mapped", "odd"] {
        let down = receiver.wait_for(api_id, "down", SOON);
        let reason = down.text("reason");
        assert!(reason.contains("169.254.169.254") && reason.contains("never"), "{api_id}: {reason}");
        let state = home.wait_for_state(api_id, "a last probe", |state| state["last_error"].is_string());
        // A connection that was tried would have timed out, or been refused, or found something.
        assert!(state["last_status_code"].is_null(), "{state}");
    }
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn a_row_or_an_argument_that_names_instance_metadata_is_refused() {
    let target = Server::start();
    let urls = ["http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://2852039166/"];
    let rows: String = urls.iter().enumerate().map(|(n, url)| row(&format!("m{n}"), url)).collect();
    let home = Home::new("", &(rows + &row("good", &target.url("/good"))));
    let argument = home.once(&["http://169.254.170.2/v2/credentials"]);
    assert_eq!(argument.code, Some(64), "{}", argument.log);
    assert!(argument.log.contains("http://169.254.170.2/v2/credentials"), "{}", argument.log);
    assert!(argument.log.contains("which is never probed"), "{}", argument.log);
    assert!(home.states().is_empty(), "nothing runs before what was written here and now is mended");

    let ended = home.once(&[]);
    assert_eq!(ended.code, Some(64), "{}", ended.log);
    let refused =
        ended.lines().iter().filter(|l| l["message"].as_str().unwrap_or_default().starts_with("refused: ")).count();
    assert_eq!(refused, 3, "{}", ended.log);
    assert_eq!(ended.log.matches("which is never probed").count(), 3, "{}", ended.log);
    assert_eq!(home.states().into_keys().collect::<Vec<_>>(), ["good"]);
}
