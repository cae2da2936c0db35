//! The crontabs of docs/cron.md: each job is run with the environment of its crontab and what cron adds, and nothing else.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::page::{CRON, marked};
use super::shell::Shell;
use crate::skip::skip;
use crate::support::http::Answer;

/// The longest wait for what should happen within a few seconds: the machine may be busy.
const SOON: Duration = Duration::from_secs(60);

/// A job as cron would start it.
struct Job {
    environment: Vec<(String, String)>,
    line: String,
}

impl Job {
    /// Reads a crontab of `/etc/cron.d`: settings, and one line of five fields, a user and a command.
    fn read(crontab: &str, shell: &Shell) -> Self {
        let folder = shell.folder().display().to_string();
        let mut job = Self { environment: Vec::new(), line: String::new() };
        for line in crontab.lines().filter(|line| !line.starts_with('#')) {
            match line.split_once('=') {
                Some((name, value)) if !name.contains(' ') => job.environment.push((name.into(), value.into())),
                _ => {
                    let words: Vec<&str> = line.split(' ').collect();
                    assert_eq!((&words[..5], words[5]), (&["*/2", "*", "*", "*", "*"][..], "api-health"), "{line}");
                    assert!(!line.contains('%'), "cron would cut it there: {line}");
                    job.line = words[6..].join(" ");
                }
            }
        }
        job.line = job
            .line
            .replace("/usr/bin/api-health", env!("CARGO_BIN_EXE_api-health"))
            .replace("/var/lib/api-health", &folder)
            .replace("/etc/api-health", &folder);
        job
    }

    /// The same without the lock.
    fn without_flock(&self) -> Self {
        let at = self.line.find(env!("CARGO_BIN_EXE_api-health")).unwrap();
        Self { environment: self.environment.clone(), line: self.line[at..].to_owned() }
    }

    fn start(&self, shell: &Shell) -> Child {
        let set = |name: &str| self.environment.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        let mut command = Command::new(set("SHELL").unwrap());
        command.args(["-c", &self.line]).current_dir(shell.folder()).env_clear();
        command.env("HOME", shell.folder()).env("LOGNAME", "api-health").envs(self.environment.clone());
        // What an instance has by its role.
        command.envs(shell.role());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn run(&self, shell: &Shell) -> (Option<i32>, String) {
        ended(self.start(shell))
    }
}

/// The exit code, and what cron would mail.
fn ended(job: Child) -> (Option<i32>, String) {
    let ended = job.wait_with_output().unwrap();
    let mail = String::from_utf8(ended.stdout).unwrap() + &String::from_utf8(ended.stderr).unwrap();
    (ended.status.code(), mail)
}

#[allow(clippy::disallowed_methods, reason = "a test waits for a real process")]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn put_row(shell: &Shell, api_id: &str, path: &str) {
    let url = shell.server.url(path);
    shell.run(&format!(
        "aws dynamodb put-item --table-name api_health_configs --item \
         '{{\"api_id\": {{\"S\": \"{api_id}\"}}, \"url\": {{\"S\": \"{url}\"}}, \"recheck_seconds\": {{\"N\": \"1\"}}, \
         \"timeout_seconds\": {{\"N\": \"60\"}}}}'"
    ));
}

fn status(shell: &Shell, api_id: &str) -> String {
    let key = format!("'{{\"api_id\": {{\"S\": \"{api_id}\"}}}}'");
    let get = "aws dynamodb get-item --table-name api_health_states --output text --query Item.status.S --key";
    shell.run(&format!("{get} {key}")).trim().to_owned()
}

#[test]
fn the_job_of_the_page_tells_an_outage_with_crons_bare_environment_and_rounds_do_not_pile_up() {
    let shell = match Shell::new("api-health") {
        Ok(shell) => shell,
        Err(why) => return skip("the_job_of_the_page_tells_an_outage_with_crons_bare_environment", &why),
    };
    let job = Job::read(&marked(CRON, "crontab")[0], &shell);
    shell.run(
        "aws sns subscribe --protocol email --notification-endpoint ops@example.com \
         --topic-arn arn:aws:sns:eu-central-1:123456789012:api-health",
    );
    put_row(&shell, "shop", "/shop");
    assert_eq!(job.run(&shell), (Some(0), String::new()), "cron mails nothing");
    assert_eq!(status(&shell, "shop"), "up");

    put_row(&shell, "shop", "/no-such-page");
    let (code, mail) = job.run(&shell);
    let line: Value = serde_json::from_str(mail.trim()).unwrap_or_else(|_| panic!("one line: {mail}"));
    assert_eq!((code, &line["message"], &line["to"]), (Some(0), &"status changed".into(), &"down".into()), "{mail}");
    assert_eq!(status(&shell, "shop"), "down");
    assert_eq!(shell.subjects(), ["DOWN shop: status 404 is not in 2xx"]);
    assert_eq!(job.run(&shell), (Some(0), String::new()), "and it is told once");

    // A round that takes long, and one that comes meanwhile.
    shell.server.set("/slow", Answer::Hang);
    put_row(&shell, "slow", "/slow");
    let before = shell.server.hits("/no-such-page");
    let long = job.start(&shell);
    let is_asked = || shell.server.hits("/slow") > 0 && shell.server.hits("/no-such-page") > before;
    wait_until("both APIs are asked", is_asked);
    let probes = shell.server.hits("/no-such-page");
    assert_eq!(job.run(&shell), (Some(0), String::new()), "it goes without a word");
    assert_eq!((shell.server.hits("/slow"), shell.server.hits("/no-such-page")), (1, probes), "and asks nobody");

    // Without the lock it is refused while the first one owns the APIs.
    shell.server.set("/both", Answer::Status(500));
    put_row(&shell, "both", "/both");
    let (code, mail) = job.without_flock().run(&shell);
    assert!(code == Some(69) && mail.contains("another api-health shares this store"), "{code:?} {mail}");
    assert_eq!((shell.server.hits("/both"), shell.subjects().len()), (0, 0));
    shell.server.refuse(); // which ends the long one's probe
    let (code, mail) = ended(long);
    assert_eq!(code, Some(0), "{mail}");
}

#[test]
fn without_dynamodb_the_mail_is_the_alert_and_a_second_round_is_refused() {
    let shell = match Shell::new("none") {
        Ok(shell) => shell,
        Err(why) => return skip("without_dynamodb_the_mail_is_the_alert_and_a_second_round_is_refused", &why),
    };
    let job = Job::read(&marked(CRON, "crontab")[1], &shell);
    shell.server.set("/slow", Answer::Hang);
    let rows = ["shop", "slow"].map(|id| {
        let url = shell.server.url(&format!("/{id}"));
        format!("[[api]]\napi_id = \"{id}\"\nurl = \"{url}\"\nrecheck_seconds = 1\ntimeout_seconds = 60\n")
    });
    std::fs::write(shell.folder().join("api-health.toml"), "[apis]\nfile = \"apis.toml\"\n").unwrap();
    std::fs::write(shell.folder().join("apis.toml"), &rows[0]).unwrap();
    assert_eq!(job.run(&shell), (Some(0), String::new()));
    shell.server.set("/shop", Answer::Status(503));
    let (code, mail) = job.run(&shell);
    assert!(code == Some(0) && mail.starts_with("DOWN shop"), "{mail}");

    std::fs::write(shell.folder().join("apis.toml"), rows.concat()).unwrap();
    let long = job.start(&shell);
    wait_until("the slow API is asked", || shell.server.hits("/slow") > 0);
    let (code, mail) = job.without_flock().run(&shell);
    assert!(code == Some(69) && mail.contains("is in use"), "{mail}");
    assert_eq!(job.run(&shell), (Some(0), String::new()));
    shell.server.refuse();
    assert_eq!(ended(long).0, Some(0));
}
