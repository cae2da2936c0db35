//! What an error of DynamoDB means for a person: whether waiting may help, and if not, what to write.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId;

use crate::aws::{
    self,
    causes::{causes, find},
};
use crate::fault::{Fault, one_line};

/// The table by its name for people: `DynamoDB table api_health_configs`.
pub(crate) fn table_name(table: &str) -> String {
    format!("DynamoDB table {table}")
}

/// Whether a write was refused because its condition does not hold, and nothing was written.
pub(crate) fn is_condition_refused<T, E: ProvideErrorMetadata>(answer: &Result<T, SdkError<E, HttpResponse>>) -> bool {
    code_of(answer) == Some("ConditionalCheckFailedException")
}

/// Whether a call is not allowed.
pub(crate) fn is_denied<T, E: ProvideErrorMetadata>(answer: &Result<T, SdkError<E, HttpResponse>>) -> bool {
    code_of(answer) == Some("AccessDeniedException")
}

fn code_of<T, E: ProvideErrorMetadata>(answer: &Result<T, SdkError<E, HttpResponse>>) -> Option<&str> {
    answer.as_ref().err().and_then(SdkError::as_service_error).and_then(ProvideErrorMetadata::code)
}

/// One call, for the words of its error.
pub(crate) struct Call<'a> {
    table: &'a str,
    region: String,
    /// The IAM action that it needs.
    action: &'static str,
    /// Whether it is what the daemon's role does not need and people do.
    is_edit: bool,
    /// The key of the table, for people.
    key: &'static str,
}

/// The key of the tables of configs and states, and that of history.
const ONE_KEY: &str = "key api_id (S)";
const TWO_KEYS: &str = "keys api_id (S) and slot (S)";

/// What to do for those who edit configs on the daemon's own machine.
const OR_BE_SOMEBODY_ELSE: &str =
    ", or use the credentials of somebody who edits configs: the role of a daemon is meant to read them alone";

impl<'a> Call<'a> {
    /// A call of `client` on `table` that needs the IAM action `action`.
    pub(crate) fn new(client: &Client, table: &'a str, action: &'static str) -> Self {
        let region = client.config().region().map_or_else(|| "not set".into(), ToString::to_string);
        Self { table, region, action, is_edit: false, key: ONE_KEY }
    }

    /// The same for a call on the table of history.
    pub(crate) fn of_history(self) -> Self {
        Self { key: TWO_KEYS, ..self }
    }

    /// The same for a call that edits configs.
    pub(crate) fn edits(self) -> Self {
        Self { is_edit: true, ..self }
    }

    /// What `error` means.
    pub(crate) fn fault<E>(&self, error: &SdkError<E, HttpResponse>) -> Fault
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        if let Some(credentials) = find::<CredentialsError>(error) {
            return self.credentials(credentials);
        }
        match error {
            SdkError::ServiceError(service) => {
                let status = service.raw().status().as_u16();
                let code = service.err().code().unwrap_or_default();
                self.answered(status, code, service.err().message().unwrap_or_default())
            }
            SdkError::TimeoutError(_) => self.wait(format!("did not answer in time (region {})", self.region)),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                self.wait(format!("did not answer in time (region {})", self.region))
            }
            SdkError::ResponseError(response) => self.no_answer(response.raw().status().as_u16()),
            SdkError::ConstructionFailure(_) if self.region == "not set" => self.no_region(),
            SdkError::DispatchFailure(_) if self.region == "not set" => self.no_region(),
            SdkError::ConstructionFailure(_) => self.odd(&format!("could not be asked: {}", innermost(error))),
            _ => self.wait(format!("could not be reached (region {}): {}", self.region, innermost(error))),
        }
    }

    /// The answer, if it is one of DynamoDB's. Each of them carries a request id; the SDK also takes an empty answer with
    /// status 200, of whatever sits in between, for a write that was done or for a table with nothing in it.
    pub(crate) fn answer<T, E>(&self, answer: Result<T, SdkError<E, HttpResponse>>) -> Result<T, Fault>
    where
        T: RequestId,
        E: ProvideErrorMetadata + Error + 'static,
    {
        match answer {
            Ok(answer) if answer.request_id().is_none() => Err(self.no_answer(200)),
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.fault(&error)),
        }
    }

    /// Something that no rule names: a person must look.
    pub(crate) fn odd(&self, what: &str) -> Fault {
        self.person(one_line(what), "the name of another table, if this is not the one that was meant".into())
    }

    /// A transaction that met another one, or throttling.
    pub(crate) fn busy(&self, code: &str) -> Fault {
        self.wait(format!("is busy ({})", one_line(code)))
    }

    fn answered(&self, status: u16, code: &str, message: &str) -> Fault {
        match code {
            "ProvisionedThroughputExceededException"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "Throttling"
            | "ThrottledException"
            | "TooManyRequestsException"
            | "SlowDown" => self.wait(format!("is throttled ({code})")),
            "TransactionConflictException" | "ReplicatedWriteConflictException" => {
                self.wait("is being written to by somebody else".into())
            }
            _ if status >= 500 || status == 429 || status == 408 => {
                self.wait(format!("has trouble at AWS: HTTP status {status} {}", one_line(code)))
            }
            "" => self.no_answer(status), // a proxy or a login page
            "ResourceNotFoundException" => self.person(
                format!("does not exist in region {}", self.region),
                format!("the name of a table that exists there, or create it with the {}", self.key),
            ),
            "AccessDeniedException" => {
                let or = if self.is_edit { OR_BE_SOMEBODY_ELSE } else { "" };
                self.person(
                    format!("refuses {} to {}", self.action, denial(message)),
                    format!("an IAM policy that allows {} on it{or}", self.action),
                )
            }
            "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "ExpiredTokenException"
            | "ExpiredToken"
            | "InvalidClientTokenId"
            | "IncompleteSignature"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "SignatureDoesNotMatch" => self.person(
                format!("does not accept these credentials ({code})"),
                "credentials that are valid now, and see that the clock is right".into(),
            ),
            "ValidationException" if message.contains("size has exceeded") => self.person(
                "cannot hold this item: it is larger than the 400 KB that DynamoDB allows".into(),
                "a shorter name and URL for this API".into(),
            ),
            "ValidationException" if message.contains("key") || message.contains("Key") => self.person(
                format!("has another key than is needed: {}", one_line(message)),
                format!("the name of a table with the {} alone", self.key),
            ),
            _ => self.odd(&format!("refused {}: {code} {message}", self.action)),
        }
    }

    fn no_answer(&self, status: u16) -> Fault {
        self.wait(format!("gave what is no answer of DynamoDB (HTTP status {status})"))
    }

    fn credentials(&self, error: &CredentialsError) -> Fault {
        let what = format!("was not asked: {}", aws::credentials_fault(error));
        match error {
            CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => {
                self.person(what, aws::CREDENTIALS_INSTEAD.into())
            }
            _ => self.wait(what),
        }
    }

    fn no_region(&self) -> Fault {
        self.person("was not asked: no region is set".into(), aws::REGION_INSTEAD.into())
    }

    fn wait(&self, what: String) -> Fault {
        Fault::Wait { place: table_name(self.table), what }
    }

    fn person(&self, what: String, remedy: String) -> Fault {
        Fault::Person { place: table_name(self.table), what, remedy }
    }
}

/// Who was denied something, and why, out of what AWS says of it: `User: ARN is not authorized to perform: ACTION on
/// resource: ARN because no identity-based policy allows the ACTION action`, or `… with an explicit deny in a …`. The action
/// and the table are told beside it, and with them the line would be too long for the reason.
fn denial(message: &str) -> String {
    let Some((who, rest)) = message.strip_prefix("User: ").and_then(|text| text.split_once(" is not authorized"))
    else {
        return format!("these credentials: {}", one_line(message));
    };
    let why = [" because ", " with an explicit deny"].iter().find_map(|begin| Some(&rest[rest.find(begin)?..]));
    one_line(&format!("{who}{}", why.unwrap_or_default()))
}

/// The last cause says the most: `Connection refused (os error 111)`.
fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(|e| one_line(&e.to_string())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_denied_and_why_is_told_in_short() {
        let user = "arn:aws:sts::123456789012:assumed-role/api-health-daemon/i-0123456789abcdef0";
        let asked =
            format!("User: {user} is not authorized to perform: dynamodb:PutItem on resource: arn:aws:dynamodb:…");
        let why = "because no identity-based policy allows the dynamodb:PutItem action";
        assert_eq!(denial(&format!("{asked} {why}")), format!("{user} {why}"));
        let why = "with an explicit deny in a service control policy";
        assert_eq!(denial(&format!("{asked} {why}")), format!("{user} {why}"));
        assert_eq!(denial(&asked), user);
        assert_eq!(denial("no"), "these credentials: no");
        assert_eq!(denial(""), "these credentials: ");
    }
}
