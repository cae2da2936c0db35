//! Every check there is: its name, which scripts may rely on, and what it looks at, which the help prints.

/// One check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    Settings,
    User,
    SettingsFile,
    ApisFile,
    EnvFile,
    SecretFiles,
    ExtraRoots,
    OpenFiles,
    SqliteFile,
    Daemon,
    Region,
    Credentials,
    DynamodbEndpoint,
    SnsEndpoint,
    Clock,
    ConfigsTable,
    StatesTable,
    StatesWrite,
    Topic,
    Subscriptions,
    Publish,
    Webhook,
    Apis,
    ApiHosts,
    States,
    Heartbeat,
    TestMessage,
}

impl Check {
    /// All of them, in the order of the help.
    pub(super) const ALL: [Self; 27] = [
        Self::Settings,
        Self::User,
        Self::SettingsFile,
        Self::ApisFile,
        Self::EnvFile,
        Self::SecretFiles,
        Self::ExtraRoots,
        Self::OpenFiles,
        Self::SqliteFile,
        Self::Daemon,
        Self::Region,
        Self::Credentials,
        Self::DynamodbEndpoint,
        Self::SnsEndpoint,
        Self::Clock,
        Self::ConfigsTable,
        Self::StatesTable,
        Self::StatesWrite,
        Self::Topic,
        Self::Subscriptions,
        Self::Publish,
        Self::Webhook,
        Self::Apis,
        Self::ApiHosts,
        Self::States,
        Self::Heartbeat,
        Self::TestMessage,
    ];

    /// The name, in lines and in JSON.
    pub(super) const fn name(self) -> &'static str {
        self.both().0
    }

    /// What it looks at.
    pub(super) const fn about(self) -> &'static str {
        self.both().1
    }

    const fn both(self) -> (&'static str, &'static str) {
        match self {
            Self::Settings => ("settings", "settings file and environment: every fault at once"),
            Self::User => ("user", "user and host; whether the daemon runs as somebody else"),
            Self::SettingsFile => ("settings_file", "no secret written in it is readable for everybody"),
            Self::ApisFile => ("apis_file", "the same, of the file of [[api]] tables"),
            Self::EnvFile => ("env_file", "the same, of --env-file, or of /etc/api-health/env where it is"),
            Self::SecretFiles => ("secret_files", "folders of credentials: readable for us, not for everybody"),
            Self::ExtraRoots => ("extra_roots", "the PEM file of further certificate authorities"),
            Self::OpenFiles => ("open_files", "enough file descriptors for the probes under way at once"),
            Self::SqliteFile => {
                ("sqlite_file", "writable, not for everybody; an empty file is made in its folder and removed")
            }
            Self::Daemon => ("daemon", "which process of this machine watches by the store just now"),
            Self::Region => ("region", "which, and where it came from"),
            Self::Credentials => ("credentials", "found, by which way, until when"),
            Self::DynamodbEndpoint => ("dynamodb_endpoint", "DNS, TCP, TLS and an answer to GET /"),
            Self::SnsEndpoint => ("sns_endpoint", "the same, of SNS in the topic's region"),
            Self::Clock => ("clock", "against the Date of those answers: warns from 60 s, a fault from 300 s"),
            Self::ConfigsTable => ("configs_table", "DynamoDB: there, active, key api_id (S), readable"),
            Self::StatesTable => ("states_table", "DynamoDB: there, active, key api_id (S)"),
            Self::StatesWrite => {
                ("states_write", "a put and a delete whose condition can never hold, so nothing is written")
            }
            Self::Topic => ("topic", "there, and of which kind"),
            Self::Subscriptions => ("subscriptions", "who hears an alert, and who has not confirmed yet"),
            Self::Publish => {
                ("publish", "not refused for permission: a message that SNS refuses for its form (no proof)")
            }
            Self::Webhook => ("webhook", "DNS, TCP and TLS to its host; nothing is sent"),
            Self::Apis => ("apis", "every configured API is read and valid"),
            Self::ApiHosts => ("api_hosts", "DNS of the hosts of some configured APIs, ten at most"),
            Self::States => ("states", "what is stored can be read; damaged records and owed alerts are counted"),
            Self::Heartbeat => ("heartbeat", "when the daemon last wrote that it watches, and which APIs were late"),
            Self::TestMessage => ("test_message", "with --send-test-message: a test alert through every channel"),
        }
    }

    /// The list of the help.
    pub(super) fn help() -> String {
        let width = Self::ALL.iter().map(|check| check.name().len()).max().unwrap_or_default();
        Self::ALL.iter().map(|check| format!("  {:width$}  {}\n", check.name(), check.about())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_the_help_has_them_all() {
        let mut names = Check::ALL.map(Check::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Check::ALL.len());
        assert!(names.iter().all(|name| Check::help().contains(&format!("  {name} "))));
    }
}
