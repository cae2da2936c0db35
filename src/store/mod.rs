//! The port `StateStore`: SQLite in a file, and DynamoDB.
