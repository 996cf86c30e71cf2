//! Cuts and heals links of small networks of proxies, and looks at what gets through.

use super::*;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const A: HostId = HostId(0);
const B: HostId = HostId(1);

fn cut_plan(pairs: &[(HostId, HostId)]) -> LinkPlan {
    LinkPlan::with_cuts(pairs.iter().copied())
}

/// Two hosts, and a connection from the first to the second.
async fn connect_pair() -> (Proxies, TcpStream, TcpStream) {
    let proxies = Proxies::build(2).await.expect("addresses are free");
    let listener = listen_as_replica(&proxies).await;
    let near = TcpStream::connect(proxies.dial_addr(A, B)).await.expect("the proxy listens");
    let (far, _) = listener.accept().await.expect("the proxy dials");
    (proxies, near, far)
}

async fn listen_as_replica(proxies: &Proxies) -> TcpListener {
    TcpListener::bind(proxies.listen_addr(B, Port::Peer)).await.expect("the port is free")
}

async fn send_text(stream: &mut TcpStream, word: &str) {
    stream.write_all(word.as_bytes()).await.expect("the connection stands");
}

/// What arrives within a moment.
async fn receive_text(stream: &mut TcpStream) -> String {
    let mut buffer = [0; 64];
    match timeout(Duration::from_millis(100), stream.read(&mut buffer)).await {
        Ok(length) => String::from_utf8_lossy(&buffer[..length.expect("it stands")]).into_owned(),
        Err(_) => "silence".to_owned(),
    }
}

#[tokio::test]
async fn a_whole_link_carries_both_directions() {
    let (_proxies, mut near, mut far) = connect_pair().await;
    send_text(&mut near, "ping").await;
    assert_eq!(receive_text(&mut far).await, "ping");
    send_text(&mut far, "pong!").await;
    assert_eq!(receive_text(&mut near).await, "pong!");
}

#[tokio::test]
async fn a_one_way_cut_withholds_one_direction_until_it_heals() {
    let (proxies, mut near, mut far) = connect_pair().await;
    proxies.apply_plan(&cut_plan(&[(A, B)]));
    send_text(&mut near, "ping").await;
    send_text(&mut far, "pong").await;
    assert_eq!(receive_text(&mut near).await, "pong");
    assert_eq!(receive_text(&mut far).await, "silence");
    proxies.apply_plan(&LinkPlan::healed());
    assert_eq!(receive_text(&mut far).await, "ping");
}

#[tokio::test]
async fn replies_on_the_other_hosts_connection_are_cut_as_well() {
    let (proxies, mut near, mut far) = connect_pair().await;
    proxies.apply_plan(&cut_plan(&[(B, A)]));
    send_text(&mut near, "ping").await;
    assert_eq!(receive_text(&mut far).await, "ping");
    send_text(&mut far, "pong").await;
    assert_eq!(receive_text(&mut near).await, "silence");
    drop(far);
    assert_eq!(receive_text(&mut near).await, "silence", "the end of the stream is held too");
    proxies.apply_plan(&LinkPlan::healed());
    assert_eq!(receive_text(&mut near).await, "pong");
}

#[tokio::test]
async fn a_connection_opened_over_a_cut_link_waits_until_it_heals() {
    let proxies = Proxies::build(2).await.expect("addresses are free");
    let listener = listen_as_replica(&proxies).await;
    proxies.apply_plan(&cut_plan(&[(A, B)]));
    let mut near = TcpStream::connect(proxies.dial_addr(A, B)).await.expect("it listens");
    send_text(&mut near, "ping").await;
    let early = timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(early.is_err(), "the connection is held");
    proxies.apply_plan(&LinkPlan::healed());
    let (mut far, _) = listener.accept().await.expect("now it is");
    assert_eq!(receive_text(&mut far).await, "ping");
}

/// What the network counts while this plan is on, in order of (from, to).
async fn observe_traffic(proxies: &Proxies, plan: &LinkPlan) -> Vec<LinkTotals> {
    proxies.apply_plan(plan);
    let mark = proxies.snapshot_traffic();
    sleep(Duration::from_millis(500)).await;
    proxies.traffic_since(&mark)
}

fn is_held(tally: &LinkTotals) -> bool {
    tally.offered > 0 && tally.delivered == 0 && tally.dropped > 0
}

fn is_delivered(tally: &LinkTotals) -> bool {
    tally.offered > 0 && tally.delivered > 0 && tally.dropped == 0
}

#[tokio::test]
async fn probes_tell_which_direction_is_cut_though_no_replica_says_a_word() {
    let proxies = Proxies::build(2).await.expect("addresses are free");
    for (plan, is_cut) in [
        (cut_plan(&[(A, B)]), [true, false]),
        (cut_plan(&[(A, B), (B, A)]), [true, true]),
        (cut_plan(&[(B, A)]), [false, true]),
        (LinkPlan::healed(), [false, false]),
    ] {
        let seen = observe_traffic(&proxies, &plan).await;
        for (tally, is_cut) in seen.iter().zip(is_cut) {
            assert!(
                if is_cut { is_held(tally) } else { is_delivered(tally) },
                "{plan:?}: {seen:?}"
            );
        }
    }
}

#[tokio::test]
async fn plans_turn_into_each_other_and_a_link_that_stays_cut_stays_tried() {
    const C: HostId = HostId(2);
    let proxies = Proxies::build(3).await.expect("addresses are free");
    for also in [(A, C), (B, C), (C, A), (C, B)] {
        let seen = observe_traffic(&proxies, &cut_plan(&[(A, B), also])).await;
        for (pair, tally) in directed_pairs(3).zip(&seen) {
            let is_cut = pair == (A, B) || pair == also;
            assert!(
                if is_cut { is_held(tally) } else { is_delivered(tally) },
                "{pair:?}: {seen:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_whole_link_delivers_every_probe_that_had_time_to_arrive() {
    let proxies = Proxies::build(2).await.expect("addresses are free");
    let seen = observe_traffic(&proxies, &LinkPlan::healed()).await;
    assert!(seen.iter().all(|tally| tally.offered == tally.delivered), "{seen:?}");
}

#[tokio::test]
async fn probes_never_reach_a_replica() {
    let proxies = Proxies::build(2).await.expect("addresses are free");
    let listener = listen_as_replica(&proxies).await;
    observe_traffic(&proxies, &cut_plan(&[(A, B)])).await;
    observe_traffic(&proxies, &LinkPlan::healed()).await;
    assert!(timeout(Duration::from_millis(100), listener.accept()).await.is_err());
}

#[tokio::test]
async fn a_dead_replica_closes_its_connections() {
    let (_proxies, mut near, far) = connect_pair().await;
    drop(far);
    assert_eq!(receive_text(&mut near).await, "");
}

#[tokio::test]
async fn networks_beside_each_other_do_not_collide() {
    let one = Proxies::build(3).await.expect("addresses are free");
    let _replica = listen_as_replica(&one).await;
    let other = Proxies::build(3).await.expect("addresses are free");
    assert_ne!(one.listen_addr(B, Port::Peer), other.listen_addr(B, Port::Peer));
}
