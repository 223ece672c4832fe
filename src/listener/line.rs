//! The line between two processes of which one takes over from the other: messages over a socket that has a name and no file
//! (unix(7), "abstract"), and connections along with them (SCM_RIGHTS).
//!
//! Its name is made of the address that both serve. Anybody on this machine may call at it, or have it first, so that both
//! sides ask the kernel who the other is: whoever isn't the same user hears nothing and gets nothing.

use super::proxied::Ends;
use nix::{
    sys::socket::{getsockopt, sockopt::PeerCredentials},
    unistd::{Uid, geteuid},
};
use rustix::{
    cmsg_space,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, recvmsg, sendmsg,
    },
};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    net::{SocketAddr, TcpStream},
    os::fd::{BorrowedFd, OwnedFd},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::Interest,
    net::{UnixListener, UnixStream},
};

/// Who may call at once, or be about to take over: one is what there usually is.
pub const HEIRS_MAX: usize = 4;
/// Octets that go along with a connection: the longest query but one octet, with its length, and what is read at once.
pub const UNREAD_BYTES_MAX: usize = 6 << 10;
/// Octets of a message before them.
const HEAD_BYTES_MAX: usize = 256;
const MESSAGE_BYTES_MAX: usize = HEAD_BYTES_MAX + UNREAD_BYTES_MAX;
/// Room for what goes along with a message: one connection.
const CONTROL_BYTES: usize = cmsg_space!(ScmRights(1));

/// How an address is called among processes, of this version of what they say. Within one network namespace, as the address.
pub fn name(address: SocketAddr) -> io::Result<SockAddr> {
    SockAddr::unix(format!("\0cleandns/1/{address}"))
}

/// What is known of a connection besides the octets to come.
#[derive(PartialEq, Eq, Debug)]
pub struct Handed {
    pub ends: Ends,
    /// These are whom it is for, if need be by a proxy's word. Else a proxy has yet to say so.
    pub is_told: bool,
    /// How long it may live on; in whole milliseconds between processes.
    pub left: Duration,
    /// What came of queries that nobody has answered; at most [`UNREAD_BYTES_MAX`].
    pub unread: Vec<u8>,
}

/// What one process says to the other.
#[derive(Debug)]
pub enum Message {
    /// The old one: it is time to leave, and the name is free. Can you take connections?
    Leaving,
    /// The new one: yes.
    Ready,
    /// Has a connection go along.
    Connection(TcpStream, Handed),
    /// Not understood.
    Other,
}

/// Messages that are but a word.
#[derive(Clone, Copy)]
pub enum Word {
    Leaving,
    Ready,
}

impl Word {
    const fn text(self) -> &'static [u8] {
        match self {
            Self::Leaving => b"leaving",
            Self::Ready => b"ready",
        }
    }
}

/// Who takes connections over.
#[derive(Clone, Default)]
pub enum Heir {
    /// It isn't time to leave, or not known yet.
    #[default]
    Unknown,
    Nobody,
    Is(Arc<Line>),
}

/// A line to a process of the same user. The type is that of a stream, for what waits until a socket is ready; it keeps
/// messages apart (SOCK_SEQPACKET), and is never read or written as a stream.
pub struct Line(UnixStream);

impl Line {
    /// Calls at a name. Must be called within the runtime.
    ///
    /// # Errors
    ///
    /// Nobody has it; or somebody of another user; or too many call.
    pub fn call(name: &SockAddr) -> io::Result<Self> {
        let socket = new_socket()?;
        socket.connect(name)?;
        Self::to_own(UnixStream::from_std(OwnedFd::from(socket).into())?, geteuid())
    }

    /// Nothing but an error if who is at its end isn't that user.
    fn to_own(socket: UnixStream, own: Uid) -> io::Result<Self> {
        let other = Uid::from_raw(getsockopt(&socket, PeerCredentials)?.uid());
        if other != own {
            let why = format!("user {other} has no part in what user {own} serves");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        Ok(Self(socket))
    }

    /// Says a word. Waits while the other one doesn't listen.
    pub async fn say(&self, word: Word) -> io::Result<()> {
        self.send(&[word.text()], None).await
    }

    /// Has a connection go along with what is known of it. It is the other's then, of whom nothing is heard; the handle here
    /// is of no more use.
    pub async fn hand_over(&self, connection: BorrowedFd<'_>, handed: &Handed) -> io::Result<()> {
        self.send(&[head(handed).as_bytes(), &handed.unread], Some(connection)).await
    }

    async fn send(&self, parts: &[&[u8]], connection: Option<BorrowedFd<'_>>) -> io::Result<()> {
        self.0
            .async_io(Interest::WRITABLE, || {
                let parts: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
                let mut room = [MaybeUninit::uninit(); CONTROL_BYTES];
                let mut along = SendAncillaryBuffer::new(&mut room);
                let connections = connection.as_slice();
                if !connections.is_empty() && !along.push(SendAncillaryMessage::ScmRights(connections)) {
                    return Err(io::ErrorKind::OutOfMemory.into());
                }
                sendmsg(&self.0, &parts, &mut along, SendFlags::NOSIGNAL)?;
                Ok(())
            })
            .await
    }

    /// Waits for the next message; `None` once nobody is there any more.
    pub async fn hear(&self) -> io::Result<Option<Message>> {
        self.0.async_io(Interest::READABLE, || receive(&self.0)).await
    }
}

/// A message that is there. What goes along and isn't expected is closed.
fn receive(socket: &UnixStream) -> io::Result<Option<Message>> {
    let mut octets = [0; MESSAGE_BYTES_MAX];
    let mut room = [MaybeUninit::uninit(); CONTROL_BYTES];
    let mut along = RecvAncillaryBuffer::new(&mut room);
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut octets)], &mut along, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut connections: Vec<OwnedFd> = Vec::new();
    for one in along.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = one {
            connections.extend(descriptors);
        }
    }
    let is_whole = !received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    let message = is_whole.then(|| read(&octets[..received.bytes], connections)).flatten();
    Ok(Some(message.unwrap_or(Message::Other)))
}

fn read(octets: &[u8], mut connections: Vec<OwnedFd>) -> Option<Message> {
    match (octets, connections.pop()) {
        (octets, None) if octets == Word::Leaving.text() => Some(Message::Leaving),
        (octets, None) if octets == Word::Ready.text() => Some(Message::Ready),
        (octets, Some(connection)) if connections.is_empty() => {
            Some(Message::Connection(stream(connection).ok()?, read_handed(octets)?))
        }
        _ => None,
    }
}

/// `connection CLIENT OWN MILLISECONDS told` or `untold`, and a line's end.
fn head(Handed { ends: (client, own), is_told, left, .. }: &Handed) -> String {
    let told = if *is_told { "told" } else { "untold" };
    format!("connection {client} {own} {} {told}\n", left.as_millis())
}

fn read_handed(octets: &[u8]) -> Option<Handed> {
    let end = octets.iter().position(|octet| *octet == b'\n')?;
    let words: Vec<&str> = str::from_utf8(&octets[..end]).ok()?.split(' ').collect();
    let ["connection", client, own, left, told] = words[..] else { return None };
    let unread = octets[end + 1..].to_vec();
    let is_told = match told {
        "told" => true,
        "untold" => false,
        _ => return None,
    };
    let handed = Handed {
        ends: (client.parse().ok()?, own.parse().ok()?),
        is_told,
        left: Duration::from_millis(left.parse().ok()?),
        unread,
    };
    (handed.unread.len() <= UNREAD_BYTES_MAX).then_some(handed)
}

/// A connection over IP, if that is what it is.
fn stream(descriptor: OwnedFd) -> io::Result<TcpStream> {
    let socket = Socket::from(descriptor);
    let is_ip = [Domain::IPV4, Domain::IPV6].contains(&socket.domain()?);
    if !is_ip || socket.r#type()? != Type::STREAM || socket.is_listener()? {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn new_socket() -> io::Result<Socket> {
    Socket::new(Domain::UNIX, Type::SEQPACKET.nonblocking(), None)
}

/// Where others call.
pub struct Door(UnixListener);

impl Door {
    /// Takes a name, which is free again once this is dropped. Must be called within the runtime.
    ///
    /// # Errors
    ///
    /// Somebody has it.
    pub fn open(name: &SockAddr) -> io::Result<Self> {
        let socket = new_socket()?;
        socket.bind(name)?;
        socket.listen(HEIRS_MAX as i32)?;
        Ok(Self(UnixListener::from_std(OwnedFd::from(socket).into())?))
    }

    /// Waits for the next who calls.
    ///
    /// # Errors
    ///
    /// It is somebody of another user; or out of descriptors.
    pub async fn next(&self) -> io::Result<Line> {
        let (socket, _) = self.0.accept().await?;
        Line::to_own(socket, geteuid())
    }

    /// Who has called already.
    pub fn waiting(&self) -> io::Result<Line> {
        let (socket, _) = SockRef::from(&self.0).accept()?;
        socket.set_nonblocking(true)?;
        Line::to_own(UnixStream::from_std(OwnedFd::from(socket).into())?, geteuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{
        io::{Read, Write},
        net::TcpListener,
        os::fd::AsFd,
    };

    fn pair() -> (Line, Line) {
        let (one, other) = sockets();
        (Line::to_own(one, geteuid()).unwrap(), Line::to_own(other, geteuid()).unwrap())
    }

    fn sockets() -> (UnixStream, UnixStream) {
        let (one, other) = Socket::pair(Domain::UNIX, Type::SEQPACKET.nonblocking(), None).unwrap();
        let [one, other] = [one, other].map(|socket| UnixStream::from_std(OwnedFd::from(socket).into()).unwrap());
        (one, other)
    }

    fn handed(unread: usize) -> Handed {
        let ends = ("2001:db8::7".parse().unwrap(), "::ffff:192.0.2.53".parse().unwrap());
        Handed { ends, is_told: true, left: Duration::from_millis(1234), unread: vec![7; unread] }
    }

    /// Both ends of a connection.
    fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[tokio::test]
    async fn a_connection_goes_along_with_what_is_known_of_it() {
        let (old, new) = pair();
        let ((mut client, server), handed) = (connection(), handed(UNREAD_BYTES_MAX));
        old.say(Word::Leaving).await.unwrap();
        assert!(matches!(new.hear().await.unwrap(), Some(Message::Leaving)));
        new.say(Word::Ready).await.unwrap();
        assert!(matches!(old.hear().await.unwrap(), Some(Message::Ready)));
        old.hand_over(server.as_fd(), &handed).await.unwrap();
        drop((server, old));
        let Some(Message::Connection(mut server, told)) = new.hear().await.unwrap() else { panic!("no connection") };
        assert_eq!(told, handed);
        assert!(new.hear().await.unwrap().is_none());
        server.write_all(b"x").unwrap();
        let mut octet = [0];
        client.read_exact(&mut octet).unwrap();
        assert_eq!(&octet, b"x");
    }

    /// Whatever comes that isn't expected is closed again.
    #[tokio::test]
    async fn what_is_not_understood_is_closed() {
        let (old, new) = pair();
        let head = head(&handed(0));
        let file = tempfile::tempfile().unwrap();
        let unix = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap().0;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        for (octets, along, is_handed) in [
            (head.as_bytes(), 1, true),
            (head.as_bytes(), 0, false),
            (head.as_bytes(), 2, false),
            (head.as_bytes(), 9, false),
            (b"leaving", 1, false),
            (b"connection\n", 1, false),
            (&[b'x'; MESSAGE_BYTES_MAX + 1], 1, false),
        ] {
            let (mut client, server) = connection();
            send(&old, octets, &vec![server.as_fd(); along]);
            let message = new.hear().await.unwrap().unwrap();
            assert_eq!(matches!(message, Message::Connection(..)), is_handed, "{along} with {} octets", octets.len());
            drop((message, server));
            assert_eq!(client.read(&mut [0]).unwrap(), 0, "{along} with {} octets", octets.len());
        }
        for other in [file.as_fd(), unix.as_fd(), listener.as_fd()] {
            send(&old, head.as_bytes(), &[other]);
            assert!(matches!(new.hear().await.unwrap(), Some(Message::Other)));
        }
    }

    fn send(line: &Line, octets: &[u8], along: &[BorrowedFd<'_>]) {
        let mut room = [MaybeUninit::uninit(); cmsg_space!(ScmRights(16))];
        let mut control = SendAncillaryBuffer::new(&mut room);
        assert!(along.is_empty() || control.push(SendAncillaryMessage::ScmRights(along)));
        sendmsg(&line.0, &[IoSlice::new(octets)], &mut control, SendFlags::NOSIGNAL).unwrap();
    }

    #[tokio::test]
    async fn who_is_another_user_has_no_part_in_it() {
        let (one, other) = sockets();
        let stranger = Uid::from_raw(geteuid().as_raw() + 1);
        let error = Line::to_own(one, stranger).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        // And hears nothing, but that nobody is there.
        let other = Line::to_own(other, geteuid()).unwrap();
        assert!(other.hear().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_name_is_one_s_own_and_free_again() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let name = name(address).unwrap();
        assert!(Line::call(&name).is_err());
        let door = Door::open(&name).unwrap();
        assert!(Door::open(&name).is_err() && door.waiting().is_err());
        let _lines: Vec<Line> = (0..HEIRS_MAX).map(|_| Line::call(&name).unwrap()).collect();
        assert!(door.next().await.is_ok() && door.waiting().is_ok());
        drop(door);
        assert!(Door::open(&name).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_handed_is_read_as_it_was_written(
            (client, own) in any::<([u8; 16], [u8; 4])>(),
            is_told in any::<bool>(),
            left in any::<u32>(),
            unread in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let left = Duration::from_millis(left.into());
            let written = Handed { ends: (client.into(), own.into()), is_told, left, unread };
            let octets = [head(&written).as_bytes(), &written.unread].concat();
            prop_assert!(octets.len() - written.unread.len() <= HEAD_BYTES_MAX);
            prop_assert_eq!(read_handed(&octets), Some(written));
        }

        #[test]
        fn hostile_octets_are_data(
            begin in prop::sample::select(vec![&b""[..], b"connection ", b"connection ::1 ::1 ", b"connection ::1 ::1 7 told\n"]),
            octets in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let octets = [begin, &octets].concat();
            if let Some(read) = read_handed(&octets) {
                prop_assert!(octets.ends_with(&read.unread));
            }
        }
    }
}
