//! `apis …` from outside: rows are written only when they are good, and no secret is shown but by `export`.

use super::cli::{Place, finish};

#[test]
fn a_row_is_added_shown_changed_and_removed() {
    let place = Place::new();
    assert_eq!(place.ok(&["apis", "list"]), "", "nothing yet");
    assert!(place.files().is_empty(), "and a look creates no store");
    let added =
        place.ok(&["apis", "add", "--url", "example.com/health", "--name", "Shop", "--set", "interval_seconds=30"]);
    assert!(added.contains("added example.com-health") && added.contains("told within 55 s"), "{added}");
    let list = place.json(&["apis", "list"]);
    let row = &list["apis"][0];
    assert_eq!(row["api_id"], "example.com-health");
    assert_eq!(row["url"], "https://example.com/health");
    assert_eq!(
        (&row["name"], &row["enabled"], &row["told_within_seconds"]),
        (&"Shop".into(), &true.into(), &55.into())
    );
    assert_eq!(row["source"], "SQLite file api-health.db");
    let help = place.ok(&["apis", "list", "--help"]);
    for (name, _) in row.as_object().unwrap().iter().chain(list.as_object().unwrap()) {
        assert!(name == "schema" || help.contains(name.as_str()), "{name} is not in the help");
    }
    assert!(place.ok(&["apis", "list"]).contains("every 30 s"));

    place.ok(&[
        "apis",
        "edit",
        "example.com-health",
        "--set",
        "timeout_seconds=5",
        "--unset",
        "name",
        "--set",
        "enabled=false",
    ]);
    let shown = place.json(&["apis", "show", "example.com-health"]);
    assert_eq!(shown["fields"]["timeout_seconds"], 5);
    assert!(shown["fields"].get("name").is_none());
    assert!(place.ok(&["apis", "show", "example.com-health"]).contains("Disabled"));
    assert!(place.ok(&["apis", "edit", "example.com-health", "--set", "timeout_seconds=5"]).contains("as it was"));

    place.ok(&["apis", "rm", "example.com-health"]);
    for args in
        [&["apis", "rm", "example.com-health"][..], &["apis", "show", "x"], &["apis", "edit", "x", "--set", "a=1"]]
    {
        let ran = place.run(args);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.starts_with("error: "), "{ran:?}");
    }
}

#[test]
fn every_fault_is_told_at_once_and_nothing_is_written() {
    let place = Place::new();
    let bad =
        ["apis", "add", "--url", "ftp://a.test/", "--set", "timout=3", "--set", "interval_seconds=0", "--set", "loose"];
    let ran = place.run(&bad);
    assert_eq!((ran.code, ran.out.as_str()), (64, ""));
    for words in ["neither http nor https", "timeout_seconds, the nearest", "1 to 86400", "--set NAME=VALUE"] {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
    assert_eq!(ran.err.lines().count(), 4, "{}", ran.err);
    assert!(place.files().is_empty(), "no store came of it");

    place.ok(&["apis", "add", "--url", "http://a.test/", "--id", "a"]);
    let before = place.ok(&["apis", "export"]);
    for args in [
        &["apis", "add", "--url", "http://b.test/", "--id", "a"][..],
        &["apis", "edit", "a", "--set", "api_id=b"],
        &["apis", "edit", "a", "--set", "method=FETCH", "--unset", "body"],
        &["apis", "edit", "a", "--unset", "url"],
    ] {
        let ran = place.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{args:?}");
        assert!(ran.err.contains("; write "), "{}", ran.err);
    }
    assert_eq!(place.ok(&["apis", "export"]), before);
}

#[test]
fn secrets_are_shown_by_export_alone() {
    let place = Place::new();
    let add = [
        "apis",
        "add",
        "--url",
        "http://a.test/",
        "--id",
        "a",
        "--set",
        "headers.X-Key=hunter2",
        "--set",
        "headers.Authorization=Bearer ${env:SHOP_TOKEN}",
        "--set",
        "body=hunter2",
    ];
    let ran = finish(place.command(&add).env("SHOP_TOKEN", "swordfish"));
    assert_eq!(ran.code, 0, "{ran:?}");
    let mut all = ran.out + &ran.err;
    for args in [
        &["apis", "show", "a"][..],
        &["apis", "show", "a", "--json"],
        &["apis", "list"],
        &["apis", "list", "--json"],
        &["apis", "validate"],
        &["status", "--json"],
    ] {
        let ran = finish(place.command(args).env("SHOP_TOKEN", "swordfish"));
        assert_eq!(ran.code, 0, "{ran:?}");
        all += &(ran.out + &ran.err);
    }
    assert!(!all.contains("hunter2") && !all.contains("swordfish"), "{all}");
    assert!(all.contains("Bearer ${env:SHOP_TOKEN}") && all.contains("***"), "{all}");
    assert!(all.contains("api-health apis export"), "how to see it is said");
    let export = place.ok(&["apis", "export"]);
    assert!(export.contains("hunter2") && export.contains("${env:SHOP_TOKEN}") && !export.contains("swordfish"));
}

#[test]
fn a_schedule_that_may_not_be_meant_is_remarked_upon_and_its_bound_is_that_of_the_whole_year() {
    let place = Place::new();
    for (schedule, remark) in [("*/45 * * * *", "gaps of 45 and 15 minutes"), ("*/15 * * * *", "")] {
        place.write(
            "apis.toml",
            &format!("[[api]]\napi_id = \"a\"\nurl = \"http://a.test/\"\nschedule = \"{schedule}\"\n"),
        );
        let ran = place.run(&["apis", "validate", "apis.toml"]);
        assert_eq!((ran.code, ran.out.as_str()), (0, "apis.toml: 1 good\n"), "{ran:?}");
        assert!(ran.err.contains(remark) && ran.err.is_empty() == remark.is_empty(), "{ran:?}");
    }
    for (schedule, told_within) in [
        ("* * * 6-8 *", "told within 274 d 1 h"),
        ("* * 25 12 *", "told within 365 d 1 h"),
        ("* * L * *", "told within 30 d 1 h"),
        ("0 * * * *", "told within 1 h 1 min"),
    ] {
        let set = format!("schedule={schedule}");
        let added = place.run(&["apis", "add", "--id", "a", "--url", "http://a.test/", "--set", &set]);
        assert!(added.out.contains(told_within), "{schedule}: {added:?}");
        place.ok(&["apis", "rm", "a"]);
    }
}

#[test]
fn a_reference_that_is_unset_here_is_told_when_writing_and_refused_by_validate() {
    let place = Place::new();
    let ran = place.run(&["apis", "add", "--url", "http://a.test/", "--set", "headers.X=${env:NOT_HERE}"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("note: ${env:NOT_HERE}"), "{}", ran.err);
    let ran = place.run(&["apis", "validate"]);
    assert_eq!(ran.code, 64);
    assert!(ran.err.contains("${env:NOT_HERE} is not set") && ran.out.contains("0 good, 1 bad"), "{ran:?}");
}

#[test]
fn an_export_is_imported_again_to_the_same_rows_and_twice_changes_nothing() {
    let place = Place::new();
    let rows = "[[api]]\napi_id = \"a\"\nurl = \"http://a.test/\"\ntags = [\"x\"]\n[api.headers]\nX = \"1\"\n\n\
                [[api]]\napi_id = \"b\"\nurl = \"http://b.test/\"\nenabled = false\n";
    place.write("rows.toml", rows);
    let dry = place.ok(&["apis", "import", "rows.toml", "--dry-run"]);
    assert!(dry.contains("+ a") && dry.contains("2 to add") && dry.contains("dry run"), "{dry}");
    assert_eq!(place.files(), ["rows.toml"]);
    let import = ["apis", "import", "rows.toml", "--yes"];
    assert!(place.ok(&import).contains("2 added, 0 changed, 0 removed"));
    assert!(place.ok(&import).contains("nothing to do; 2 unchanged"));
    assert_eq!(place.ok(&["apis", "export"]), rows);
    let changed = place.run_with_input(&["apis", "import", "-", "--yes"], &rows.replace("b.test", "c.test"));
    assert_eq!(changed.code, 0, "{changed:?}");
    assert!(changed.out.contains("~ b\n") && changed.out.contains("0 added, 1 changed, 0 removed"), "{changed:?}");

    let other = Place::new();
    let export = place.ok(&["apis", "export"]);
    other.run_with_input(&["apis", "import", "-", "--yes"], &export);
    assert_eq!(other.ok(&["apis", "export"]), export);
}

#[test]
fn an_import_with_a_bad_row_writes_no_row() {
    let place = Place::new();
    place.write("rows.toml", "[[api]]\napi_id = \"a\"\nurl = \"http://a.test/\"\n[[api]]\napi_id = \"b c\"\nurl = 5\n");
    for args in [&["apis", "import", "rows.toml"][..], &["apis", "validate", "rows.toml"]] {
        let ran = place.run(args);
        assert_eq!(ran.code, 64, "{ran:?}");
        for place in
            ["rows.toml, line 5, column 10, api \"b c\": api_id: ", "rows.toml, line 6, column 7, api \"b c\": url: "]
        {
            assert_eq!(ran.err.lines().filter(|line| line.contains(place)).count(), 1, "{}", ran.err);
        }
    }
    assert_eq!(place.files(), ["rows.toml"]);
    for text in ["= not toml", "\u{0}", "[[api]"] {
        let ran = place.run_with_input(&["apis", "import", "-", "--yes"], text);
        assert_eq!(ran.code, 64, "{ran:?}");
        assert!(ran.err.contains("standard input, line 1"), "{}", ran.err);
    }
    assert_eq!(place.run(&["apis", "import", "nowhere.toml"]).code, 64);
}

#[test]
fn the_file_wins_over_the_table_and_is_said_to() {
    let place = Place::new();
    place.ok(&["apis", "add", "--url", "http://table.test/", "--id", "a"]);
    place.write("apis.toml", "[[api]]\napi_id = \"a\"\nurl = \"http://file.test/\"\n[[api]]\napi_id = \"bad\"\n");
    place.write("api-health.toml", "[apis]\nfile = \"apis.toml\"\n");
    let list = place.json(&["apis", "list"]);
    assert_eq!((&list["apis"][0]["source"], &list["apis"][0]["shadowed"]), (&"apis.toml".into(), &false.into()));
    assert_eq!(list["apis"][1]["shadowed"], true);
    assert_eq!(list["refused"][0]["api_id"], "bad");
    let text = place.ok(&["apis", "list"]);
    assert!(text.contains("refused bad: apis.toml, line 4"), "{text}");
    let shown = place.run(&["apis", "show", "a"]);
    assert!(shown.out.contains("file.test") && shown.err.contains("another row a in SQLite"), "{shown:?}");
    assert!(place.run(&["apis", "rm", "bad"]).err.contains("edit that file"));
}

#[test]
fn a_row_is_edited_in_an_editor_and_a_bad_draft_is_kept() {
    let place = Place::new();
    place.ok(&["apis", "add", "--url", "http://a.test/", "--id", "a"]);
    let edit = |editor: &str| finish(place.command(&["apis", "edit", "a"]).env("EDITOR", editor));
    let ran = edit("sed -i s/a.test/b.test/");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(place.ok(&["apis", "export"]).contains("http://b.test/"));
    let before = place.ok(&["apis", "export"]);
    assert!(edit("true").out.contains("as it was"));
    let ran = edit("sed -i s/url/ulr/");
    assert_eq!(ran.code, 64, "{ran:?}");
    let draft = ran.err.rsplit_once("kept in ").unwrap().1.trim();
    assert!(std::fs::read_to_string(draft).unwrap().contains("ulr = "), "{draft}");
    assert_eq!(edit("sed -i s/\\\"a\\\"/\\\"z\\\"/").code, 64, "the key cannot be changed");
    assert_eq!(edit("false").code, 69);
    assert_eq!(place.ok(&["apis", "export"]), before);
}
