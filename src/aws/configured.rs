//! What somebody configured as the source of credentials, beside the role of the machine.
//!
//! The SDK goes on to EC2's metadata service also when a profile that was named is not there, or a key came without its
//! secret. A start that waits for that service because of it would wait for ever, and blame the wrong thing. So it waits only
//! where nothing of this was configured; what was is named. Names of variables and profiles are told, and no value of a key.

use aws_config::profile::{self, ProfileSet};
use aws_types::os_shim_internal::{Env, Fs};

/// Profiles that name each other as their source are followed for so many steps; the SDK refuses a circle.
const STEPS_MAX: usize = 16;

/// The keys of a profile that say where credentials come from.
const KEYS: [&str; 10] = [
    "aws_access_key_id",
    "aws_secret_access_key",
    "role_arn",
    "source_profile",
    "credential_source",
    "credential_process",
    "web_identity_token_file",
    "sso_session",
    "sso_start_url",
    "login_session",
];

/// What is configured, in words that stand after "configured is"; `None` if only the metadata service is left.
pub(crate) async fn source() -> Option<String> {
    source_in(&Env::real(), &Fs::real()).await
}

async fn source_in(env: &Env, fs: &Fs) -> Option<String> {
    // Blank is as good as not there, as the SDK reads them.
    let set = |name: &str| env.get(name).ok().filter(|value| !value.trim().is_empty());
    let is_set = |name: &str| set(name).is_some();
    match (is_set("AWS_ACCESS_KEY_ID"), is_set("AWS_SECRET_ACCESS_KEY")) {
        (true, true) => return Some("AWS_ACCESS_KEY_ID in the environment".into()),
        (true, false) => return Some("AWS_ACCESS_KEY_ID in the environment, without AWS_SECRET_ACCESS_KEY".into()),
        (false, true) => return Some("AWS_SECRET_ACCESS_KEY in the environment, without AWS_ACCESS_KEY_ID".into()),
        (false, false) => {}
    }
    let named = set("AWS_PROFILE");
    let name = named.clone().unwrap_or_else(|| "default".into());
    let title = match &named {
        Some(name) => format!("the profile {name:?} (AWS_PROFILE)"),
        None => "the profile \"default\" of the AWS config files".into(),
    };
    #[expect(deprecated, reason = "its new home is a crate that nothing else here needs")]
    let files = profile::profile_file::ProfileFiles::default();
    match profile::load(fs, env, &files, None).await {
        Err(_) => return Some("a profile in the AWS config files, which cannot be read".into()),
        Ok(profiles) => match of_profile(&profiles, &name) {
            OfProfile::Missing if named.is_some() => {
                return Some(format!("{title}, which is not in the AWS config files"));
            }
            OfProfile::Missing | OfProfile::Nothing => {}
            OfProfile::Something(key) => return Some(format!("{title}, by its {key}")),
            OfProfile::MissingSource(source) => {
                return Some(format!(
                    "{title}, with the source_profile {source:?}, which is not in the AWS config files"
                ));
            }
        },
    }
    ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"]
        .into_iter()
        .find(|name| is_set(name))
        .map(|name| format!("{name} in the environment"))
}

/// What a profile says of credentials.
enum OfProfile {
    Missing,
    /// Nothing, or that they come from the metadata service.
    Nothing,
    Something(&'static str),
    MissingSource(String),
}

fn of_profile(profiles: &ProfileSet, name: &str) -> OfProfile {
    let Some(mut profile) = profiles.get_profile(name) else { return OfProfile::Missing };
    for _ in 0..STEPS_MAX {
        let Some(key) = KEYS.into_iter().find(|key| profile.get(key).is_some()) else { return OfProfile::Nothing };
        if profile.get("credential_source").is_some_and(|from| from.eq_ignore_ascii_case("Ec2InstanceMetadata")) {
            return OfProfile::Nothing;
        }
        // A profile that is its own source has its keys itself.
        let source = profile.get("source_profile").filter(|source| *source != profile.name());
        let Some(source) = source else { return OfProfile::Something(key) };
        let Some(next) = profiles.get_profile(source) else { return OfProfile::MissingSource(source.to_owned()) };
        profile = next;
    }
    OfProfile::Something("source_profile")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn found(env: &[(&str, &str)], config: &str) -> Option<String> {
        let env: Vec<(&str, &str)> = env.iter().copied().chain([("HOME", "/home/me")]).collect();
        let fs = Fs::from_slice(&[("/home/me/.aws/config", config)]);
        source_in(&Env::from_slice(&env), &fs).await
    }

    #[tokio::test]
    async fn what_is_configured_is_named_and_only_the_metadata_service_is_waited_for() {
        let region = "[default]\nregion = eu-central-1\n";
        let ec2 = "[profile ops]\nrole_arn = arn:x\ncredential_source = Ec2InstanceMetadata\n";
        for (env, config) in [
            (&[][..], ""),
            (&[], region),
            (&[("AWS_ACCESS_KEY_ID", " "), ("AWS_PROFILE", "")], region),
            (&[("AWS_PROFILE", "ops")], ec2),
            (&[("AWS_PROFILE", "a")], &format!("[profile a]\nrole_arn = arn:y\nsource_profile = ops\n{ec2}")),
            (&[], "[profile other]\ncredential_process = /bin/false\n"),
        ] {
            assert_eq!(found(env, config).await, None, "{env:?} {config}");
        }
        let ops = &[("AWS_PROFILE", "ops")][..];
        for (env, config, words) in [
            (
                &[("AWS_ACCESS_KEY_ID", "AKIA")][..],
                "",
                "AWS_ACCESS_KEY_ID in the environment, without AWS_SECRET_ACCESS_KEY",
            ),
            (ops, region, "the profile \"ops\" (AWS_PROFILE), which is not in the AWS config files"),
            (
                ops,
                "[profile ops]\nrole_arn = arn:x\nsource_profile = base\n",
                "the profile \"ops\" (AWS_PROFILE), with the source_profile \"base\", which is not in the AWS config files",
            ),
            (ops, "[profile ops]\nsso_session = x\n", "the profile \"ops\" (AWS_PROFILE), by its sso_session"),
            (
                &[],
                "[default]\ncredential_process = /bin/false\n",
                "the profile \"default\" of the AWS config files, by its credential_process",
            ),
            (&[], "[default\n", "a profile in the AWS config files, which cannot be read"),
            (&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/token")], "", "AWS_WEB_IDENTITY_TOKEN_FILE in the environment"),
        ] {
            assert_eq!(found(env, config).await.as_deref(), Some(words), "{env:?} {config}");
        }
        let circle =
            "[profile ops]\nrole_arn = x\nsource_profile = b\n[profile b]\nrole_arn = y\nsource_profile = ops\n";
        assert!(found(ops, circle).await.is_some());
    }

    #[tokio::test]
    async fn profiles_that_go_round_in_a_circle_are_followed_up_to_a_bound() {
        let circle =
            "[profile a]\nrole_arn = arn:x\nsource_profile = b\n[profile b]\nrole_arn = arn:y\nsource_profile = a\n";
        let said = found(&[("AWS_PROFILE", "a")], circle).await;
        assert!(said.is_some(), "it is configured, and waiting does not mend it");
    }
}
