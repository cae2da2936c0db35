//! Proxies from outside: by a variable, a setting or a field, for probes, webhook and AWS; what is said of them, and that no password is.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use super::cli::{Place, finish};
use super::doctor::Found;

const PASSWORD: &str = "hunter2hunter2";

/// Answers every request with 200 and notes it; behind a name that does not exist, only a proxy can.
fn proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 8192];
            let length = stream.read(&mut head).unwrap_or(0);
            seen.lock().unwrap().push(String::from_utf8_lossy(&head[..length]).into_owned());
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    (address, heads)
}

#[test]
fn variables_settings_and_fields_say_by_which_proxy_and_none_of_them_tells_its_password() {
    let place = Place::new();
    let ((by_variable, of_variable), (by_setting, of_setting), (by_field, of_field)) = (proxy(), proxy(), proxy());
    let with = |args: &[&str], more: &[(&str, &str)]| {
        let mut command = place.command(args);
        command.env("http_proxy", format!("http://me:{PASSWORD}@{by_variable}")).env("no_proxy", "direct.invalid");
        command.envs(more.iter().copied());
        let ran = finish(&mut command);
        assert!(!ran.out.contains(PASSWORD) && !ran.err.contains(PASSWORD), "{ran:?}");
        ran
    };
    let count = |heads: &Mutex<Vec<String>>| heads.lock().unwrap().len();
    place.write("apis.toml", &format!(
        "[[api]]\napi_id = \"a\"\nurl = \"http://a.invalid/\"\n[[api]]\napi_id = \"own\"\nurl = \"http://own.invalid/\"\nproxy = \"http://me:{PASSWORD}@{by_field}\"\n\
         [[api]]\napi_id = \"direct\"\nurl = \"http://direct.invalid/\"\n[[api]]\napi_id = \"none\"\nurl = \"http://none.invalid/\"\nproxy = \"none\"\n"
    ));
    let apis = "[apis]\nfile = \"apis.toml\"\nfrom_store = false\n[notify.webhook]\nurl = \"http://hook.invalid/x\"\n";
    place.write("api-health.toml", apis);
    for (api, code) in [("a", 0), ("own", 0), ("direct", 1), ("none", 1)] {
        let ran = with(&["probe", api], &[]);
        assert_eq!(ran.code, code, "{api}: {ran:?}");
    }
    assert_eq!((count(&of_variable), count(&of_field)), (1, 1));
    assert_eq!(with(&["probe", "a"], &[("HTTP_PROXY", "http://127.0.0.1:1")]).code, 0, "it is no variable of ours");
    let told = with(&["alerts", "test"], &[]);
    assert_eq!(told.code, 0, "{told:?}");
    let heads = of_variable.lock().unwrap().clone();
    assert!(heads.iter().any(|head| head.starts_with("POST http://hook.invalid/x ")), "{heads:?}");

    let shown = with(&["settings", "show"], &[]).out;
    let line = |name: &str| shown.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(line("http_proxy").contains(&format!("http://***@{by_variable}")), "{shown}");
    assert!(line("no_proxy").contains("direct.invalid ") && line("no_proxy").ends_with("variable no_proxy"), "{shown}");
    let ran = with(&["doctor", "--json"], &[("https_proxy", "socks5://127.0.0.1:1")]);
    let found = Found::new(ran.code, &ran.out);
    let said: Vec<_> = found.all("proxy").into_iter().map(|(result, what, _)| (result, what)).collect();
    let used = format!("{by_variable} for http (environment variable http_proxy), but not for what no_proxy names");
    let unusable =
        "environment variable https_proxy is neither the URL of an http proxy nor \"none\": https goes without a proxy";
    assert_eq!(said, [("ok", &*used), ("warn", unusable)]);
    let (_, hosts, _) = found.one("api_hosts");
    assert!(hosts.starts_with("2 of 2 hosts tried"), "whom a proxy is asked for, it looks up itself: {hosts}");

    place.write("api-health.toml", &format!("proxy = \"http://me:${{env:KEY}}@{by_setting}\"\n{apis}"));
    let ran = with(&["probe", "a"], &[("KEY", PASSWORD)]);
    assert_eq!((ran.code, count(&of_setting)), (0, 1), "{ran:?}");
    assert!(of_setting.lock().unwrap()[0].contains("\r\nproxy-authorization: Basic bWU6aHVudGVyMmh1bnRlcjI=\r\n"));
    let shown = with(&["settings", "show"], &[("KEY", PASSWORD)]).out;
    assert!(shown.contains(&format!("http://***@{by_setting}  ")), "{shown}");
    let rows = with(&["apis", "show", "own"], &[("KEY", PASSWORD)]);
    assert!(!rows.out.contains(&by_field) || rows.out.contains("***"), "{rows:?}");
    place.write("api-health.toml", &format!("proxy = \"none\"\n{apis}"));
    assert_eq!(with(&["probe", "a"], &[]).code, 1, "directly, and there is no such name");
}

#[test]
fn a_proxy_that_is_written_wrong_is_one_clear_error_without_its_password() {
    let place = Place::new();
    place.write("api-health.toml", &format!("proxy = \"socks5://me:{PASSWORD}@a:1\"\n"));
    let ran = place.run(&["settings", "show"]);
    assert_eq!(ran.code, 64, "{ran:?}");
    assert!(ran.err.contains("line 1: proxy: the proxy is neither the URL of an http proxy nor \"none\""), "{ran:?}");
    assert!(!ran.err.contains(PASSWORD), "{ran:?}");
    place.write("api-health.toml", "[apis]\nfile = \"apis.toml\"\nfrom_store = false\n");
    let row = format!("[[api]]\napi_id = \"a\"\nurl = \"http://a.test/\"\nproxy = \"https://me:{PASSWORD}@a:1\"\n");
    place.write("apis.toml", &row);
    let ran = place.run(&["apis", "validate"]);
    assert_eq!(ran.code, 64, "{ran:?}");
    assert!(ran.err.contains("proxy: the proxy is a proxy that speaks TLS itself"), "{ran:?}");
    assert!(!ran.err.contains(PASSWORD) && !ran.out.contains(PASSWORD), "{ran:?}");
}

#[test]
fn aws_goes_by_the_proxy_that_is_set_and_its_failure_names_no_password() {
    let place = Place::new();
    let (address, heads) = proxy();
    place.write(
        "api-health.toml",
        &format!(
            "proxy = \"http://me:{PASSWORD}@{address}\"\nregion = \"eu-central-1\"\n[store]\nkind = \"dynamodb\"\n"
        ),
    );
    let mut command = place.command(&["status"]);
    for (name, value) in
        [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_ENDPOINT_URL", "http://dynamodb.invalid:81")]
    {
        command.env(name, value);
    }
    let ran = finish(&mut command);
    assert!(!ran.out.contains(PASSWORD) && !ran.err.contains(PASSWORD), "{ran:?}");
    let heads = heads.lock().unwrap();
    assert!(heads.iter().any(|head| head.starts_with("POST http://dynamodb.invalid:81/ ")), "{heads:?} {ran:?}");
}
