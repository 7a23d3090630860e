//! A TCP proxy that cuts, refuses, slows or stalls what passes: for tests of what a service does when its network is bad.
//!
//! Put it between any two ends, such as a relay and its database. It does not know what it carries, so it fits every protocol whose clients
//! connect to the address they are told (Kafka's go where the broker says: advertise the proxy's address there).

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

/// The most bytes taken from a side at once.
const CHUNK: usize = 16 * 1024;
/// How many chunks wait in one direction of one connection; past that its sender is no longer read from.
const CHUNKS: usize = 16;
/// How long the other end may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// No byte is later than this, so that no time leaves the range of a clock.
const LATEST: Duration = Duration::from_hours(365 * 24);

/// What happens to what passes a [`TcpProxy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Line {
    /// Bytes pass as they come.
    Open,
    /// Every connection is closed, and a new one as soon as it is made.
    Refused,
    /// Bytes arrive late, in the order in which they were sent, a year late at most. A connection holds at most 256 KiB in each direction.
    Slow {
        /// How late the client's bytes are.
        up: Duration,
        /// How late the server's bytes are.
        down: Duration,
    },
    /// Connections stay open and can be made, and no byte arrives: what a dead peer or a dropped route looks like.
    Stalled(Way),
}

/// The directions of a line that a stall concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Way {
    /// From the client to the server: requests do not arrive.
    Up,
    /// From the server to the client: requests take effect and are never answered.
    Down,
    /// Both.
    Both,
}

/// A proxy in front of one address, for as long as the value lives.
///
/// # Examples
/// A server's answers that do not arrive, until they do:
/// ```
/// # async fn run() -> std::io::Result<()> {
/// use std::time::Duration;
/// use eventferry::testing::proxy::{Line, TcpProxy, Way};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::{TcpListener, TcpStream};
///
/// let server = TcpListener::bind("127.0.0.1:0").await?;
/// let proxy = TcpProxy::start(server.local_addr()?.to_string()).await?;
/// let mut client = TcpStream::connect(proxy.address()).await?;
/// let (mut served, _) = server.accept().await?;
///
/// proxy.set(Line::Stalled(Way::Down));
/// served.write_all(b"late").await?;
/// let mut answer = [0; 4];
/// assert!(tokio::time::timeout(Duration::from_millis(50), client.read_exact(&mut answer)).await.is_err());
///
/// proxy.set(Line::Open);
/// client.read_exact(&mut answer).await?;
/// assert_eq!(&answer, b"late");
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "dropping the proxy closes every connection through it"]
pub struct TcpProxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    line: Line,
    /// How often everything open was cut: a connection ends with the cut after its beginning.
    cuts: u64,
}

impl TcpProxy {
    /// Listens on a free port of this host, and connects everybody who comes to `upstream` (host and port).
    ///
    /// # Errors
    /// If no port can be listened on. An `upstream` that is away is no error: connections to it are closed.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn start(upstream: impl Into<String>) -> io::Result<Self> {
        Self::start_at("127.0.0.1:0", upstream).await
    }

    /// The same on an address of the caller's, for servers that tell their clients where to connect.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn start_at(address: &str, upstream: impl Into<String>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let state = watch::Sender::new(State { line: Line::Open, cuts: 0 });
        let accepting = tokio::spawn(accept(listener, upstream.into(), state.clone()));
        Ok(Self { address, state, accepting })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What happens from now on. Bytes that were already late stay so.
    pub fn set(&self, line: Line) {
        self.state.send_modify(|state| state.line = line);
    }

    /// Closes every connection that is open; new ones are made as before.
    ///
    /// # Examples
    /// ```
    /// # async fn run() -> std::io::Result<()> {
    /// use eventferry::testing::proxy::TcpProxy;
    /// use tokio::io::AsyncReadExt;
    /// use tokio::net::{TcpListener, TcpStream};
    ///
    /// let server = TcpListener::bind("127.0.0.1:0").await?;
    /// let proxy = TcpProxy::start(server.local_addr()?.to_string()).await?;
    /// let mut client = TcpStream::connect(proxy.address()).await?;
    /// let (_served, _) = server.accept().await?;
    ///
    /// proxy.cut();
    /// let mut answer = Vec::new();
    /// assert!(matches!(client.read_to_end(&mut answer).await, Ok(0) | Err(_)), "the connection is gone");
    /// # Ok(()) }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl fmt::Debug for TcpProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpProxy")
            .field("address", &self.address)
            .field("line", &self.state.borrow().line)
            .finish_non_exhaustive()
    }
}

/// Accepts connections. All of them end with this task.
async fn accept(listener: TcpListener, upstream: String, state: watch::Sender<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                let (upstream, mut changes) = (upstream.clone(), state.subscribe());
                let born = changes.borrow_and_update().cuts;
                connections.spawn(async move {
                    let lines = changes.clone();
                    tokio::select! {
                        _ = changes.wait_for(|state| state.cuts != born || state.line == Line::Refused) => {}
                        _ = connection(client, &upstream, &lines) => {}
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, until both sides have closed it or one is lost.
async fn connection(client: TcpStream, upstream: &str, lines: &watch::Receiver<State>) -> io::Result<()> {
    let server = timeout(CONNECT, TcpStream::connect(upstream)).await??;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(
        pump(from_client, to_server, lines.clone(), Way::Up),
        pump(from_server, to_client, lines.clone(), Way::Down),
    )?;
    Ok(())
}

/// One direction of a connection: what one side sends until it closes its half.
async fn pump(from: OwnedReadHalf, to: OwnedWriteHalf, lines: watch::Receiver<State>, way: Way) -> io::Result<()> {
    let (chunks, waiting) = mpsc::channel(CHUNKS);
    tokio::try_join!(take(from, chunks, lines.clone(), way), give(waiting, to, lines, way))?;
    Ok(())
}

async fn take(
    mut from: OwnedReadHalf,
    to: mpsc::Sender<(Instant, Vec<u8>)>,
    mut lines: watch::Receiver<State>,
    way: Way,
) -> io::Result<()> {
    loop {
        let room = to.reserve().await.map_err(io::Error::other)?;
        passable(&mut lines, way).await?;
        let mut chunk = vec![0; CHUNK];
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        chunk.truncate(read);
        let late = match (lines.borrow().line, way) {
            (Line::Slow { up, .. }, Way::Up) => up,
            (Line::Slow { down, .. }, Way::Down) => down,
            (Line::Open | Line::Refused | Line::Slow { .. } | Line::Stalled(_), _) => Duration::ZERO,
        };
        room.send((Instant::now() + late.min(LATEST), chunk));
    }
}

async fn give(
    mut from: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut to: OwnedWriteHalf,
    mut lines: watch::Receiver<State>,
    way: Way,
) -> io::Result<()> {
    while let Some((due, chunk)) = from.recv().await {
        // A delay is what this proxy is for.
        sleep_until(due).await;
        passable(&mut lines, way).await?;
        to.write_all(&chunk).await?;
    }
    to.shutdown().await
}

/// Waits until nothing holds this direction up.
async fn passable(lines: &mut watch::Receiver<State>, way: Way) -> io::Result<()> {
    let passes = |state: &State| match state.line {
        Line::Stalled(stalled) => stalled != Way::Both && stalled != way,
        Line::Open | Line::Refused | Line::Slow { .. } => true,
    };
    lines.wait_for(passes).await.map(drop).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets, and a proxy in front of it.
    async fn echo() -> (TcpProxy, JoinHandle<()>) {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = TcpProxy::start(server.local_addr().unwrap().to_string()).await.unwrap();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = server.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    drop(tokio::io::copy(&mut from, &mut to).await);
                });
            }
        });
        (proxy, serving)
    }

    /// Waits for what must come, or for an end.
    async fn within<T>(future: impl Future<Output = T>) -> T {
        timeout(Duration::from_mins(1), future).await.expect("nothing came within a minute")
    }

    async fn say(stream: &mut TcpStream, text: &[u8]) -> io::Result<Vec<u8>> {
        stream.write_all(text).await?;
        let mut answer = vec![0; text.len()];
        within(stream.read_exact(&mut answer)).await?;
        Ok(answer)
    }

    async fn connected(proxy: &TcpProxy) -> TcpStream {
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut stream, b"hello").await.unwrap(), b"hello");
        stream
    }

    #[tokio::test]
    async fn what_is_sent_arrives_whole_and_an_end_is_passed_on() {
        let (proxy, _serving) = echo().await;
        let stream = connected(&proxy).await;
        let sent: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[0]).collect();
        let (mut from, mut to) = stream.into_split();
        let writing = {
            let sent = sent.clone();
            tokio::spawn(async move {
                to.write_all(&sent).await.unwrap();
                to.shutdown().await.unwrap();
            })
        };
        let mut got = Vec::new();
        within(from.read_to_end(&mut got)).await.unwrap();
        within(writing).await.unwrap();
        assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
    }

    #[tokio::test]
    async fn a_cut_ends_what_is_open_and_nothing_else() {
        let (proxy, _serving) = echo().await;
        let mut stream = connected(&proxy).await;
        proxy.cut();
        assert!(!matches!(within(stream.read(&mut [0])).await, Ok(1..)));
        connected(&proxy).await;
    }

    #[tokio::test]
    async fn a_refused_line_ends_connections_until_it_is_open() {
        let (proxy, _serving) = echo().await;
        let mut before = connected(&proxy).await;
        proxy.set(Line::Refused);
        assert!(!matches!(within(before.read(&mut [0])).await, Ok(1..)));
        let mut during = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(say(&mut during, b"hello").await.is_err());
        proxy.set(Line::Open);
        connected(&proxy).await;
    }

    #[tokio::test]
    async fn a_slow_line_delays_each_direction_and_keeps_the_order() {
        let (proxy, _serving) = echo().await;
        let mut stream = connected(&proxy).await;
        let (up, down) = (Duration::from_millis(60), Duration::from_millis(40));
        proxy.set(Line::Slow { up, down });
        let start = Instant::now();
        assert_eq!(say(&mut stream, b"one").await.unwrap(), b"one");
        assert!(start.elapsed() >= up + down, "{:?}", start.elapsed());
        stream.write_all(b"two").await.unwrap();
        proxy.set(Line::Open);
        assert_eq!(
            say(&mut stream, b"threetwo").await.unwrap(),
            b"twothree",
            "what was late is not overtaken"
        );
        proxy.set(Line::Slow {
            up: Duration::MAX,
            down: Duration::ZERO,
        });
        let never = timeout(Duration::from_millis(50), say(&mut stream, b"four")).await;
        assert!(never.is_err(), "late, and not closed: {never:?}");
    }

    #[tokio::test]
    async fn a_stall_keeps_connections_and_loses_no_byte() {
        let (proxy, _serving) = echo().await;
        for way in [Way::Up, Way::Down, Way::Both] {
            let mut stream = connected(&proxy).await;
            proxy.set(Line::Stalled(way));
            let stalled = timeout(Duration::from_millis(50), say(&mut stream, b"stalled")).await;
            assert!(stalled.is_err(), "{way:?}: {stalled:?}");
            proxy.set(Line::Open);
            let mut answer = [0; 7];
            within(stream.read_exact(&mut answer)).await.unwrap();
            assert_eq!(&answer, b"stalled", "{way:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_away_ends_the_connection_and_not_the_proxy() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let proxy = TcpProxy::start(gone.to_string()).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(!matches!(within(stream.read(&mut [0])).await, Ok(1..)));
        let _server = TcpListener::bind(gone).await.unwrap();
        TcpStream::connect(proxy.address()).await.unwrap();
    }
}
