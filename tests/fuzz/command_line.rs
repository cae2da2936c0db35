//! Arguments of any kind: a command, or the usage and its exit code; never a panic.

use api_health::cli::args::Cli;
use clap::Parser as _;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::bytes::text;
use crate::{config, soon};

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn any_arguments_are_a_command_or_are_refused(arguments in vec(
        prop_oneof![
            4 => select(vec![
                "run", "probe", "apis", "list", "add", "set", "edit", "import", "export", "validate", "remove", "show", "status", "alerts", "test",
                "retry", "settings", "demo", "completions", "bash", "man", "--settings", "--color", "--json", "--once", "--url", "--set", "a=b", "--",
                "-", "-h", "--version", "help", "always", "https://a.test/", "--name", "=", "--set=headers.X=", "--down",
            ]).prop_map(str::to_owned),
            1 => text().prop_map(|text| text.replace('\0', "")),
        ], 0..7)) {
        let parsed = soon(|| Cli::try_parse_from(std::iter::once("api-health".to_owned()).chain(arguments)));
        if let Err(refused) = parsed {
            prop_assert!(!refused.to_string().is_empty());
        }
    }
}
