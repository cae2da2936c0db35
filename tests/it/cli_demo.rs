//! `demo` from outside: the story that a new user sees first.

use std::io::BufRead;

use super::cli::{Place, finish};
use super::web::get;

#[test]
fn the_demo_tells_one_down_and_one_up_and_leaves_nothing() {
    let place = Place::new();
    place.write("api-health.toml", "nonsense = 1\n"); // the demo needs no settings
    let ran = finish(place.command(&["demo", "--seconds", "15"]).env("LANG", "en_US.UTF-8"));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    let story = [
        "Look at it in a browser: http://127.0.0.1:",
        "API    answers 200",
        "state  up: the first answer",
        "API    goes down: it answers 503",
        "probe  !! status 503 is not in 2xx",
        "state  1 of 2 fails: suspect",
        "state  down: confirmed",
        "| DOWN Demo API: status 503 is not in 2xx",
        "API    comes back",
        "state  1 of 2 passes",
        "state  up: confirmed",
        "| UP Demo API again after",
        "nothing is owed any more",
        "The whole story",
        "outage    began at",
        "recovery  began at",
        "alerts    one DOWN, then one UP",
        "api-health run https://",
    ];
    let mut rest = ran.out.as_str();
    for part in story {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} does not come next in\n{}", ran.out));
        rest = &rest[at + part.len()..];
    }
    assert_eq!(ran.out.matches("| DOWN Demo API").count(), 1);
    assert_eq!(ran.out.matches("| UP Demo API").count(), 1);
    let figure = ran.out.lines().find(|line| line.contains("made,")).unwrap();
    let numbers: Vec<u64> = figure.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    assert!(numbers.len() == 2 && numbers[0] == numbers[1] && numbers[0] > 8, "{figure}: every probe reached the API");
    assert!(ran.out.is_ascii(), "a pipe gets plain text");
    assert_eq!(place.files(), ["api-health.toml"], "its folder is removed");
}

#[test]
fn a_demo_has_a_page_and_one_that_is_interrupted_leaves_nothing() {
    let place = Place::new();
    let mut child = place
        .command(&["demo"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.as_mut().unwrap()).lines().map(Result::unwrap);
    let link =
        lines.find_map(|line| Some(line.split_once("http://")?.1.to_owned()).filter(|_| line.contains("browser")));
    let address = link.as_deref().and_then(|link| link.strip_suffix('/')).unwrap();
    assert_eq!(get(address, "/healthz", ""), (200, "ok\n".into()));
    assert!(!place.files().is_empty(), "its store is there");
    // The reader goes away: nobody looks any more.
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(place.files().is_empty());
}
