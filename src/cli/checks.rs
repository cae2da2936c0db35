//! Every check of `doctor`, in one table: its name, which scripts may rely on, what it needs, and what it looks at, which the help prints.

/// Where the packages put the settings, and the unit reads them.
pub(super) const SETTINGS_FILE: &str = "/etc/api-health/api-health.toml";

/// The enum, and the table beside it in its order.
macro_rules! checks {
    ($($check:ident $name:literal [$($need:ident)*] $about:literal)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Check { $($check,)* }

        const ALL: &[(Check, &str, &[Check], &str)] =
            &[$((Check::$check, $name, &[$(Check::$need,)*], $about),)*];
    };
}

// All of them, in the order of the report and of the help. Of each its name, the checks that it needs (where one of those finds a
// fault, this one is not looked at, or what it finds is no fault of its own), and what it looks at. What AWS is asked needs us to be
// somebody there, and a way to it.
checks! {
    Settings "settings" [] "settings file and environment: every fault at once"
    Proxy "proxy" [] "by way of which proxy everything goes, and where that is written, if anywhere"
    User "user" [] "user and host; whether the daemon runs as somebody else"
    SettingsFile "settings_file" [] "no secret written in it is readable for everybody"
    ApisFile "apis_file" [] "the same, of each file of [[api]] tables"
    EnvFile "env_file" [] "the same, of --env-file, or of /etc/api-health/env where it is"
    SecretFiles "secret_files" [] "the folder of credentials below /etc/api-health: its owner's alone"
    ExtraRoots "extra_roots" [] "the PEM file of further certificate authorities"
    OpenFiles "open_files" [] "enough file descriptors for the probes under way at once"
    SqliteFile "sqlite_file" [] "writable, not for everybody, and its disk has room (16 KiB are tried there)"
    Daemon "daemon" [] "which process of this machine watches by the store just now"
    Page "page" [] "whether it answers, or its port is free; who may look from afar"
    Region "region" [] "which, and where it came from"
    Credentials "credentials" [] "found, by which way, until when"
    DynamodbEndpoint "dynamodb_endpoint" [] "DNS, TCP, TLS and an answer to GET /"
    SnsEndpoint "sns_endpoint" [] "the same, of SNS in the topic's region"
    Clock "clock" [] "against the Date of those answers: warns from 60 s, a fault from 300 s"
    ConfigsTable "configs_table" [Credentials Region DynamodbEndpoint] "DynamoDB: there, active, key api_id (S); apis reads it"
    StatesTable "states_table" [Credentials Region DynamodbEndpoint] "DynamoDB: there, active, key api_id (S); states reads it"
    StatesWrite "states_write" [StatesTable] "a put and a delete whose condition never holds: nothing is written"
    HistoryTable "history_table" [Credentials Region DynamodbEndpoint] "DynamoDB: there, keys api_id (S) and slot (S), TTL, read and put; warns only"
    Topic "topic" [Credentials SnsEndpoint] "there, and of which kind"
    Subscriptions "subscriptions" [Topic] "who hears an alert, and who has not confirmed yet"
    Publish "publish" [Topic] "not refused for permission: a message that SNS refuses for its form (no proof)"
    Webhook "webhook" [] "DNS, TCP and TLS to the host of each channel that is posted to; nothing is sent"
    Apis "apis" [ConfigsTable] "every configured API is read and valid"
    ApiHosts "api_hosts" [] "DNS of hosts of some APIs, ten at most; who tells a lost network from outages"
    States "states" [StatesTable] "what is stored can be read; damaged records and owed alerts are counted"
    Heartbeat "heartbeat" [States] "when the daemon last wrote that it watches, and which APIs were late"
    TestMessage "test_message" [] "with --send-test-message: a test alert through every channel"
}

impl Check {
    /// The name, in lines and in JSON.
    pub(super) const fn name(self) -> &'static str {
        ALL[self as usize].1
    }

    /// The checks without which it cannot be well.
    pub(super) const fn needs(self) -> &'static [Self] {
        ALL[self as usize].2
    }
}

fn list() -> String {
    let width = ALL.iter().map(|(_, name, ..)| name.len()).max().unwrap_or_default();
    ALL.iter().map(|(_, name, _, about)| format!("  {name:width$}  {about}\n")).collect()
}

/// What `doctor --help` says below the options.
pub(super) fn help() -> String {
    format!(
        "\
Checks, as far as the settings need them (with SQLite and a webhook, none of AWS):
{}
It leaves nothing behind: a file of 16 KiB is made and removed, writes and a message are made so that
AWS refuses them, and a database is opened to be read. Region and credentials are looked for first,
for 25 s at most. Then each check ends within 15 s (test messages within 40 s), and all of them run
but those that need one that found a fault. A line begins with ok, !! (a warning: it works), xx (a fault) or -- (not
checked, because of another fault); what to do stands below it, after ->.

To look as the daemon does, be its user, and have its environment:
  sudo -u api-health api-health --settings {settings} \\
      doctor --env-file /etc/api-health/env
Of this shell's own variables, --env-file passes on no more than PATH, HOME, the user's name, those
of the terminal, and STATE_DIRECTORY and CREDENTIALS_DIRECTORY; without the former it is
/var/lib/api-health, where that folder is. The environment of a daemon that runs:
  sudo cat /proc/$(systemctl show -P MainPID api-health)/environ |
      sudo -u api-health api-health --settings {settings} \\
      doctor --env-file -
Or as a unit of its own:
  systemd-run --pipe --wait --collect --uid=api-health \\
      -p EnvironmentFile=-/etc/api-health/env -p StateDirectory=api-health \\
      api-health --settings {settings} doctor

Exit codes: 0 no fault (there may be warnings), 69 a fault, 64 the settings or the command line
are bad.

With --json, every name is stable:
  version, summary {{ ok, warn, fault, not_checked }},
  findings[] {{ check, result (ok, warn, fault, not_checked), what, todo (or null) }}
A check may have several findings. With --send-test-message, the terminal's alert goes to standard
error then.

Examples:
  api-health doctor
  api-health doctor --send-test-message
  api-health doctor --json | jq -r '.findings[] | select(.result == \"fault\") | .todo'",
        list(),
        settings = SETTINGS_FILE,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_stands_where_its_check_looks_for_it_and_no_name_twice() {
        for (nth, (check, name, ..)) in ALL.iter().enumerate() {
            assert_eq!((*check as usize, check.name()), (nth, *name));
            assert_eq!(ALL.iter().filter(|(_, other, ..)| other == name).count(), 1, "{name}");
        }
    }
}
