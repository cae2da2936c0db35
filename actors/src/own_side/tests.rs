//! What an exchange shows of our own side, without actors.

use api_health_core::{PhaseTimes, Response};

use super::*;
use crate::ports::NoWitnesses;
use crate::testkit::{VirtualClock, api, in_virtual_time};

fn passed(address: Ipv4Addr) -> Observation {
    let resolve = Some(Duration::from_millis(1));
    let answer = Answer::Response(Response { status: 200, ..Response::default() });
    Observation {
        took: Duration::from_millis(20),
        phases: PhaseTimes { resolve, ..PhaseTimes::default() },
        address: Some((address, 443).into()),
        ..Observation::new(answer, Timestamp::default())
    }
}

#[test]
fn so_many_names_are_kept_and_a_proof_costs_no_lock() {
    in_virtual_time(async {
        let own_side = OwnSide::new(Arc::new(NoWitnesses), TimeBase::new(Arc::new(VirtualClock::new())));
        for n in 0..100_u64 {
            own_side.saw(
                &api(&format!("a{n}"), 10),
                &passed(Ipv4Addr::new(9, 9, 9, 9)),
                Duration::from_secs(10 + 2 * n),
            );
        }
        assert_eq!(own_side.known().names, ["a99.test", "a98.test", "a97.test", "a96.test"]);
        // Within the second it has a name, it takes no lock.
        let held = own_side.known();
        assert_eq!(
            own_side.saw(&api("a", 10), &passed(Ipv4Addr::new(9, 9, 9, 9)), Duration::from_millis(208_300)),
            None
        );
        drop(held);
        let far = OwnPart::to(IpAddr::from([9, 9, 9, 9]));
        assert_eq!(own_side.well_at(far), Some(Duration::from_millis(208_300)));
        own_side.saw(&api("a", 10), &passed(Ipv4Addr::LOCALHOST), Duration::from_secs(500));
        assert_eq!(
            own_side.well_at(OwnPart::NETWORK),
            Some(Duration::from_millis(208_300)),
            "this machine proves nothing"
        );
        assert_eq!(own_side.well_at(OwnPart::Lookup), None, "nor is a name that may stand in a file");
    });
}

#[test]
fn what_goes_by_a_proxy_on_this_machine_hangs_on_our_network_all_the_same() {
    in_virtual_time(async {
        let own_side = OwnSide::new(Arc::new(NoWitnesses), TimeBase::new(Arc::new(VirtualClock::new())));
        let (api, now) = (api("a", 10), Duration::from_secs(100));
        let hung = || {
            let timed_out = Failure::TimedOut { phase: Phase::FirstByte, after: Duration::from_secs(1) };
            let phases = PhaseTimes::default();
            Observation { answer: Answer::Failure(timed_out), phases, ..passed(Ipv4Addr::LOCALHOST) }
        };
        assert_eq!(own_side.saw(&api, &hung(), now), None, "who is on this machine itself needs no network");
        let by_proxy = |seen| Observation { by_proxy: true, ..seen };
        assert_eq!(own_side.saw(&api, &by_proxy(hung()), now), Some(OwnPart::NETWORK));
        let refused = Failure::BehindProxy { proxy: "localhost:3128".into(), status: 502 };
        let refused = |address| Observation { answer: Answer::Failure(refused.clone()), ..passed(address) };
        assert_eq!(own_side.saw(&api, &by_proxy(refused(Ipv4Addr::LOCALHOST)), now), Some(OwnPart::NETWORK));
        assert_eq!(own_side.saw(&api, &by_proxy(refused(Ipv4Addr::new(10, 0, 0, 1))), now), None, "it has its own");
        assert_eq!(own_side.known().names, [""; 0], "a name that the proxy looks up is none of ours");
        assert_eq!(own_side.well_at(OwnPart::NETWORK), None);
        own_side.saw(&api, &by_proxy(passed(Ipv4Addr::LOCALHOST)), now);
        assert_eq!(own_side.well_at(OwnPart::NETWORK), Some(now));
    });
}
