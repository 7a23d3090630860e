//! A Kafka of a test's own: to be stopped, killed, throttled, or set up in a way no other test could stand.
//!
//! It takes about five seconds to start, so whoever can share one does. A small shell process keeps it: when the value is dropped, and just as
//! well when the test's process ends in any other way, the keeper kills the brokers and removes their data.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::kafka::PATIENCE;
use crate::servers;

/// Ports are taken from below those the kernel gives to connections, so that none is lost while a broker is down, and beside those of `tests/run`.
const PORTS: std::ops::Range<u16> = 10_000..20_000;

/// Obeys one line after the other (`start NODE` or `SIGNAL NODE`), answers each with a status, and cleans up when there are no more.
const KEEPER: &str = r#"
trap : INT TERM HUP
dir=$1 java=("${@:2}")
declare -A pid
start() {
  [ -e "$dir/data-$1" ] || java -Xmx64m "${java[@]}" kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qk -c "$dir/$1.properties" || return
  exec setpriv --pdeathsig KILL java -Xmx256m "${java[@]}" kafka.Kafka "$dir/$1.properties"
}
while read -r verb node; do
  if [ "$verb" = start ]; then
    (start "$node") >>"$dir/$node.log" 2>&1 </dev/null &
    pid[$node]=$!
    echo 0
  else
    kill "-$verb" "${pid[$node]}" 2>/dev/null
    status=$?
    [[ $verb = TERM || $verb = KILL ]] && wait "${pid[$node]}" 2>/dev/null
    echo $status
  fi
done
for p in "${pid[@]}"; do kill -KILL "$p" 2>/dev/null; done
wait
rm -rf -- "$dir"
"#;

/// What a Kafka of a test's own is to be like.
#[derive(Debug, Clone)]
#[must_use = "nothing runs until `start` is called"]
pub struct OwnKafkaBuilder {
    nodes: usize,
    settings: Vec<(String, String)>,
    users: Vec<(String, String)>,
}

impl OwnKafkaBuilder {
    /// So many brokers, numbered from 1. The first is also the controller, so it is another one that a test stops.
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// Any broker setting, for every broker.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Somebody who logs in with a password at [`OwnKafka::secured`] and may do nothing until the broker is told to allow it. Whoever
    /// comes to [`OwnKafka::brokers`] may do everything.
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.push((name.to_owned(), password.to_owned()));
        self
    }

    /// Starts it and waits until every broker is there; `None`, said aloud, where Kafka was never fetched.
    ///
    /// # Panics
    /// If it does not come up.
    pub async fn start(self) -> Option<OwnKafka> {
        let lib = lib()?;
        Some(blocking(move || OwnKafka::new(&self, &lib)).await.ready().await)
    }
}

/// A Kafka of a test's own.
#[derive(Debug)]
#[must_use = "dropping it stops the brokers and removes their data"]
pub struct OwnKafka {
    nodes: Vec<Node>,
    keeper: Arc<Mutex<Keeper>>,
    dir: PathBuf,
}

/// The ports of one broker.
#[derive(Debug, Clone, Copy)]
struct Node {
    plain: u16,
    secured: u16,
    proxied: u16,
    proxy: u16,
}

#[derive(Debug)]
struct Keeper {
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    process: Child,
}

impl OwnKafka {
    /// Starts describing one; without any further word it is a single broker.
    pub fn builder() -> OwnKafkaBuilder {
        OwnKafkaBuilder {
            nodes: 1,
            settings: Vec::new(),
            users: Vec::new(),
        }
    }

    fn new(wanted: &OwnKafkaBuilder, lib: &Path) -> Self {
        let parent = env::var_os("EVENTFERRY_RUN").map_or_else(env::temp_dir, PathBuf::from);
        let dir = parent.join(format!("own-kafka-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir(&dir).expect("a folder can be made");
        let mut free = free_ports();
        let mut port = || free.next().expect("a port is free");
        let controller = port();
        let mut nodes = Vec::new();
        for _ in 0..wanted.nodes {
            nodes.push(Node {
                plain: port(),
                secured: port(),
                proxied: port(),
                proxy: port(),
            });
        }
        for (number, node) in (1..).zip(&nodes) {
            fs::write(
                dir.join(format!("{number}.properties")),
                properties(wanted, &dir, number, *node, controller),
            )
            .expect("a file can be written");
        }
        let mut process = Command::new("bash")
            .args(["-c", KEEPER, "keeper"])
            .arg(&dir)
            .args([
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-cp",
            ])
            .arg(lib.join("*"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C reaches the test first; the keeper then sees that its orders have ended.
            .process_group(0)
            .spawn()
            .expect("bash can be started");
        let keeper = Keeper {
            orders: process.stdin.take(),
            answers: BufReader::new(process.stdout.take().expect("piped")),
            process,
        };
        let kafka = Self {
            nodes,
            keeper: Arc::new(Mutex::new(keeper)),
            dir,
        };
        for number in 1..=kafka.nodes.len() {
            order(&kafka.keeper, "start", number);
        }
        kafka
    }

    /// Where clients find it: `127.0.0.1:PORT`, for each broker, with commas.
    pub fn brokers(&self) -> String {
        self.addresses(|node| node.plain)
    }

    /// The same for users with a password (`SASL_PLAINTEXT`, `PLAIN`).
    pub fn secured(&self) -> String {
        self.addresses(|node| node.secured)
    }

    /// Where its data is while it lives.
    pub fn folder(&self) -> &Path {
        &self.dir
    }

    /// A second listener of a broker, and the address it advertises itself with there, where nobody listens until a test starts a proxy.
    pub fn proxied(&self, node: usize) -> (String, String) {
        let node = self.nodes[node - 1];
        (format!("127.0.0.1:{}", node.proxied), format!("127.0.0.1:{}", node.proxy))
    }

    fn addresses(&self, port: impl Fn(&Node) -> u16) -> String {
        let addresses: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", port(node))).collect();
        addresses.join(",")
    }

    /// SIGTERM to a broker, and waits for its end.
    pub async fn stop(&self, node: usize) {
        self.order("TERM", node).await;
    }

    /// SIGKILL to a broker.
    pub async fn kill(&self, node: usize) {
        self.order("KILL", node).await;
    }

    /// SIGSTOP to a broker: its connections stay open and nobody answers.
    pub async fn freeze(&self, node: usize) {
        self.order("STOP", node).await;
    }

    /// SIGCONT to a broker.
    pub async fn thaw(&self, node: usize) {
        self.order("CONT", node).await;
    }

    /// Starts a broker that was stopped or killed, on the same ports and data, without waiting for it.
    pub async fn start_again(&self, node: usize) {
        self.order("start", node).await;
    }

    async fn order(&self, what: &'static str, node: usize) {
        let keeper = Arc::clone(&self.keeper);
        blocking(move || order(&keeper, what, node)).await;
    }

    /// Waits until so many brokers are in the cluster, as a client sees it.
    ///
    /// # Panics
    /// If that takes too long; the end of each broker's log is in the message.
    pub async fn until_brokers(&self, count: usize) {
        let (brokers, dir) = (self.brokers(), self.dir.clone());
        let there = blocking(move || {
            let client: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", &brokers)
                .set("reconnect.backoff.max.ms", "100")
                .set("log_level", "0")
                .create()
                .expect("a client can be made");
            let until = Instant::now() + PATIENCE;
            while Instant::now() < until {
                if client
                    .fetch_metadata(None, Duration::from_millis(500))
                    .is_ok_and(|known| known.brokers().len() == count)
                {
                    return Ok(());
                }
            }
            Err(logs(&dir))
        });
        if let Err(logs) = there.await {
            panic!("there were not {count} brokers within {PATIENCE:?}:\n{logs}");
        }
    }

    async fn ready(self) -> Self {
        self.until_brokers(self.nodes.len()).await;
        self
    }
}

impl Drop for OwnKafka {
    fn drop(&mut self) {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        drop(keeper.orders.take());
        // Killing and removing takes it a moment; whoever looks for what was left behind finds nothing.
        drop(keeper.process.wait());
    }
}

/// Gives the keeper one order and waits until it is carried out.
fn order(keeper: &Mutex<Keeper>, what: &str, node: usize) {
    let mut keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner);
    let orders = keeper.orders.as_mut().expect("the keeper is there until the drop");
    writeln!(orders, "{what} {node}").expect("the keeper listens");
    let mut answer = String::new();
    keeper.answers.read_line(&mut answer).expect("the keeper answers");
    assert_eq!(answer.trim(), "0", "`{what}` to broker {node}, which is not there");
}

/// The folder with Kafka's own files, which `tests/run` fetches.
fn lib() -> Option<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    let fetched = fs::read_dir(target.join("servers")).into_iter().flatten().flatten();
    let mut fetched = fetched.filter(|entry| entry.file_name().to_string_lossy().starts_with("kafka-"));
    match (env::var_os("EVENTFERRY_KAFKA_LIB"), fetched.next()) {
        (None, Some(entry)) => Some(entry.path()),
        _ => servers::require("own-kafka").map(PathBuf::from),
    }
}

/// Ports on which nobody listens; none of them twice.
fn free_ports() -> impl Iterator<Item = u16> {
    let mut ports: Vec<u16> = PORTS.collect();
    fastrand::shuffle(&mut ports);
    ports.into_iter().filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
}

fn properties(wanted: &OwnKafkaBuilder, dir: &Path, number: usize, node: Node, controller: u16) -> String {
    let (plain, proxied, proxy, secured) = (node.plain, node.proxied, node.proxy, node.secured);
    let (roles, listener) = if number == 1 {
        ("broker,controller", format!(",CONTROLLER://127.0.0.1:{controller}"))
    } else {
        ("broker", String::new())
    };
    let mut text = format!(
        "process.roles={roles}
node.id={number}
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{plain},PROXIED://127.0.0.1:{proxied},SECURED://127.0.0.1:{secured}{listener}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},PROXIED://127.0.0.1:{proxy},SECURED://127.0.0.1:{secured}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,SECURED:SASL_PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=4194304
log.index.size.max.bytes=1048576
file.delete.delay.ms=1000
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
sasl.enabled.mechanisms=PLAIN
",
        dir.join(format!("data-{number}")).display(),
    );
    text += "listener.name.secured.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required";
    for (name, password) in &wanted.users {
        let _ = write!(text, " user_{name}=\"{password}\"");
    }
    text += ";\n";
    if !wanted.users.is_empty() {
        text += "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\nsuper.users=User:ANONYMOUS\n";
    }
    for (name, value) in &wanted.settings {
        let _ = writeln!(text, "{name}={value}");
    }
    text
}

fn logs(dir: &Path) -> String {
    let files = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut text = String::new();
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "log")) {
        let mut all = String::new();
        drop(fs::File::open(&file).and_then(|mut file| file.read_to_string(&mut all)));
        let tail: Vec<&str> = all.lines().rev().take(30).collect();
        let _ = writeln!(text, "{}:", file.display());
        for line in tail.into_iter().rev() {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("does not panic")
}
