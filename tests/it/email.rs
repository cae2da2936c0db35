//! E-mail from the settings to the mailbox: each recipient is owed, told and refused by itself, through a kill in the middle.

use std::time::Duration;

use serde_json::{Value, json};

use crate::apis::rows;
use crate::daemon::{Home, SOON, wait_for};
use crate::support::http::{Answer, Server};
use crate::support::mail_server::{MailServer, Speaks, header};

/// Attempts come within a minute, and the machine is busy.
const AGAIN: Duration = Duration::from_secs(120);

/// A home with one channel of e-mail, whose password is in a file.
fn home(server: &MailServer, to: &str, apis: &str) -> Home {
    let home = Home::new("", apis);
    home.write("root.pem", &server.root_pem);
    let settings = format!(
        "[apis]\nfile = \"apis.toml\"\n[probe]\nextra_roots = \"root.pem\"\n[[notify.channel]]\nname = \"mail\"\n\
         kind = \"email\"\nurl = \"smtp://localhost:{}\"\nfrom = \"monitor@example.com\"\nto = \"{to}\"\n\
         user = \"monitor\"\npassword = \"${{file:{}}}\"\ntimeout_seconds = 3\n",
        server.port(),
        home.path().join("password").display()
    );
    home.write("api-health.toml", &settings);
    home
}

/// The subjects that this mailbox got, oldest first.
fn subjects(server: &MailServer, address: &str) -> Vec<String> {
    let mails = server.mails().into_iter().filter(|mail| header(mail, "To").as_deref() == Some(address));
    mails.map(|mail| header(&mail, "Subject").unwrap()).collect()
}

/// The alerts that are owed.
fn owed(home: &Home) -> Vec<Value> {
    let ended = home.start(&["alerts", "list", "--json"]).wait(SOON);
    let list: Value = serde_json::from_str(&ended.output).unwrap_or_else(|_| panic!("{ended:?}"));
    list["owed"].as_array().unwrap().clone()
}

#[test]
fn each_recipient_is_owed_told_and_refused_by_itself() {
    let (target, server) = (Server::start(), MailServer::start(Speaks::Starttls));
    let to = "ops@example.com, grey@example.com, nobody@example.com, cut@example.com";
    let home = home(&server, to, &rows(&target, &["shop"]));
    home.write("password", "letmein\n");
    let daemon = home.run();
    home.wait_for_state("shop", "up", |state| state["status"] == "up");
    target.set("/shop", Answer::Status(503));
    wait_for("ops is told", SOON, || (subjects(&server, "ops@example.com").len() == 1).then_some(()));
    wait_for("grey is told", AGAIN, || (subjects(&server, "grey@example.com").len() == 1).then_some(()));
    wait_for("cut is told again", AGAIN, || (subjects(&server, "cut@example.com").len() == 2).then_some(()));
    daemon.wait_for_log("5.1.1 no mailbox here by that name");
    let only_nobody = |owed: &[Value]| owed.len() == 1 && owed[0]["owed_to"] == json!(["mail/nobody@example.com"]);
    let left = wait_for("one alone is left", AGAIN, || Some(owed(&home)).filter(|owed| only_nobody(owed)));
    assert!(left[0].to_string().contains("refused the recipient with 550: 5.1.1"), "{left:?}");
    daemon.kill();

    // The next process knows who was told.
    target.set("/shop", Answer::Status(200));
    let daemon = home.run();
    wait_for("ops is told of the end", SOON, || (subjects(&server, "ops@example.com").len() == 2).then_some(()));
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    assert!(!ended.log.contains("letmein"), "{}", ended.log);
    let subjects = subjects(&server, "ops@example.com");
    assert!(subjects[0].starts_with("DOWN shop: ") && subjects[1].starts_with("UP shop again after "), "{subjects:?}");
    let mails = server.mails();
    let ids = |address: &str| -> Vec<String> {
        let mails = mails.iter().filter(|mail| header(mail, "To").as_deref() == Some(address));
        mails.map(|mail| header(mail, "Message-ID").unwrap()).collect()
    };
    let (ops, cut) = (ids("ops@example.com"), ids("cut@example.com"));
    assert_eq!(cut[0], cut[1], "a repeat has the same id");
    assert_eq!(cut[0], ops[0], "and so has the mail to another");
}

#[test]
fn a_test_alert_goes_to_each_and_a_password_that_changes_counts_for_the_next() {
    let server = MailServer::start(Speaks::Starttls);
    let home = home(&server, "ops@example.com, nobody@example.com", "");
    home.write("password", "hunter2\n");
    let test = |arguments: &[&str]| home.start(&[&["alerts", "test"], arguments].concat()).wait(SOON);
    let ended = test(&["--channel", "mail/ops@example.com"]);
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert!(ended.output.contains("535") && !ended.output.contains("hunter2"), "{ended:?}");
    home.write("password", "letmein\n");
    let ended = test(&[]);
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert!(ended.output.contains("mail/ops@example.com") && ended.output.contains("took it over"), "{ended:?}");
    assert!(ended.output.contains("no mailbox here by that name"), "{ended:?}");
    assert_eq!(server.mails().len(), 1);
    let shown = home.start(&["settings", "show"]).wait(SOON);
    assert!(shown.output.contains("notify.channel.mail/nobody@example.com"), "{shown:?}");
    assert!(!shown.output.contains("letmein"), "{shown:?}");
}
