//! Beside a daemon and without one: what is owed goes out once, in order, and what came of it is noted.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::{ApiId, ApiState, Status, delivery};

use super::*;
use crate::ports::StateStore;
use crate::system::Options;
use crate::testkit::channel::ChannelFault;
use crate::testkit::store::StoreFault;
use crate::testkit::target::Behaviour;
use crate::testkit::{FakeChannel, FakeWorld, api, in_virtual_time};

fn teller(world: &FakeWorld) -> Teller {
    Teller {
        store: Arc::new(world.store.clone()),
        notifiers: world.channels.iter().map(|channel| Arc::new(channel.clone()) as Arc<dyn Notifier>).collect(),
        clock: Arc::new(world.clock.clone()),
        instance: "retry".into(),
        alone: false,
    }
}

async fn stored(world: &FakeWorld) -> ApiState {
    world.store.load(ApiId::parse("a").unwrap()).await.unwrap().unwrap().unwrap()
}

async fn tell(world: &FakeWorld, wanted: &[&str]) -> Vec<String> {
    let is_wanted = |id: &str| wanted.is_empty() || wanted.iter().any(|end| id.ends_with(end));
    let told = teller(world).tell(stored(world).await, &is_wanted).await;
    let word = |told: &Told| match &told.result {
        Tried::TakenOver { unnoted: None, .. } => "taken over".to_owned(),
        Tried::TakenOver { unnoted: Some(_), .. } => "taken over, unnoted".to_owned(),
        Tried::Failed { why, .. } => format!("failed: {why}"),
        Tried::Behind(_) => "behind".to_owned(),
        Tried::Theirs(by) => format!("handed over by {by}"),
        Tried::Elsewhere => "elsewhere".to_owned(),
        Tried::NotClaimed(_) => "not claimed".to_owned(),
    };
    told.iter().map(|told| format!("{} {}: {}", told.channel, told.alert.kind.as_str(), word(told))).collect()
}

async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

/// A world whose API went down and came back while every channel was dead; two channels.
async fn two_owed() -> FakeWorld {
    let mut world = FakeWorld::new(vec![api("a", 10)]);
    world.channels.push(FakeChannel::new("other", world.clock.clone()));
    for channel in &world.channels {
        channel.set_fault(ChannelFault::Permanent);
    }
    let running = world.start(Options::default()).await;
    pass(30).await;
    world.targets.set("a", Behaviour::Answers(503));
    pass(60).await;
    world.targets.set("a", Behaviour::Answers(200));
    pass(60).await;
    running.crash();
    pass(1).await;
    assert_eq!(stored(&world).await.owed.len(), 2);
    world
}

fn mend(world: &FakeWorld) {
    for channel in &world.channels {
        channel.set_fault(ChannelFault::None);
    }
}

#[test]
fn without_a_daemon_each_channel_is_told_in_order_and_the_claim_is_given_back() {
    in_virtual_time(async {
        let world = two_owed().await;
        mend(&world);
        let told = tell(&world, &[]).await;
        assert_eq!(
            told,
            ["pager down: taken over", "other down: taken over", "pager up: taken over", "other up: taken over"]
        );
        assert_eq!(
            (world.channels[0].lines(), world.channels[1].lines().len()),
            (vec!["a down".into(), "a up".into()], 2)
        );
        let state = stored(&world).await;
        assert_eq!(state.claim, None);
        assert!(state.owed.iter().all(|owed| owed.is_delivered("pager") && owed.is_delivered("other")));
        assert_eq!(tell(&world, &[]).await, [""; 0], "nothing is left");
        // Whoever watches next strikes them.
        let _running = world.start(Options::default()).await;
        pass(30).await;
        assert_eq!(stored(&world).await.owed, []);
        assert_eq!(world.channels[0].lines().len(), 2);
    });
}

#[test]
fn a_channel_that_does_not_take_the_first_is_not_offered_the_second_and_holds_up_no_other() {
    in_virtual_time(async {
        let world = two_owed().await;
        mend(&world);
        world.channels[0].set_fault(ChannelFault::Unavailable);
        let failures = |state: &ApiState| state.owed[0].delivery("pager").unwrap().failures;
        let before = failures(&stored(&world).await);
        let told = tell(&world, &[]).await;
        assert_eq!(
            told,
            ["pager down: failed: planted", "other down: taken over", "other up: taken over", "pager up: behind"]
        );
        let state = stored(&world).await;
        assert_eq!((failures(&state), state.claim), (before + 1, None));
        assert_eq!(state.owed[0].delivery("pager").unwrap().last_error.as_deref(), Some("planted"));
        world.channels[0].set_fault(ChannelFault::Hangs);
        assert_eq!(tell(&world, &[]).await[0], "pager down: failed: no answer within 20 s");
    });
}

#[test]
fn what_is_named_goes_out_with_what_comes_before_it_and_no_more() {
    in_virtual_time(async {
        let world = two_owed().await;
        mend(&world);
        assert_eq!(tell(&world, &[".down"]).await, ["pager down: taken over", "other down: taken over"]);
        assert_eq!(stored(&world).await.owed.len(), 2, "nothing is struck from here");
        assert_eq!(tell(&world, &[".up"]).await, ["pager up: taken over", "other up: taken over"]);
    });
}

#[test]
fn another_process_is_waited_for_until_its_claim_lapses_and_not_a_moment_less() {
    in_virtual_time(async {
        let world = two_owed().await;
        mend(&world);
        let mut state = stored(&world).await;
        delivery::claim(&mut state, "somebody", world.clock.now());
        world.store.overwrite(state.clone());
        let began = Instant::now();
        assert_eq!(tell(&world, &[]).await.len(), 4);
        assert!(began.elapsed() >= CLAIM_LASTS - Duration::from_secs(1), "{:?}", began.elapsed());
        assert_eq!(world.channels[0].lines().len(), 2);

        // Nobody else can use the store: a claim in it is of the dead.
        let world = two_owed().await;
        mend(&world);
        world.store.overwrite(ApiState { claim: state.claim.clone(), ..stored(&world).await });
        let mut claimed = stored(&world).await;
        delivery::claim(&mut claimed, "the dead", world.clock.now());
        world.store.overwrite(claimed.clone());
        let began = Instant::now();
        Teller { alone: true, ..teller(&world) }.tell(claimed, &|_| true).await;
        assert!(began.elapsed() < Duration::from_secs(1));
        assert_eq!(world.channels[0].lines().len(), 2);
    });
}

#[test]
fn who_claims_anew_all_the_time_is_left_to_it() {
    in_virtual_time(async {
        let world = two_owed().await;
        let busy = world.clone();
        let renew = async move {
            loop {
                let mut state = stored(&busy).await;
                delivery::claim(&mut state, "somebody", busy.clock.now());
                state.version += 1;
                busy.store.overwrite(state);
                pass(5).await;
            }
        };
        let told = tokio::select! {
            biased; // somebody claims first
            () = renew => unreachable!(),
            told = tell(&world, &[]) => told,
        };
        assert_eq!(told.len(), 4);
        assert!(told.iter().all(|line| line.ends_with("handed over by somebody")), "{told:?}");
        assert_eq!(world.channels[0].lines(), [""; 0]);
    });
}

#[test]
fn beside_a_daemon_nothing_is_told_twice_and_the_next_alert_does_not_wait_for_the_one_that_is_gone() {
    in_virtual_time(async {
        let world = FakeWorld::new(vec![api("a", 10)]);
        world.channels[0].set_fault(ChannelFault::Permanent);
        let _running = world.start(Options::default()).await;
        pass(30).await;
        world.targets.set("a", Behaviour::Answers(503));
        pass(60).await;
        assert_eq!(stored(&world).await.owed[0].delivery("pager").unwrap().failures, 1);
        mend(&world);
        assert_eq!(tell(&world, &[]).await, ["pager down: taken over"]);
        pass(20).await;
        assert_eq!(stored(&world).await.owed, [], "the daemon has seen it and struck it");
        // The daemon's own next try of the DOWN would come after five minutes; the UP does not wait for that.
        world.targets.set("a", Behaviour::Answers(200));
        pass(30).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a up"]);
        pass(600).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a up"]);
        assert_eq!(stored(&world).await.status, Status::Up);
    });
}

#[test]
fn in_the_same_moment_as_the_daemon_one_of_them_does_it() {
    in_virtual_time(async {
        for offset in 0..40_u64 {
            let world = FakeWorld::new(vec![api("a", 10)]);
            world.channels[0].set_fault(ChannelFault::Unavailable);
            let running = world.start(Options::default()).await;
            pass(30).await;
            world.targets.set("a", Behaviour::Answers(503));
            sleep(Duration::from_millis(20_000 + offset * 977)).await;
            mend(&world);
            let told = tell(&world, &[]).await;
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].ends_with("taken over") || told[0].ends_with("elsewhere"), "{told:?}");
            pass(120).await;
            assert_eq!(world.channels[0].lines(), ["a down"], "{offset}");
            assert_eq!(stored(&world).await.owed, []);
            running.crash();
            pass(1).await;
        }
    });
}

#[test]
fn a_store_that_takes_no_claim_lets_nothing_out_and_a_result_that_cannot_be_noted_is_said() {
    in_virtual_time(async {
        let world = two_owed().await;
        mend(&world);
        let state = stored(&world).await;
        world.store.set_fault(StoreFault::Unavailable);
        let told = teller(&world).tell(state, &|_| true).await;
        assert!(told.len() == 4 && told.iter().all(|told| matches!(told.result, Tried::NotClaimed(_))), "{told:?}");
        assert_eq!(world.channels[0].lines(), [""; 0]);

        world.store.set_fault(StoreFault::AnswerLost);
        let told = tell(&world, &[]).await;
        assert_eq!(told.len(), 4, "{told:?}");
        assert_eq!(world.channels[0].lines(), ["a down", "a up"], "a lost answer repeats nothing");
    });
}
