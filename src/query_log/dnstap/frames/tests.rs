//! Streams against octets written by hand, broken ones, and handshakes with scripted peers.

use super::*;
use std::{
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    thread,
    time::Duration,
};

/// READY, ACCEPT or START by its number, written by hand.
fn typed(number: u8, content_type: &[u8]) -> Vec<u8> {
    let length = content_type.len() as u8;
    let head = [0, 0, 0, 0, 0, 0, 0, 12 + length, 0, 0, 0, number, 0, 0, 0, 1, 0, 0, 0, length];
    [&head, content_type].concat()
}

/// STOP or FINISH by its number.
fn plain(number: u8) -> Vec<u8> {
    vec![0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, number]
}

fn start() -> Vec<u8> {
    typed(2, b"protobuf:dnstap.Dnstap")
}

#[test]
fn a_stream_is_what_fstrm_writes() {
    let mut stream = Control::Start.frame();
    assert!(put_data(&mut stream, |out| out.extend_from_slice(b"hello")));
    Control::Stop.put(&mut stream);
    let golden = [
        &b"\0\0\0\0\0\0\0\x22\0\0\0\x02\0\0\0\x01\0\0\0\x16protobuf:dnstap.Dnstap"[..],
        b"\0\0\0\x05hello",
        b"\0\0\0\0\0\0\0\x04\0\0\0\x03",
    ];
    assert_eq!(stream, golden.concat());
    let frames: Vec<_> = Frames::new(&stream[..]).map(Result::unwrap).collect();
    assert_eq!(frames, [b"hello"]);
}

#[test]
fn what_is_no_frame_is_not_put() {
    let mut out = b"before".to_vec();
    assert!(!put_data(&mut out, |_| {}), "it would announce a control frame");
    assert!(!put_data(&mut out, |out| out.resize(out.len() + DATA_BYTES_MAX + 1, 0)));
    assert!(!put_data(&mut out, Vec::clear));
    out = b"before".to_vec();
    assert!(put_data(&mut out, |out| out.resize(out.len() + DATA_BYTES_MAX, 0)));
    assert_eq!(out.len(), 6 + 4 + DATA_BYTES_MAX);
}

#[test]
fn streams_are_read_leniently_where_the_protocol_says_so() {
    let unknown = b"\0\0\0\0\0\0\0\x08\0\0\0\x09abcd";
    let untyped = plain(2);
    let two_types = b"\0\0\0\0\0\0\0\x2b\0\0\0\x02\0\0\0\x01\0\0\0\x01x\0\0\0\x01\0\0\0\x16protobuf:dnstap.Dnstap";
    for (what, parts) in [
        ("unknown control frames", &[&start()[..], unknown, b"\0\0\0\x01a", unknown, &plain(3)][..]),
        ("no content type", &[&untyped, b"\0\0\0\x01a", &plain(3)]),
        ("ours among others", &[two_types, b"\0\0\0\x01a", &plain(3)]),
    ] {
        let stream = parts.concat();
        let frames: Vec<_> = Frames::new(&stream[..]).map(|frame| frame.map_err(|error| error.to_string())).collect();
        assert_eq!(frames, [Ok(b"a".to_vec())], "{what}");
    }
}

#[test]
fn broken_streams_say_where() {
    let (start, stop, data) = (&start()[..], &plain(3)[..], &b"\0\0\0\x03abc"[..]);
    let table: [(&[&[u8]], usize, &str); 16] = [
        (&[], 0, "frame 1, at octet 0: it doesn't begin with START, so it is no dnstap file"),
        (&[b"\x1f\x8b\x08\x00gzip"], 0, "frame 1, at octet 0: it doesn't begin with START, so it is no dnstap file"),
        (&[data, stop], 0, "frame 1, at octet 0: it doesn't begin with START, so it is no dnstap file"),
        (&[stop], 0, "frame 1, at octet 0: it doesn't begin with START, so it is no dnstap file"),
        (
            &[b"\0\0\0\0\0\0\0\x09\0\0\0\x09abcde"],
            0,
            "frame 1, at octet 0: it doesn't begin with START, so it is no dnstap file",
        ),
        (&[b"\0\0"], 0, "frame 1, at octet 0: it ends within the frame"),
        (&[&start[..20]], 0, "frame 1, at octet 0: it ends within the frame"),
        (&[&typed(2, b"text:\xffx")], 0, "frame 1, at octet 0: it holds `text:\\xffx`, not dnstap"),
        (
            &[start, data],
            1,
            "frame 3, at octet 49: it ends without STOP: its writer is still at work, or was stopped by force",
        ),
        (&[start, data, b"\0\0\0\x09abc"], 1, "frame 3, at octet 49: it ends within the frame"),
        (
            &[start, data, b"\0\x10\0\x01abc"],
            1,
            "frame 3, at octet 49: a data frame of 1048577 octets, but they end at 1048576",
        ),
        (
            &[start, b"\0\0\0\0\0\0\x02\x01"],
            0,
            "frame 2, at octet 42: a control frame of 513 octets, but they end at 512",
        ),
        (&[start, b"\0\0\0\0\0\0\0\x03\0\0\0"], 0, "frame 2, at octet 42: a control frame that makes no sense"),
        (
            &[start, b"\0\0\0\0\0\0\0\x0c\0\0\0\x03\0\0\0\x02\0\0\0\0"],
            0,
            "frame 2, at octet 42: a control frame that makes no sense",
        ),
        (&[start, data, start], 1, "frame 3, at octet 49: START in the middle of the stream"),
        (&[start, data, stop, b"x"], 1, "frame 4, at octet 61: something follows after STOP, where the stream ends"),
    ];
    for (parts, good, why) in table {
        let stream = parts.concat();
        let mut frames = Frames::new(&stream[..]);
        let read: Vec<_> = frames.by_ref().collect();
        assert!(frames.next().is_none(), "{why}: it goes on");
        assert_eq!(read.len(), good + 1, "{why}");
        assert!(read[..good].iter().all(Result::is_ok), "{why}");
        assert_eq!(read[good].as_ref().unwrap_err().to_string(), why);
    }
}

/// Wherever it is cut, there is an error at the end and no panic.
#[test]
fn cut_streams_are_errors() {
    let stream = [&start()[..], b"\0\0\0\x03abc", b"\0\0\0\x01d", &plain(3)].concat();
    for end in 0..stream.len() {
        assert!(Frames::new(&stream[..end]).last().unwrap().is_err(), "{end}");
    }
    assert!(Frames::new(&stream[..]).all(|frame| frame.is_ok()));
}

#[test]
fn a_buffer_can_be_used_again() {
    let stream = [&start()[..], b"\0\0\0\x03abc", b"\0\0\0\x01d", &plain(3)].concat();
    let (mut frames, mut data, mut seen) = (Frames::new(&stream[..]), Vec::new(), Vec::new());
    while let Some(read) = frames.read_into(&mut data) {
        read.unwrap();
        seen.push(data.clone());
    }
    assert_eq!(seen, [&b"abc"[..], b"d"]);
}

/// Plays the reader's part: a step is what must come, and what is sent then.
fn play(mut peer: impl Read + Write + Send + 'static, script: Vec<(Vec<u8>, Vec<u8>)>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for (wanted, reply) in script {
            let mut read = vec![0; wanted.len()];
            peer.read_exact(&mut read).unwrap();
            assert_eq!(read, wanted);
            peer.write_all(&reply).unwrap();
        }
    })
}

fn whole_script() -> Vec<(Vec<u8>, Vec<u8>)> {
    let ready = typed(4, b"protobuf:dnstap.Dnstap");
    let accept = typed(1, b"protobuf:dnstap.Dnstap");
    vec![(ready, accept), (start(), vec![]), (b"\0\0\0\x01a".to_vec(), vec![]), (plain(3), plain(5))]
}

#[test]
fn a_stream_over_a_socket_is_opened_and_closed() {
    let (mut own, peer) = UnixStream::pair().unwrap();
    let reader = play(peer, whole_script());
    open_stream(&mut own).unwrap();
    own.write_all(b"\0\0\0\x01a").unwrap();
    close_stream(&mut own).unwrap();
    reader.join().unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut own = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let reader = play(listener.accept().unwrap().0, whole_script());
    open_stream(&mut own).unwrap();
    own.write_all(b"\0\0\0\x01a").unwrap();
    close_stream(&mut own).unwrap();
    reader.join().unwrap();
}

#[test]
fn peers_that_play_another_part_are_errors() {
    let ready = typed(4, b"protobuf:dnstap.Dnstap");
    for (reply, why) in [
        (typed(1, b"text"), "it holds `text`, not dnstap"),
        (plain(5), "the other side sent something else than ACCEPT"),
        (b"\0\0\0\x04data".to_vec(), "the other side sent something else than ACCEPT"),
        (b"HTTP/1.1 400 Bad Request".to_vec(), "a data frame of 1213486160 octets, but they end at 1048576"),
        (plain(9), "the other side sent something else than ACCEPT"),
        (vec![], "the other side closed the connection instead of ACCEPT"),
    ] {
        let (mut own, peer) = UnixStream::pair().unwrap();
        let reader = play(peer, vec![(ready.clone(), reply)]);
        assert_eq!(open_stream(&mut own).unwrap_err().to_string(), why);
        reader.join().unwrap();
    }
}

#[test]
fn a_silent_peer_is_waited_for_as_long_as_the_socket_says() {
    let (mut own, _peer) = UnixStream::pair().unwrap();
    own.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    assert!(matches!(open_stream(&mut own), Err(StreamError::Silent)));
    assert!(matches!(close_stream(&mut own), Err(StreamError::Silent)));
}
