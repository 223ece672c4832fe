//! A server that is to come in place of another, in processes of their own.

use super::*;
use std::net::TcpListener;

/// Who has the address of the pages is told, and whoever serves goes on to.
#[test]
fn pages_are_taken_over_from_the_server_that_leaves_alone() {
    let (old, mut serving) = Place::serve("");
    let (other, other_serving) = Place::serve("");
    let mut new = Place::new("");
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let of_other = format!(
        "port {} can't be taken over: cleandns (PID {}) has it, which listens on {} and on no address of listen.do53",
        other.admin.port(),
        other_serving.child.id(),
        other.dns
    );
    for (admin, said) in [
        (other.admin, of_other.as_str()),
        (stranger.local_addr().unwrap(), "--take-over is for a cleandns that has it"),
    ] {
        (new.dns, new.admin) = (old.dns, admin);
        new.configure("");
        let ended = new.run(&["serve", "--take-over"]);
        assert_eq!(ended.code, Some(78), "{ended:?}");
        has(&ended.stderr, &[&format!("admin.listen: can't listen on {admin} (HTTP)"), said]);
        for place in [&old, &other] {
            has(&place.run(&["query", "blocked.example"]).stdout, &["NXDOMAIN"]);
            assert_eq!(place.run(&["health"]).code, Some(0));
        }
    }
    (new.dns, new.admin) = (old.dns, old.admin);
    new.configure("");
    let _new_serving = Serving::start(new.command(&["serve", "--take-over"])).expect("it takes over");
    serving.signal("-TERM");
    assert_eq!(serving.code(), Some(0));
    has(&new.run(&["query", "blocked.example"]).stdout, &["NXDOMAIN"]);
    assert_eq!(new.run(&["health"]).code, Some(0));
}
