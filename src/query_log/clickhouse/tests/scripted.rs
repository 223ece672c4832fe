//! A server on a port of its own that answers inserts by a script, and remembers what arrived.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// The server. While it is down, nobody listens at its port.
pub(super) struct Scripted {
    pub url: String,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stalls_above: Arc<AtomicUsize>,
    running: Mutex<Option<Running>>,
}

struct Running {
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

struct State {
    has_tables: bool,
    /// Those of the second migration.
    has_columns: bool,
    is_distributed: bool,
    /// Somebody else answers in its place.
    page: Option<&'static str>,
    /// Answers to inserts; 200 when they are used up.
    script: VecDeque<(u16, String)>,
    /// Answers to reports.
    replies: VecDeque<(u16, String)>,
    inserts: Vec<Request>,
    statements: Vec<String>,
    /// Lines of inserts that were answered with 200 and nothing else.
    lines: Vec<serde_json::Value>,
}

/// What came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub target: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Scripted {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = State {
            has_tables: true,
            has_columns: false,
            is_distributed: false,
            page: None,
            script: VecDeque::new(),
            replies: VecDeque::new(),
            inserts: Vec::new(),
            statements: Vec::new(),
            lines: Vec::new(),
        };
        let server = Self {
            url: format!("http://{address}"),
            address,
            state: Arc::new(Mutex::new(state)),
            stalls_above: Arc::new(AtomicUsize::new(usize::MAX)),
            running: Mutex::default(),
        };
        server.listen(listener);
        server
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn listen(&self, listener: TcpListener) {
        let stopping = Arc::new(AtomicBool::new(false));
        let (told, state, stalls_above) = (stopping.clone(), self.state.clone(), self.stalls_above.clone());
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if told.load(SeqCst) {
                    return;
                }
                let (stream, state, stalls_above) = (stream.unwrap(), state.clone(), stalls_above.clone());
                thread::spawn(move || serve(stream, &state, &stalls_above));
            }
        });
        *self.running.lock().unwrap() = Some(Running { stopping, thread });
    }

    pub fn go_down(&self) {
        if let Some(running) = self.running.lock().unwrap().take() {
            running.stopping.store(true, SeqCst);
            let _ = TcpStream::connect(self.address);
            running.thread.join().unwrap();
        }
    }

    pub fn come_up(&self) {
        self.listen(TcpListener::bind(self.address).unwrap());
    }

    /// Inserts of more octets get no answer.
    pub fn stall_above(&self, octets: usize) {
        self.stalls_above.store(octets, SeqCst);
    }

    /// Whether this page is the answer to everything, with 200.
    pub fn answer_for_it(&self, page: Option<&'static str>) {
        self.state().page = page;
    }

    pub fn lose_tables(&self) {
        let mut state = self.state();
        (state.has_tables, state.has_columns) = (false, false);
    }

    /// Makes what the second migration makes, and doesn't note it.
    pub fn add_columns(&self) {
        self.state().has_columns = true;
    }

    /// Makes `queries` a distributed table.
    pub fn distribute(&self) {
        self.state().is_distributed = true;
    }

    pub fn answer<const N: usize>(&self, answers: [(u16, &str); N]) {
        self.state().script.extend(answers.map(|(status, text)| (status, text.to_owned())));
    }

    pub fn reply(&self, status: u16, text: &str) {
        self.state().replies.push_back((status, text.to_owned()));
    }

    /// Forgets what arrived, and what is left of the script.
    pub fn forget(&self) {
        let mut state = self.state();
        state.script.clear();
        state.lines.clear();
        state.inserts.clear();
        state.statements.clear();
    }

    /// Names in rows that arrived, in order.
    pub fn arrived(&self) -> Vec<String> {
        self.state().lines.iter().map(|line| line["name"].as_str().unwrap().to_owned()).collect()
    }

    pub fn ids(&self) -> Vec<u64> {
        self.state().lines.iter().map(|line| line["id"].as_u64().unwrap()).collect()
    }

    pub fn inserts(&self) -> Vec<Request> {
        self.state().inserts.clone()
    }

    /// What came other than inserts.
    pub fn statements(&self) -> Vec<String> {
        self.state().statements.clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.go_down();
    }
}

/// Serves one connection, which is closed after the answer.
fn serve(mut stream: TcpStream, state: &Mutex<State>, stalls_above: &AtomicUsize) {
    let Some(request) = read(&stream) else { return };
    if request.target.contains("INSERT") && request.body.len() > stalls_above.load(SeqCst) {
        // Longer than anybody waits.
        return thread::sleep(Duration::from_secs(3));
    }
    let (status, text) = state.lock().unwrap().answer(request);
    let _ =
        write!(stream, "HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len());
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let target = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let mut request = Request { target, headers, body: String::new() };
    let length: u64 = request.header("content-length")?.parse().ok()?;
    reader.take(length).read_to_string(&mut request.body).ok()?;
    Some(request)
}

impl State {
    fn answer(&mut self, request: Request) -> (u16, String) {
        let absent = (404, "Code: 60, e.displayText() = DB::Exception: Table doesn't exist.".to_owned());
        if request.target.contains("INSERT") {
            self.inserts.push(request.clone());
            if let Some(page) = self.page {
                return (200, page.to_owned());
            }
            let answer = if self.has_tables { self.script.pop_front().unwrap_or((200, String::new())) } else { absent };
            if answer == (200, String::new()) {
                self.lines.extend(request.body.lines().map(|line| serde_json::from_str(line).unwrap()));
            }
            return answer;
        }
        self.statements.push(request.body.clone());
        if let Some(page) = self.page {
            return (200, page.to_owned());
        }
        match request.body.as_str() {
            text if text.starts_with("SELECT DISTINCT number") && self.has_tables => (200, "1\n".to_owned()),
            text if text.starts_with("SELECT DISTINCT number") => absent,
            text if text.contains("FROM system.tables") => (200, format!("{}\n", u8::from(self.is_distributed))),
            text if text.contains("ADD COLUMN") && std::mem::replace(&mut self.has_columns, true) => {
                let what = "DB::Exception: Cannot add column server: column with this name already exists.";
                (500, format!("Code: 44, e.displayText() = {what}, e.what() = DB::Exception"))
            }
            text if text.starts_with("SELECT") => self.replies.pop_front().expect("a reply"),
            text => {
                self.has_tables |= text.starts_with("INSERT INTO migrations");
                (200, String::new())
            }
        }
    }
}
