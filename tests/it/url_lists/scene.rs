//! A server with a list that is downloaded.

use super::*;

/// A server with one list, and where that is downloaded from.
pub(super) struct Scene {
    pub(super) server: Server,
    pub(super) internet: Internet,
    pub(super) lists: ListServer,
    pub(super) url: String,
    /// Where connections were meant to go.
    pub(super) connections: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Scene {
    /// `extra` is what else the configuration says of the list.
    pub(super) async fn start(lists: ListServer, extra: &str) -> Self {
        Self::start_in(folder(), lists, extra).await
    }

    pub(super) async fn start_in(folder: TempDir, lists: ListServer, extra: &str) -> Self {
        Self::start_with(folder, lists, extra, "").await
    }

    pub(super) async fn start_with(folder: TempDir, lists: ListServer, extra: &str, toml: &str) -> Self {
        Self::try_start(HOST, lists, folder, extra, toml).await.unwrap()
    }

    pub(super) async fn try_start(
        host: &str,
        lists: ListServer,
        folder: TempDir,
        extra: &str,
        toml: &str,
    ) -> Result<Self, AppError> {
        let internet = Internet::start().await;
        let url = format!("https://{host}{PATH}");
        fs::write(folder.path().join("ca.pem"), &lists.authority).unwrap();
        let ca_file = if extra.contains("ca_file") { "" } else { ", ca_file = \"ca.pem\"" };
        let toml = format!("{toml}[[program]]\nname = \"p\"\nlists = [{{ url = \"{url}\"{ca_file}{extra} }}]\n");
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (own, real) = (connections.clone(), lists.address);
        let connect_via = move |server| {
            own.lock().unwrap().push(server);
            real
        };
        let limits =
            FetchLimits { body_bytes_max: BODY_BYTES_MAX, within: WITHIN, connect_via: Some(Arc::new(connect_via)) };
        let server = try_start_fetching(folder, Some(&internet), &[], limits, &toml).await?;
        Ok(Self { server, internet, lists, url, connections })
    }

    pub(super) async fn is_blocked(&self, name: &str) -> bool {
        let answer = self.server.ask(name, RrType::ANY).await;
        let known = matches!((answer.rcode, answer.ede_code()), (Rcode::NXDOMAIN, 15) | (Rcode::NOERROR, 0));
        assert!(known, "{name}: {answer:?}");
        answer.rcode == Rcode::NXDOMAIN
    }

    pub(super) fn epoch(&self) -> u64 {
        self.server.epoch()
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.lists.requests()
    }

    pub(super) fn connections(&self) -> Vec<SocketAddr> {
        self.connections.lock().unwrap().clone()
    }

    /// Has the list downloaded, until the server was asked so many times in all.
    pub(super) async fn update(&self, requests: usize) {
        self.server.running.update_lists();
        eventually("the request", || async { self.requests().len() >= requests }).await;
    }

    /// What `/readyz` says.
    pub(super) async fn reasons(&self) -> Vec<String> {
        let (status, body) = self.server.get("/readyz").await;
        assert_eq!(status, 200, "{body}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        body["reasons"].as_array().unwrap().iter().map(|reason| reason.as_str().unwrap().to_owned()).collect()
    }

    pub(super) async fn until_reason(&self, reason: &str) {
        eventually(&format!("a reason: {reason}"), || async {
            let said = self.reasons().await;
            said.iter().any(|said| said.contains(reason))
        })
        .await;
    }

    /// Stops the server, and keeps its files and the lists' server.
    pub(super) async fn stop(self) -> (TempDir, ListServer) {
        let Server { running, folder, .. } = self.server;
        running.stop().await;
        (folder, self.lists)
    }

    pub(super) async fn end(self) -> TempDir {
        self.stop().await.0
    }
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// A list with these rules, and as many others as make a rule more or less a small change.
pub(super) fn list(rules: &[&str]) -> Reply {
    let others: Vec<String> = (0..50).map(|index| format!("other{index}.example")).collect();
    Reply::list(&[rules, &others.iter().map(String::as_str).collect::<Vec<_>>()].concat())
}

/// A server whose port is closed, as if there were no network.
pub(super) fn gone() -> ListServer {
    let mut lists = ListServer::start();
    lists.address = free_address();
    lists
}

/// The one file in the store with this ending.
pub(super) fn state_file(folder: &TempDir, ending: &str) -> PathBuf {
    let files = fs::read_dir(folder.path().join("state/lists")).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|file| file.extension().unwrap() == ending).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

/// Makes a download that is kept one of long ago.
pub(super) fn grow_old(folder: &TempDir) {
    let file = state_file(folder, "json");
    let mut known: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    known["checked_at"] = 1.into();
    fs::write(file, known.to_string()).unwrap();
}

/// Octets from hexadecimal digits.
pub(super) fn octets(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}
