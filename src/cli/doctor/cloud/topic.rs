//! The topic: there, heard by somebody, and open to us, without a message to anybody.

use std::error::Error;

use api_health_actors::ports::NotifyError;
use aws_config::SdkConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::config::http::HttpResponse;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sns::types::Subscription;

use crate::cli::checks::Check;
use crate::cli::doctor::report::{Finding, some_of};
use crate::notify::sns::chat;
use crate::notify::sns::failure::{classify, is_denied, is_malformed};
use crate::settings::SnsSettings;

/// Pages of subscriptions that are read: a page has 100.
const PAGES_MAX: usize = 10;

/// A topic that is to be looked at.
#[derive(Clone)]
pub(super) struct Topic {
    client: Client,
    sns: SnsSettings,
}

impl Topic {
    /// `config` has the topic's region.
    pub(super) fn new(config: &SdkConfig, sns: SnsSettings) -> Self {
        Self { client: Client::new(config), sns }
    }

    /// There, and of which kind.
    pub(super) async fn attributes(self) -> Finding {
        let check = Check::Topic;
        let answer = self.client.get_topic_attributes().topic_arn(&self.sns.topic_arn).send().await;
        let attributes = match answer {
            Ok(answer) => answer.attributes.unwrap_or_default(),
            Err(error) => return self.fault(check, "sns:GetTopicAttributes", &error),
        };
        let kind =
            if self.sns.is_fifo() { "a FIFO topic, which e-mail cannot subscribe to" } else { "a standard topic" };
        let key = match attributes.get("KmsMasterKeyId").map_or("", String::as_str) {
            "" => "not encrypted",
            _ => "encrypted with a key whose use only --send-test-message shows",
        };
        check.ok(format!("{}: {kind}, {key}", self.sns.topic_arn))
    }

    /// Who hears an alert. `has_others`: somebody else is told as well.
    pub(super) async fn subscriptions(self, has_others: bool) -> Finding {
        let (mut all, mut next) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let ask = self.client.list_subscriptions_by_topic().topic_arn(&self.sns.topic_arn);
            match ask.set_next_token(next.take()).send().await {
                Ok(page) => {
                    all.extend(page.subscriptions.unwrap_or_default());
                    next = page.next_token.filter(|token| !token.is_empty());
                }
                Err(error) => return self.fault(Check::Subscriptions, "sns:ListSubscriptionsByTopic", &error),
            }
            if next.is_none() {
                break;
            }
        }
        judge(&all, &self.sns, has_others)
    }

    /// A message that SNS refuses twice over for its form: a subject of more than 100 characters, and no text for any protocol.
    /// Who may not publish is refused for that, if SNS looks at permission first: AWS does not promise that order, so this shows no
    /// more than that permission was not what it was refused for.
    pub(super) async fn pretend_to_publish(self) -> Finding {
        let check = Check::Publish;
        let publish = self.client.publish().topic_arn(&self.sns.topic_arn).message_structure("json").message("{}");
        match publish.subject("api-health doctor: nothing is down ".repeat(4)).send().await {
            Ok(_) => check.warn(
                "permitted, but a message was taken whose form SNS refuses: what answers is not SNS",
                "see AWS_ENDPOINT_URL and its like; a message without text may have gone out",
            ),
            Err(error) if is_malformed(&error) => check.ok(
                "not refused for permission: a malformed message was refused for its form. SNS does not promise to look at \
                 permission first; --send-test-message proves it",
            ),
            Err(error) => self.fault(check, "sns:Publish", &error),
        }
    }

    /// What the notifier says of such an error; but what doctor alone asks may be denied.
    fn fault<E>(&self, check: Check, action: &str, error: &SdkError<E, HttpResponse>) -> Finding
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        if check != Check::Publish && is_denied(error) {
            let what = format!("{}: {action} is not allowed, so this may not be looked at", self.sns.topic_arn);
            return check.warn(what, format!("allow {action} on it, which doctor alone needs"));
        }
        let (what, todo) = match classify(error, &self.sns) {
            NotifyError::Permanent { reason, remedy } => (reason, remedy),
            NotifyError::Retryable { reason, .. } => {
                (reason, "see the endpoint, the credentials and the clock above, and look again".into())
            }
        };
        check.fault(what, todo)
    }
}

/// What people and machines hear an alert.
fn judge(all: &[Subscription], sns: &SnsSettings, has_others: bool) -> Finding {
    let of = |is_wanted: fn(&str) -> bool| -> Vec<String> {
        let wanted = all.iter().filter(|one| is_wanted(one.subscription_arn().unwrap_or_default()));
        wanted.map(name_of).collect()
    };
    let (pending, confirmed) =
        (of(|arn| arn == "PendingConfirmation"), of(|arn| !matches!(arn, "PendingConfirmation" | "Deleted")));
    let check = Check::Subscriptions;
    let unheard = |what: String, todo: &str| if has_others { check.warn(what, todo) } else { check.fault(what, todo) };
    let confirm = "whoever it belongs to must confirm: the link in the mail \"AWS Notification - Subscription \
                   Confirmation\" (valid for 2 days; look into spam); a new one comes with a new subscription";
    let heard = || format!("{} confirmed: {}", confirmed.len(), some_of(&confirmed));
    match (confirmed.len(), pending.len()) {
        (0, 0) => {
            let to = if sns.is_fifo() {
                "sqs --notification-endpoint QUEUE_ARN"
            } else {
                "email --notification-endpoint YOU@EXAMPLE.COM"
            };
            let todo = format!("aws sns subscribe --topic-arn {} --protocol {to}", sns.topic_arn);
            unheard("nobody is subscribed: alerts would reach nobody".into(), &todo)
        }
        (0, _) => {
            unheard(format!("none is confirmed: alerts would reach nobody; pending: {}", some_of(&pending)), confirm)
        }
        _ if hears_chat(all) && !sns.chat => check.warn(
            format!("{}; Amazon Q Developer shows alerts in no chat, since it throws the machine form away", heard()),
            "write chat = true below [notify.sns]; every subscription by https then gets the form of the chat",
        ),
        (_, 0) => check.ok(heard()),
        (_, count) => check.warn(format!("{}; {count} pending: {}", heard(), some_of(&pending)), confirm),
    }
}

/// Whether a chat of Amazon Q Developer is among them.
fn hears_chat(all: &[Subscription]) -> bool {
    all.iter().any(|one| one.endpoint().is_some_and(|endpoint| endpoint.contains(chat::HOST)))
}

/// `email ops@example.com`, `sqs arn:…`. Of a URL no more than its host, of a number no more than its end.
fn name_of(subscription: &Subscription) -> String {
    let (protocol, endpoint) = (subscription.protocol().unwrap_or("?"), subscription.endpoint().unwrap_or_default());
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
    format!("{protocol} {shown}")
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
        let sns = SnsSettings { topic_arn: "arn:aws:sns:eu-central-1:123456789012:alerts".into(), chat: false };
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
        let q = || subscription("https", "https://global.sns-api.chatbot.amazonaws.com", arn);
        let thrown_away = judge(&[ops(), q()], false);
        assert_eq!(thrown_away.mark, Mark::Warn);
        assert!(thrown_away.todo.unwrap().contains("chat = true below [notify.sns]"));
        assert_eq!(super::judge(&[q()], &SnsSettings { chat: true, ..sns.clone() }, false).mark, Mark::Ok);
    }
}
