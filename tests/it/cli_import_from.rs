//! `apis import --from`: what is told, what is written, and that the rows can be asked.

use std::path::{Path, PathBuf};

use super::cli::{Place, finish};

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata/import").join(name)
}

#[test]
fn each_field_is_told_of_and_the_same_files_again_have_nothing_to_do() {
    let place = Place::new();
    std::fs::copy(testdata("gatus/alerting.yaml"), place.path("gatus.yaml")).unwrap();
    std::fs::copy(testdata("gatus/minimal.yaml"), place.path("more.yaml")).unwrap();
    let import = ["apis", "import", "--from", "gatus", "gatus.yaml", "more.yaml", "--channels", "channels.toml"];
    let with = |more: &'static str| import.iter().copied().chain([more]).collect::<Vec<&str>>();

    let dry = place.ok(&with("--dry-run"));
    assert!(dry.contains("+ shop-checkout  gatus.yaml, line 27, "), "{dry}");
    assert!(
        dry.contains("x gatus.yaml, line 48: endpoints[1].alerts[0].description: an alert says what was seen"),
        "{dry}"
    );
    assert!(dry.contains("~ gatus.yaml, line 4: alerting.slack.webhook-url"), "{dry}");
    assert!(dry.contains("\n61 fields of 4 rows: "), "{dry}");
    assert!(dry.contains("SLACK_URL       stands in gatus.yaml, line 4"), "{dry}");
    assert!(dry.contains("channels.toml: 4 channels would be written\n"), "{dry}");
    assert!(dry.contains(": 4 to add, 0 to change, 0 to remove; 0 unchanged\n"), "{dry}");
    assert!(!dry.contains("hunter2") && !dry.contains("T0/B0"), "{dry}");
    assert!(!place.files().contains(&"channels.toml".into()), "a dry run writes nothing");

    let done = place.ok(&with("--yes"));
    assert!(done.ends_with(": 4 added, 0 changed, 0 removed\n"), "{done}");
    let channels = std::fs::read_to_string(place.path("channels.toml")).unwrap();
    assert!(channels.contains("[[notify.channel]]\nname = \"slack\"\nkind = \"slack\"\n"), "{channels}");
    let again = place.ok(&with("--yes"));
    assert!(again.contains(": nothing to do; 4 unchanged\n"), "{again}");

    place.write("channels.toml", "# mine\n");
    let refused = place.run(&with("--yes"));
    assert_eq!(refused.code, 64, "{refused:?}");
    assert!(refused.err.contains("channels.toml: the file is there and holds something else"), "{refused:?}");
}

#[test]
fn a_row_that_is_refused_is_lost_and_the_others_are_taken() {
    let place = Place::new();
    let metadata = "endpoints:\n  - name: metadata\n    url: http://169.254.169.254/\n    conditions: ['[STATUS] == 200']\n  \
                    - name: good\n    url: http://good.example.org/\n    conditions: ['[STATUS] == 200']\n";
    let told = place.run_with_input(&["apis", "import", "--from", "gatus", "-", "--yes"], metadata);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.contains("x metadata") && told.out.contains("its row is refused: url:"), "{told:?}");
    assert!(told.out.ends_with(": 1 added, 0 changed, 0 removed\n"), "{told:?}");
}

#[test]
fn faults_of_the_command_line_and_of_files_are_told_with_what_to_write() {
    let place = Place::new();
    place.write("a.yaml", "endpoints: [\n");
    place.write("b.toml", "");
    for (args, fault) in [
        (
            &["apis", "import", "--from", "gatus", "a.yaml", "none.yaml", "--yes"][..],
            "none.yaml: the file is not there",
        ),
        (&["apis", "import", "--from", "gatus", "a.yaml", "--yes"], "a.yaml, line 2, column 1: the text is no YAML"),
        (&["apis", "import", "b.toml", "b.toml", "--yes"], "apis import: 2 files are more than one; write one after"),
        (&["apis", "import", "--from", "gatus", "-"], "standard input holds the rows"),
    ] {
        let ran = finish(&mut place.command(args));
        assert!(ran.code == 64 && ran.err.contains(fault), "{args:?}: {ran:?}");
    }
    let ran = place.run(&["apis", "import", "--from", "nagios", "a.yaml"]);
    assert!(ran.code != 0 && ran.err.contains("possible values: gatus, kuma, blackbox"), "{ran:?}");
}
