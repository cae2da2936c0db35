//! APIs that hang cost the others nothing.

use std::time::{Duration, Instant};

use crate::apis::row_with;
use crate::daemon::{Home, SOON, let_pass, wait_for};
use crate::support::http::{Answer, Server};

const APIS: usize = 200;
const HANGING: usize = 20;

#[test]
#[allow(clippy::disallowed_methods, reason = "the test's own clock")]
fn with_one_api_in_ten_hanging_the_others_keep_their_cadence() {
    let target = Server::start();
    let mut rows = String::new();
    for n in 0..APIS {
        let path = format!("/{n}");
        if n % (APIS / HANGING) == 0 {
            target.set(&path, Answer::Hang);
        }
        rows.push_str(&row_with(&format!("api-{n}"), &target.url(&path), "timeout_seconds = 120"));
    }
    let home = Home::new("[run]\nshutdown_seconds = 1\n", &rows);
    let daemon = home.run();
    let hits = || -> Vec<usize> { (0..APIS).map(|n| target.hits(&format!("/{n}"))).collect() };
    wait_for("all are probed", SOON, || hits().iter().all(|count| *count > 0).then_some(()));
    let (before, began) = (hits(), Instant::now());
    let_pass(Duration::from_secs(8));
    let (after, seconds) = (hits(), began.elapsed().as_secs_f64());
    for n in 0..APIS {
        let (count, hangs) = (after[n] - before[n], n % (APIS / HANGING) == 0);
        if hangs {
            assert_eq!(after[n], 1, "api-{n}: its one probe is still under way");
        } else {
            // A tick that comes while the machine is busy may be missed; it is never made up for.
            let fits = count as f64 >= seconds * 0.5 && count as f64 <= seconds + 2.0;
            assert!(fits, "api-{n}: {count} probes in {seconds:.1} s");
        }
    }
    assert_eq!(daemon.stop().code, Some(0));
}
