//! Why a publish failed, sorted by who must act, in short plain words.

use std::error::Error;
use std::io;

use api_health_actors::ports::NotifyError;
use api_health_core::text;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sns::config::http::HttpResponse;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};

use crate::aws::causes::find;
use crate::settings::SnsSettings;

/// The most characters of SNS's own words that are passed on.
const DETAIL_CHARS_MAX: usize = 200;

/// The codes of a call that is not allowed, in the words of SNS and of IAM.
const DENIED: [&str; 4] = ["AuthorizationError", "AccessDenied", "AccessDeniedException", "UnauthorizedOperation"];

/// The codes of a call that was put together wrongly.
const BAD_PARAMETER: [&str; 6] = [
    "InvalidParameter",
    "InvalidParameterValue",
    "ParameterValueInvalid",
    "MissingParameter",
    "ValidationError",
    "ValidationException",
];

fn code_of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> &str {
    error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default()
}

/// Whether a call is not allowed.
pub(crate) fn is_denied<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    DENIED.contains(&code_of(error))
}

/// Whether a call was refused for its form.
pub(crate) fn is_malformed<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    BAD_PARAMETER.contains(&code_of(error))
}

/// Sorts a failed call, a publish mostly. Codes and kinds decide, never the wording of a message; SNS's own message is passed on only
/// where it names a parameter, since that of a refused signature repeats the signed request.
pub(crate) fn classify<E>(error: &SdkError<E, HttpResponse>, topic: &SnsSettings) -> NotifyError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(context) => {
            service(context.err().code(), context.err().message(), context.raw().status().as_u16(), topic)
        }
        SdkError::ResponseError(context) => service(None, None, context.raw().status().as_u16(), topic),
        SdkError::TimeoutError(_) => timed_out(topic),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => timed_out(topic),
        other => undispatched(other, topic),
    }
}

/// The call took longer than one of its bounds: those of `aws.rs`, or our own.
pub(super) fn timed_out(topic: &SnsSettings) -> NotifyError {
    retryable(format!("SNS in {} did not answer in time", topic.region()))
}

/// The client was made without a region: every call would fail before it is sent.
pub(super) fn no_region(topic: &SnsSettings) -> NotifyError {
    permanent("there is no AWS region".into(), format!("set AWS_REGION; the topic is in {}", topic.region()))
}

/// The request could not be put together. It cannot happen with the fields that an alert has, and is no reason to panic.
pub(super) fn unbuildable() -> NotifyError {
    permanent("the message for SNS could not be put together".into(), "report this as a fault of api-health".into())
}

/// SNS answered with an error.
fn service(code: Option<&str>, message: Option<&str>, status: u16, topic: &SnsSettings) -> NotifyError {
    let (arn, region) = (&topic.topic_arn, topic.region());
    match code.unwrap_or_default() {
        "NotFound" | "NotFoundException" | "ResourceNotFoundException" => permanent(
            format!("the SNS topic {arn} does not exist"),
            format!("create it in {region}, or set SNS_TOPIC_ARN to what `terraform output -raw topic_arn` prints"),
        ),
        code if DENIED.contains(&code) => permanent(
            format!("publishing to the SNS topic {arn} is not allowed"),
            format!("allow sns:Publish on {arn} in the IAM policy of this machine's role and in the topic's policy"),
        ),
        code if BAD_PARAMETER.contains(&code) => {
            let detail = text::line(message.unwrap_or_default(), DETAIL_CHARS_MAX);
            let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
            permanent(
                format!("SNS refused a parameter{detail}"),
                format!("check that {arn} is the topic's ARN and that AWS_REGION is the region it names"),
            )
        }
        code @ ("KMSAccessDenied" | "KMSDisabled" | "KMSInvalidState" | "KMSNotFound" | "KMSOptInRequired") => {
            permanent(
                format!("the KMS key of the SNS topic {arn} cannot be used ({code})"),
                "enable the key, and allow kms:GenerateDataKey* and kms:Decrypt on it to this machine's role".into(),
            )
        }
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            retryable("the AWS credentials have expired, and new ones are not there yet".into())
        }
        code @ ("InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId" | "OptInRequired") => {
            permanent(
                format!("AWS does not know these credentials ({code})"),
                format!("check the access key or role of this machine, and that its account may use {region}"),
            )
        }
        code @ ("SignatureDoesNotMatch" | "InvalidSecurity" | "IncompleteSignature" | "RequestTimeTooSkewed") => {
            permanent(
                format!("AWS does not accept the signature ({code})"),
                "check AWS_SECRET_ACCESS_KEY, and set this machine's clock (timedatectl)".into(),
            )
        }
        code if status == 429 || throttles(code) => {
            retryable(format!("SNS in {region} throttles ({})", named(code, status)))
        }
        code if status >= 500 || status == 408 || is_internal(code) => {
            retryable(format!("SNS in {region} has a fault of its own ({})", named(code, status)))
        }
        // No error, yet an answer that the SDK cannot read: a proxy, or cut short on the way.
        _ if status < 400 => retryable(format!("SNS in {region} gave an answer that cannot be read (status {status})")),
        code => permanent(
            format!("SNS refused the alert ({})", named(code, status)),
            format!("look up that error of the SNS action Publish, and check the topic {arn}"),
        ),
    }
}

fn throttles(code: &str) -> bool {
    code.contains("Throttl") || matches!(code, "RequestLimitExceeded" | "TooManyRequestsException" | "SlowDown")
}

fn is_internal(code: &str) -> bool {
    code.starts_with("Internal") || code.starts_with("ServiceUnavailable") || code == "RequestTimeout"
}

/// An error code is a word of AWS's; anything else that stands in its place is not passed on.
fn named(code: &str, status: u16) -> String {
    let is_word = (1..=60).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
    if is_word { code.to_owned() } else { format!("status {status}") }
}

/// No answer: no credentials, no region, or no way to SNS.
fn undispatched<E: Error + 'static>(error: &SdkError<E, HttpResponse>, topic: &SnsSettings) -> NotifyError {
    let region = topic.region();
    match find::<CredentialsError>(error) {
        Some(CredentialsError::CredentialsNotLoaded(_)) => {
            return permanent(
                "there are no AWS credentials".into(),
                "give this machine an IAM role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
                    .into(),
            );
        }
        Some(CredentialsError::InvalidConfiguration(_)) => {
            return permanent(
                "the AWS credentials are set up in a way that cannot work".into(),
                "check AWS_PROFILE and the files ~/.aws/config and ~/.aws/credentials".into(),
            );
        }
        Some(_) => return retryable("the AWS credentials could not be loaded just now".into()),
        None => {}
    }
    if let SdkError::ConstructionFailure(_) = error {
        return permanent(
            "the request to SNS could not be made".into(),
            format!("check AWS_REGION (the topic is in {region}), AWS_ENDPOINT_URL and SNS_TOPIC_ARN"),
        );
    }
    let why = match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => ": connection refused",
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe) => {
            ": connection lost"
        }
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => ": no route there",
        Some(io::ErrorKind::TimedOut) => ": timed out",
        _ => "",
    };
    retryable(format!("SNS in {region} could not be reached{why}"))
}

fn retryable(reason: String) -> NotifyError {
    NotifyError::Retryable { reason, after: None }
}

fn permanent(reason: String, remedy: String) -> NotifyError {
    NotifyError::Permanent { reason, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic() -> SnsSettings {
        SnsSettings { topic_arn: "arn:aws:sns:eu-central-1:123456789012:alerts".into(), chat: false }
    }

    #[test]
    fn who_must_act_is_told_by_the_code() {
        for (code, status, permanent) in [
            ("NotFound", 404, true),
            ("AuthorizationError", 403, true),
            ("AccessDenied", 403, true),
            ("InvalidParameter", 400, true),
            ("KMSDisabled", 400, true),
            ("KMSAccessDenied", 400, true),
            ("KMSThrottling", 400, false),
            ("Throttling", 400, false),
            ("ThrottledException", 429, false),
            ("ExpiredToken", 403, false),
            ("ExpiredTokenException", 403, false),
            ("InvalidClientTokenId", 403, true),
            ("SignatureDoesNotMatch", 403, true),
            ("InternalError", 500, false),
            ("InternalFailure", 500, false),
            ("ServiceUnavailable", 503, false),
            ("", 502, false),
            ("", 429, false),
            ("", 200, false),
            ("", 418, true),
            ("Unheard", 400, true),
        ] {
            let error = service(Some(code), Some("secret-token-in-a-message"), status, &topic());
            assert_eq!(matches!(error, NotifyError::Permanent { .. }), permanent, "{code} {status}: {error}");
            let text = error.to_string();
            assert!(text.len() < 300, "{text}");
            assert_eq!(text.contains("secret-token"), code == "InvalidParameter", "{text}");
        }
    }

    #[test]
    fn a_person_is_told_what_to_do() {
        let text = |code| service(Some(code), Some("Invalid parameter: TopicArn"), 400, &topic()).to_string();
        assert!(text("NotFound").contains("create it in eu-central-1"), "{}", text("NotFound"));
        assert!(text("AuthorizationError").contains("sns:Publish on arn:aws:sns:eu-central-1:123456789012:alerts"));
        assert!(text("InvalidParameter").contains("Invalid parameter: TopicArn; check that"));
        assert!(text("KMSDisabled").contains("kms:GenerateDataKey*"));
    }

    #[test]
    fn a_code_that_is_no_word_is_not_passed_on() {
        assert_eq!(named("Oops\nX-Amz-Security-Token: abc", 400), "status 400");
        assert_eq!(named("AWS.SimpleQueue", 400), "AWS.SimpleQueue");
    }
}
