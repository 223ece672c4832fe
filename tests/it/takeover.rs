//! A new process beside the old: no query is lost while one leaves and the other stays.

use crate::{
    harness::{Ask, Server, eventually, folder, over_tcp, over_udp, start, take_over},
    internet::Internet,
};
use cleandns::dns::RrType;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

/// Clients that ask at the same time, each question from a port of its own, so that the kernel spreads them.
const CLIENTS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_process_takes_over_without_a_lost_query() {
    let internet = Internet::start().await;
    let old = start(folder(), Some(&internet), "").await;
    let address = old.dns();
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (stop, asked) = (stop.clone(), asked.clone());
            tokio::spawn(async move {
                let packet = Ask::new("www.tiktok.com", RrType::A).packet();
                let mut lost = 0;
                while !stop.load(Relaxed) {
                    let answer = match client % 4 {
                        0 => over_tcp(address, &packet).await,
                        _ => over_udp(address, &packet).await,
                    };
                    lost += usize::from(answer.is_none());
                    asked.fetch_add(1, Relaxed);
                }
                lost
            })
        })
        .collect();
    let some_more = async |asked: &AtomicUsize| {
        let before = asked.load(Relaxed);
        eventually("some more queries", || async { asked.load(Relaxed) > before + 500 }).await;
    };
    some_more(&asked).await;
    let new = take_over(folder(), &internet, &old, "").await;
    some_more(&asked).await;
    let Server { running, folder: _kept, .. } = old;
    running.stop().await;
    some_more(&asked).await;
    assert!(new.get("/readyz").await.0 == 200);
    stop.store(true, Relaxed);
    let mut lost = 0;
    for client in clients {
        lost += client.await.unwrap();
    }
    assert_eq!(lost, 0, "of {}", asked.load(Relaxed));
}
