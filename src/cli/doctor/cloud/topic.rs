//! The topic: there, heard by somebody, and open to us, without a message to anybody.

use std::error::Error;

use aws_config::SdkConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::config::http::HttpResponse;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sns::types::Subscription;

use crate::cli::checks::Check;
use crate::cli::doctor::report::Finding;
use crate::cli::text;
use crate::settings::SnsSettings;

/// Pages of subscriptions that are read: a page has 100.
const PAGES_MAX: usize = 10;
/// Subscriptions that are named in one finding.
const NAMED_MAX: usize = 5;
/// SNS takes a subject of 100 characters at most; this one it must refuse.
const SUBJECT_CHARS: usize = 120;

/// The topic that is to be looked at.
pub(super) struct TopicCheck<'a> {
    client: Client,
    sns: &'a SnsSettings,
    /// Whether somebody else is told as well.
    has_other_channels: bool,
}

/// What an error means here.
enum TopicError {
    NotThere,
    Denied,
    Other(String),
}

impl<'a> TopicCheck<'a> {
    /// `config` has the topic's region.
    pub(super) fn new(config: &SdkConfig, sns: &'a SnsSettings, has_other_channels: bool) -> Self {
        Self { client: Client::new(config), sns, has_other_channels }
    }

    /// Three findings: the topic, its subscriptions, the permission to publish.
    pub(super) async fn look(&self) -> Vec<Finding> {
        let (topic, subscriptions, publish) = tokio::join!(self.topic(), self.subscriptions(), self.publish());
        let is_there = !matches!(topic, Err(TopicError::NotThere));
        let told = [(Check::Topic, topic), (Check::Subscriptions, subscriptions), (Check::Publish, publish)];
        let found = told.into_iter().map(|(check, told)| match told {
            _ if !is_there && check != Check::Topic => Finding::not_checked(check, "the topic does not exist"),
            Ok(finding) => finding,
            Err(trouble) => self.trouble_finding(check, trouble),
        });
        found.collect()
    }

    fn trouble_finding(&self, check: Check, trouble: TopicError) -> Finding {
        let arn = &self.sns.topic_arn;
        let action = match check {
            Check::Topic => "sns:GetTopicAttributes",
            _ => "sns:ListSubscriptionsByTopic",
        };
        match trouble {
            TopicError::NotThere => Finding::fault(
                check,
                format!("{arn} does not exist"),
                "set SNS_TOPIC_ARN in /etc/api-health/env to what `terraform output -raw topic_arn` prints",
            ),
            TopicError::Denied if check == Check::Publish => Finding::fault(
                check,
                format!("publishing to {arn} is not allowed"),
                "allow sns:Publish on it in the policy of this machine's role, and see that the topic's own policy does \
                 not deny it",
            ),
            TopicError::Denied => Finding::warn(
                check,
                format!("{arn}: {action} is not allowed, so this may not be looked at"),
                format!("allow {action} on it, which doctor alone needs"),
            ),
            TopicError::Other(why) => Finding::fault(
                check,
                format!("{arn}: {why}"),
                "see the endpoint, the credentials and the clock above, and look again",
            ),
        }
    }

    async fn topic(&self) -> Result<Finding, TopicError> {
        let answer = self.client.get_topic_attributes().topic_arn(&self.sns.topic_arn).send().await;
        let attributes = answer.map_err(|error| trouble(&error))?.attributes.unwrap_or_default();
        let kind =
            if self.sns.is_fifo() { "a FIFO topic, which e-mail cannot subscribe to" } else { "a standard topic" };
        let key = match attributes.get("KmsMasterKeyId").map(String::as_str) {
            None | Some("") => "not encrypted",
            Some("alias/aws/sns") => "encrypted with the key of AWS",
            Some(_) => "encrypted with a key of its own, whose use only --send-test-message shows",
        };
        Ok(Finding::ok(Check::Topic, format!("{}: {kind}, {key}", self.sns.topic_arn)))
    }

    async fn subscriptions(&self) -> Result<Finding, TopicError> {
        let mut all = Vec::new();
        let mut next = None;
        for _ in 0..PAGES_MAX {
            let ask = self.client.list_subscriptions_by_topic().topic_arn(&self.sns.topic_arn);
            let page = ask.set_next_token(next.take()).send().await.map_err(|error| trouble(&error))?;
            all.extend(page.subscriptions.unwrap_or_default());
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                break;
            }
        }
        Ok(judge(&all, self.sns, self.has_other_channels))
    }

    /// A message that SNS refuses twice over for its form: a subject that is too long, and no text for any protocol. Who may
    /// not publish is refused for that, if SNS looks at permission first: AWS does not promise that order, so this shows no more than
    /// that permission was not what it was refused for.
    async fn publish(&self) -> Result<Finding, TopicError> {
        let publish = self.client.publish().topic_arn(&self.sns.topic_arn).message_structure("json").message("{}");
        let answer = publish
            .subject("api-health doctor: nothing is down ".repeat(4).chars().take(SUBJECT_CHARS).collect::<String>());
        let Err(error) = answer.send().await else {
            return Ok(Finding::warn(
                Check::Publish,
                "permitted, but a message was taken whose form SNS refuses: what answers is not SNS",
                "see AWS_ENDPOINT_URL and its like; a message without text may have gone out",
            ));
        };
        match error.as_service_error().and_then(|error| error.code()).unwrap_or_default() {
            "InvalidParameter"
            | "InvalidParameterValue"
            | "ParameterValueInvalid"
            | "MissingParameter"
            | "ValidationError"
            | "ValidationException" => Ok(Finding::ok(
                Check::Publish,
                "not refused for permission: a malformed message was refused for its form. SNS does not promise to look at \
                 permission first; --send-test-message proves it",
            )),
            _ => Err(trouble(&error)),
        }
    }
}

/// Codes decide; the words of SNS are left out, since those about a signature repeat the request.
fn trouble<E>(error: &SdkError<E, HttpResponse>) -> TopicError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let code = error.as_service_error().and_then(|error| error.code()).unwrap_or_default();
    match (code, error) {
        ("NotFound" | "NotFoundException" | "ResourceNotFoundException", _) => TopicError::NotThere,
        ("AuthorizationError" | "AuthorizationErrorException" | "AccessDenied" | "AccessDeniedException", _) => {
            TopicError::Denied
        }
        (_, SdkError::ServiceError(context)) => {
            let status = context.raw().status().as_u16();
            let is_word =
                (1..=60).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
            let code = if is_word { format!(" ({code})") } else { String::new() };
            TopicError::Other(format!("SNS refused with status {status}{code}"))
        }
        (_, SdkError::TimeoutError(_)) => TopicError::Other("SNS did not answer in time".into()),
        (_, SdkError::DispatchFailure(failure)) if failure.is_timeout() => {
            TopicError::Other("SNS did not answer in time".into())
        }
        (_, SdkError::ResponseError(_)) => TopicError::Other("what answered is not SNS".into()),
        _ => TopicError::Other("SNS could not be reached".into()),
    }
}

/// What people and machines hear an alert.
fn judge(all: &[Subscription], sns: &SnsSettings, has_other_channels: bool) -> Finding {
    let is = |subscription: &&Subscription, arn| subscription.subscription_arn() == Some(arn);
    let pending: Vec<_> = all.iter().filter(|s| is(s, "PendingConfirmation")).collect();
    let confirmed: Vec<_> = all.iter().filter(|s| !is(s, "PendingConfirmation") && !is(s, "Deleted")).collect();
    let bad = |what: String, todo: String| {
        if has_other_channels {
            Finding::warn(Check::Subscriptions, what, todo)
        } else {
            Finding::fault(Check::Subscriptions, what, todo)
        }
    };
    let confirm = "whoever it belongs to must confirm: the link in the mail \"AWS Notification - Subscription \
                   Confirmation\" (valid for 2 days; look into spam); a new one comes with a new subscription";
    match (confirmed.len(), pending.len()) {
        (0, 0) => {
            let to = if sns.is_fifo() { ("sqs", "QUEUE_ARN") } else { ("email", "YOU@EXAMPLE.COM") };
            let arn = &sns.topic_arn;
            bad(
                "nobody is subscribed: alerts would reach nobody".into(),
                format!("aws sns subscribe --topic-arn {arn} --protocol {} --notification-endpoint {}", to.0, to.1),
            )
        }
        (0, _) => {
            bad(format!("none is confirmed: alerts would reach nobody; pending: {}", named(&pending)), confirm.into())
        }
        (_, 0) => Finding::ok(Check::Subscriptions, format!("{} confirmed: {}", confirmed.len(), named(&confirmed))),
        _ => Finding::warn(
            Check::Subscriptions,
            format!(
                "{} confirmed: {}; {} pending: {}",
                confirmed.len(),
                named(&confirmed),
                pending.len(),
                named(&pending)
            ),
            confirm,
        ),
    }
}

/// `email ops@example.com, sqs arn:…`. Of a URL no more than its host, of a number no more than its end.
fn named(subscriptions: &[&Subscription]) -> String {
    let mut names: Vec<String> = subscriptions
        .iter()
        .take(NAMED_MAX)
        .map(|subscription| {
            let (protocol, endpoint) =
                (subscription.protocol().unwrap_or("?"), subscription.endpoint().unwrap_or_default());
            let shown = match protocol {
                "http" | "https" => {
                    url::Url::parse(endpoint).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
                }
                "sms" => {
                    let cut = endpoint.char_indices().rev().nth(2).map_or(0, |(at, _)| at);
                    format!("...{}", &endpoint[cut..])
                }
                _ => endpoint.to_owned(),
            };
            format!("{protocol} {}", text::line(&shown))
        })
        .collect();
    if subscriptions.len() > NAMED_MAX {
        names.push(format!("{} more", subscriptions.len() - NAMED_MAX));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::report::Mark;

    fn subscription(protocol: &str, endpoint: &str, arn: &str) -> Subscription {
        Subscription::builder().protocol(protocol).endpoint(endpoint).subscription_arn(arn).build()
    }

    #[test]
    fn who_hears_nothing_is_told_and_of_addresses_no_secret() {
        let sns = SnsSettings { topic_arn: "arn:aws:sns:eu-central-1:123456789012:alerts".into() };
        let arn = "arn:aws:sns:eu-central-1:123456789012:alerts:1";
        let ops = || subscription("email", "ops@example.com", arn);
        let hook = || subscription("https", "https://hooks.example.com/T0/hunter2", arn);
        let late = || subscription("email", "late@example.com", "PendingConfirmation");
        let judge = |all: &[Subscription], others| judge(all, &sns, others);
        let nobody = judge(&[], false);
        assert_eq!(nobody.mark, Mark::Fault);
        assert!(
            nobody.todo.unwrap().contains("aws sns subscribe --topic-arn arn:aws:sns:eu-central-1:123456789012:alerts")
        );
        assert_eq!(judge(&[], true).mark, Mark::Warn, "the webhook is told as well");
        assert_eq!(judge(&[late()], false).mark, Mark::Fault);
        let some = judge(&[ops(), late()], false);
        assert_eq!(
            (some.mark, some.what.as_str()),
            (Mark::Warn, "1 confirmed: email ops@example.com; 1 pending: email late@example.com")
        );
        let phone = subscription("sms", "+4915112345678", arn);
        let all = judge(&[ops(), hook(), phone], false);
        assert_eq!(
            (all.mark, all.what.as_str()),
            (Mark::Ok, "3 confirmed: email ops@example.com, https hooks.example.com, sms ...678")
        );
        assert_eq!(judge(&[subscription("email", "x@example.com", "Deleted")], false).mark, Mark::Fault);
    }
}
