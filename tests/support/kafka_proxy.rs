//! A TCP proxy that knows where Kafka's frames begin and end: it delays answers, damages a request, and cuts the line.
//!
//! The broker has a second listener for it, which advertises the proxy's address, so that every connection a client makes, not only the
//! first, comes through here. There is one such address for all tests of a run: whoever has a proxy has it alone.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use crate::servers;

/// Kafka's number for a produce request.
pub const PRODUCE: i16 = 0;
/// Kafka's number for the question how long a partition's log is, which only its leader answers.
pub const LIST_OFFSETS: i16 = 2;
/// Kafka's number for the end of a transaction.
pub const END_TRANSACTION: i16 = 26;
static ALONE: LazyLock<Arc<tokio::sync::Mutex<()>>> = LazyLock::new(Arc::default);

/// A proxy in front of the broker, for as long as the value lives.
#[derive(Debug)]
pub struct KafkaProxy {
    address: String,
    script: Arc<Script>,
    accepting: JoinHandle<()>,
}

/// The address, and the right to it: the right ends only after the address is free.
struct Door {
    listener: TcpListener,
    _alone: Option<OwnedMutexGuard<()>>,
}

/// What the proxy does to what passes.
#[derive(Debug)]
struct Script {
    upstream: String,
    delay: Mutex<Duration>,
    damage: Mutex<Option<Damage>>,
    hated: Mutex<Vec<i16>>,
    unanswered: Mutex<Vec<i16>>,
    swallowed: Mutex<Vec<i16>>,
    damaged: watch::Sender<Stage>,
    line: watch::Sender<bool>,
}

#[derive(Debug, Clone)]
struct Damage {
    original: Vec<u8>,
    damaged: Vec<u8>,
    hold: Duration,
}

/// How far the damaging of a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No request was damaged yet.
    Waiting,
    /// The request is held back, until another one came behind it or its time has passed.
    Held,
    /// The damaged request was sent, and answered; `followed` says whether the client had sent another one behind it.
    Answered { followed: bool },
}

impl KafkaProxy {
    /// Starts a proxy in front of the broker of this run; `None`, said aloud, where there is no broker with a listener for it.
    ///
    /// # Panics
    /// If the address the broker advertises cannot be listened on.
    pub async fn start() -> Option<Self> {
        let upstream = servers::require("kafka-proxied")?;
        let port = std::env::var("EVENTFERRY_KAFKA_PROXY_PORT").expect("the port of the proxy is set with the listener behind it");
        let alone = Arc::clone(&ALONE).lock_owned().await;
        Some(Self::listen(upstream, format!("127.0.0.1:{port}"), Some(alone)).await)
    }

    /// Starts a proxy between an address and a listener of a broker that advertises it, such as [`OwnKafka::proxied`](crate::own_kafka::OwnKafka::proxied).
    ///
    /// # Panics
    /// If the address cannot be listened on.
    pub async fn between(upstream: String, address: String) -> Self {
        Self::listen(upstream, address, None).await
    }

    async fn listen(upstream: String, address: String, alone: Option<OwnedMutexGuard<()>>) -> Self {
        let listener = TcpListener::bind(&address).await.expect("the proxy's address is free");
        let script = Arc::new(Script {
            upstream,
            delay: Mutex::default(),
            damage: Mutex::default(),
            hated: Mutex::default(),
            unanswered: Mutex::default(),
            swallowed: Mutex::default(),
            damaged: watch::Sender::new(Stage::Waiting),
            line: watch::Sender::new(true),
        });
        let door = Door { listener, _alone: alone };
        let accepting = tokio::spawn(accept(door, Arc::clone(&script)));
        Self {
            address,
            script,
            accepting,
        }
    }

    /// Where clients connect to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Holds every answer of the broker back for so long.
    pub fn delay_answers(&self, delay: Duration) {
        *self.script.delay.lock().unwrap_or_else(PoisonError::into_inner) = delay;
    }

    /// Damages the next produce request that holds `original`: one with `damaged` in its place is sent, its checksum as before. It is held
    /// back until the client has sent another one behind it, and for `hold` at most; that one goes out only when the damaged one was answered.
    ///
    /// # Panics
    /// If the two differ in length.
    pub fn damage_next(&self, original: &[u8], damaged: &[u8], hold: Duration) {
        assert_eq!(original.len(), damaged.len(), "lengths travel with the bytes and must stay right");
        self.script.damaged.send_replace(Stage::Waiting);
        *self.script.damage.lock().unwrap_or_else(PoisonError::into_inner) = Some(Damage {
            original: original.to_vec(),
            damaged: damaged.to_vec(),
            hold,
        });
    }

    /// Closes the connection, from now on, on every request of these kinds, unanswered and not passed on.
    pub fn hang_up_on(&self, kinds: &[i16]) {
        *self.script.hated.lock().unwrap_or_else(PoisonError::into_inner) = kinds.to_vec();
    }

    /// Closes the connection, from now on, in place of every answer to requests of these kinds: the broker has carried them out.
    pub fn lose_answers_to(&self, kinds: &[i16]) {
        *self.script.unanswered.lock().unwrap_or_else(PoisonError::into_inner) = kinds.to_vec();
    }

    /// Keeps back, from now on, every answer to requests of these kinds: the broker has carried them out, and the connection stays.
    pub fn swallow_answers_to(&self, kinds: &[i16]) {
        *self.script.swallowed.lock().unwrap_or_else(PoisonError::into_inner) = kinds.to_vec();
    }

    /// Waits until the request that is to be damaged is held back.
    pub async fn held(&self) {
        self.damaged_to(|stage| (stage != Stage::Waiting).then_some(())).await;
    }

    /// Waits until the damaged request was answered; says whether the client had sent another one behind it.
    pub async fn answered(&self) -> bool {
        self.damaged_to(|stage| match stage {
            Stage::Answered { followed } => Some(followed),
            Stage::Waiting | Stage::Held => None,
        })
        .await
    }

    async fn damaged_to<T>(&self, reached: impl Fn(Stage) -> Option<T>) -> T {
        let mut damaged = self.script.damaged.subscribe();
        loop {
            if let Some(value) = reached(*damaged.borrow_and_update()) {
                return value;
            }
            damaged.changed().await.expect("the proxy has the sender");
        }
    }

    /// Closes every connection and refuses new ones.
    pub fn cut(&self) {
        self.script.line.send_replace(false);
    }

    /// Lets connections pass again.
    pub fn mend(&self) {
        self.script.line.send_replace(true);
    }
}

impl Drop for KafkaProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Accepts connections. All of them end with this task.
async fn accept(door: Door, script: Arc<Script>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = door.listener.accept().await {
        let script = Arc::clone(&script);
        connections.spawn(async move {
            let mut line = script.line.subscribe();
            if *line.borrow_and_update() {
                tokio::select! {
                    _ = line.wait_for(|up| !up) => {}
                    _ = connection(client, &script) => {}
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Requests whose answers somebody waits for, or nobody is to have.
type Awaited = Mutex<HashMap<i32, Fate>>;

/// What becomes of an answer.
enum Fate {
    /// It is passed on, and somebody is told.
    Told(oneshot::Sender<()>),
    /// Its connection is closed in its place.
    Lost,
    /// It is dropped.
    Swallowed,
}

/// One connection, until either side closes it.
async fn connection(client: TcpStream, script: &Script) -> io::Result<()> {
    let broker = TcpStream::connect(&script.upstream).await?;
    for stream in [&client, &broker] {
        stream.set_nodelay(true)?;
    }
    let (from_client, to_client) = client.into_split();
    let (from_broker, to_broker) = broker.into_split();
    let awaited = Awaited::default();
    let (requests, frames) = mpsc::channel(16);
    let (answers, delayed) = mpsc::unbounded_channel();
    tokio::select! {
        ended = read_requests(from_client, requests) => ended,
        ended = pass_requests(frames, to_broker, script, &awaited) => ended,
        ended = read_answers(from_broker, answers, script, &awaited) => ended,
        ended = pass_answers(delayed, to_client) => ended,
    }
}

/// Reads whole frames; a task of its own, so that waiting for the next one can be given up without losing half of it.
async fn read_requests(mut from: OwnedReadHalf, to: mpsc::Sender<Vec<u8>>) -> io::Result<()> {
    loop {
        let frame = read_frame(&mut from).await?;
        to.send(frame).await.map_err(io::Error::other)?;
    }
}

async fn pass_requests(mut frames: mpsc::Receiver<Vec<u8>>, mut to: OwnedWriteHalf, script: &Script, awaited: &Awaited) -> io::Result<()> {
    while let Some(frame) = frames.recv().await {
        if script.hated.lock().unwrap_or_else(PoisonError::into_inner).contains(&api(&frame)) {
            return Ok(());
        }
        for (kinds, fate) in [(&script.unanswered, Fate::Lost), (&script.swallowed, Fate::Swallowed)] {
            if kinds.lock().unwrap_or_else(PoisonError::into_inner).contains(&api(&frame)) {
                let mut awaited = awaited.lock().unwrap_or_else(PoisonError::into_inner);
                awaited.insert(correlation(&frame[8..]), fate);
            }
        }
        let Some((damaged, hold)) = script.damage_of(&frame) else {
            to.write_all(&frame).await?;
            continue;
        };
        script.damaged.send_replace(Stage::Held);
        let until = Instant::now() + hold;
        let mut behind = None;
        while let Ok(Some(next)) = timeout(until.saturating_duration_since(Instant::now()), frames.recv()).await {
            if api(&next) == PRODUCE {
                behind = Some(next);
                break;
            }
            to.write_all(&next).await?;
        }
        let (answered, answer) = oneshot::channel();
        awaited
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(correlation(&damaged[8..]), Fate::Told(answered));
        to.write_all(&damaged).await?;
        answer.await.map_err(io::Error::other)?;
        script.damaged.send_replace(Stage::Answered {
            followed: behind.is_some(),
        });
        if let Some(behind) = behind {
            to.write_all(&behind).await?;
        }
    }
    Ok(())
}

async fn read_answers(
    mut from: OwnedReadHalf,
    to: mpsc::UnboundedSender<(Instant, Vec<u8>)>,
    script: &Script,
    awaited: &Awaited,
) -> io::Result<()> {
    loop {
        let frame = read_frame(&mut from).await?;
        let fate = awaited
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&correlation(&frame[4..]));
        match fate {
            Some(Fate::Lost) => return Ok(()),
            Some(Fate::Swallowed) => continue,
            Some(Fate::Told(_)) | None => {}
        }
        let at = Instant::now() + *script.delay.lock().unwrap_or_else(PoisonError::into_inner);
        to.send((at, frame)).map_err(io::Error::other)?;
        if let Some(Fate::Told(waiting)) = fate {
            // Whoever waited may be gone with its connection.
            let _ = waiting.send(());
        }
    }
}

async fn pass_answers(mut frames: mpsc::UnboundedReceiver<(Instant, Vec<u8>)>, mut to: OwnedWriteHalf) -> io::Result<()> {
    while let Some((at, frame)) = frames.recv().await {
        // A delay is what this proxy is for.
        sleep_until(at).await;
        to.write_all(&frame).await?;
    }
    Ok(())
}

impl Script {
    /// The damaged form of a request, if it is the one to be damaged, and how long it is held back.
    fn damage_of(&self, frame: &[u8]) -> Option<(Vec<u8>, Duration)> {
        if api(frame) != PRODUCE {
            return None;
        }
        let mut damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        let Damage { original, damaged, hold } = damage.as_ref()?;
        let at = frame.windows(original.len()).position(|window| window == original)?;
        let mut frame = frame.to_vec();
        frame[at..at + damaged.len()].copy_from_slice(damaged);
        let hold = *hold;
        *damage = None;
        Some((frame, hold))
    }
}

/// One frame, its length in front.
async fn read_frame(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let length = from.read_i32().await?;
    // The shortest is an answer that holds nothing but its number.
    let body = usize::try_from(length).ok().filter(|body| (4..=200_000_000).contains(body));
    let body = body.ok_or_else(|| io::Error::other("a frame of senseless length"))?;
    let mut frame = vec![0; 4 + body];
    frame[..4].copy_from_slice(&length.to_be_bytes());
    from.read_exact(&mut frame[4..]).await?;
    Ok(frame)
}

/// The kind of a request.
fn api(frame: &[u8]) -> i16 {
    i16::from_be_bytes([frame[4], frame[5]])
}

/// The number that joins a request and its answer.
fn correlation(at: &[u8]) -> i32 {
    i32::from_be_bytes([at[0], at[1], at[2], at[3]])
}
