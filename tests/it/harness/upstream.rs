//! An upstream over plain sockets: it writes down every byte that it gets, and answers as scripted.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::answer::{Answer, Ending, Step};

/// The upstream; it ends with the story.
pub(crate) struct Upstream {
    address: SocketAddr,
    scheme: &'static str,
    seen: Arc<Seen>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Received>>,
    accepted: AtomicUsize,
    open: AtomicUsize,
    written: AtomicUsize,
    close_idle: watch::Sender<u32>,
}

/// One request, exactly as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// How many came before it.
    pub(crate) number: usize,
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

type Script = Arc<dyn Fn(&Received) -> Answer + Send + Sync>;

impl Upstream {
    /// Answers each request with what `script` makes of it.
    pub(crate) async fn new(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen(None, script).await
    }

    /// The same behind TLS.
    pub(crate) async fn with_tls(
        tls: rustls::ServerConfig,
        script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Some(TlsAcceptor::from(Arc::new(tls))), script).await
    }

    /// Answers every request with a result that says `text`.
    pub(crate) async fn saying(text: &'static str) -> Self {
        Self::new(move |request| Answer::json(&request.says(text))).await
    }

    #[expect(clippy::unused_async, reason = "as with every other server, whoever has waited for it finds it listening")]
    async fn listen(tls: Option<TlsAcceptor>, script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        // A crowd may knock at once.
        let listener = socket.listen(4096).unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let seen = Arc::new(Seen::default());
        let accepting = tokio::spawn(accept(listener, tls, Arc::clone(&seen), Arc::new(script)));
        Self { address, scheme, seen, accepting }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}/mcp", self.scheme, self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Received> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// Forgets the requests that came so far.
    pub(crate) fn forget(&self) {
        self.seen.requests.lock().unwrap().clear();
    }

    /// The only request that came.
    pub(crate) fn only_request(&self) -> Received {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:#?}");
        requests.remove(0)
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.requests.lock().unwrap().len()
    }

    /// Connections ever accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.seen.accepted.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub(crate) fn open(&self) -> usize {
        self.seen.open.load(Ordering::SeqCst)
    }

    /// Bytes of answers that the system has taken from us.
    pub(crate) fn written(&self) -> usize {
        self.seen.written.load(Ordering::SeqCst)
    }

    /// Closes connections on which no request is under way.
    pub(crate) fn close_idle(&self) {
        self.seen.close_idle.send_modify(|times| *times += 1);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Received {
    /// The lines of a header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// A header that is there at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} is there {} times", all.len());
        all.first().copied()
    }

    /// What stands in the request line.
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn header_names(&self) -> Vec<String> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.map(|(name, _)| name.to_ascii_lowercase()).collect()
    }

    pub(crate) fn message(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn result(&self, result: &Value) -> Value {
        json!({ "jsonrpc": "2.0", "id": self.message()["id"], "result": result })
    }

    pub(crate) fn says(&self, text: &str) -> Value {
        self.result(&json!({ "content": [{ "type": "text", "text": text }] }))
    }
}

pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {
    /// Makes the next close a reset.
    fn reset_on_close(&self);
}

impl Io for TcpStream {
    fn reset_on_close(&self) {
        self.set_zero_linger().unwrap();
    }
}

impl Io for tokio_rustls::server::TlsStream<TcpStream> {
    fn reset_on_close(&self) {
        self.get_ref().0.reset_on_close();
    }
}

impl Io for tokio_rustls::client::TlsStream<TcpStream> {
    fn reset_on_close(&self) {
        self.get_ref().0.reset_on_close();
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, seen: Arc<Seen>, script: Script) {
    while let Ok((stream, _)) = listener.accept().await {
        let (seen, script, tls) = (Arc::clone(&seen), Arc::clone(&script), tls.clone());
        tokio::spawn(async move {
            stream.set_nodelay(true).unwrap();
            let stream: Box<dyn Io> = match tls {
                None => Box::new(stream),
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => Box::new(stream),
                    Err(_) => return,
                },
            };
            seen.accepted.fetch_add(1, Ordering::SeqCst);
            seen.open.fetch_add(1, Ordering::SeqCst);
            let _ = converse(stream, &seen, &script).await;
            seen.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn converse(mut stream: Box<dyn Io>, seen: &Seen, script: &Script) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut close_idle = seen.close_idle.subscribe();
    loop {
        let read = tokio::select! {
            read = read_request(&mut stream, &mut buffer) => read?,
            _ = close_idle.changed() => return Ok(()),
        };
        let Some((head, body)) = read else { return Ok(()) };
        let request = {
            let mut requests = seen.requests.lock().unwrap();
            let request = Received { number: requests.len(), head, body };
            requests.push(request.clone());
            request
        };
        let answer = script(&request);
        play(&mut stream, answer.steps(), &seen.written).await?;
        match answer.ending() {
            Ending::Open => {}
            Ending::Close => {
                stream.shutdown().await?;
                return Ok(());
            }
            Ending::Reset => {
                stream.reset_on_close();
                return Ok(());
            }
            Ending::Silence => return gone(&mut stream).await,
        }
    }
}

async fn read_request(stream: &mut Box<dyn Io>, buffer: &mut Vec<u8>) -> io::Result<Option<(String, Vec<u8>)>> {
    loop {
        if let Some(request) = take_request(buffer) {
            return Ok(Some(request));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

fn take_request(buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    let end = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let length = head.lines().filter_map(|line| line.split_once(':'));
    let length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.map(|(_, value)| value.trim().parse().unwrap()).next().unwrap_or(0);
    if buffer.len() < end + length {
        return None;
    }
    let body = buffer[end..end + length].to_vec();
    buffer.drain(..end + length);
    Some((head, body))
}

/// Does each step, unless the other side goes away meanwhile.
async fn play(stream: &mut Box<dyn Io>, steps: Vec<Step>, written: &AtomicUsize) -> io::Result<()> {
    for step in steps {
        match step {
            Step::Write(bytes) => {
                stream.write_all(&bytes).await?;
                stream.flush().await?;
                written.fetch_add(bytes.len(), Ordering::SeqCst);
            }
            Step::Pause(time) => tokio::select! {
                () = tokio::time::sleep(time) => {}
                end = gone(stream) => return end.and(Err(io::ErrorKind::BrokenPipe.into())),
            },
            Step::Wait(gate) => tokio::select! {
                () = gate.pass() => {}
                end = gone(stream) => return end.and(Err(io::ErrorKind::BrokenPipe.into())),
            },
            Step::Forever(bytes) => loop {
                stream.write_all(&bytes).await?;
                written.fetch_add(bytes.len(), Ordering::SeqCst);
            },
        }
    }
    Ok(())
}

/// Waits until the other side closes; it has nothing to say meanwhile.
async fn gone(stream: &mut Box<dyn Io>) -> io::Result<()> {
    let mut nothing = [0; 64];
    while stream.read(&mut nothing).await? > 0 {}
    Ok(())
}
