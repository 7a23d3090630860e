//! A PostgreSQL of one test's own: to be stopped, killed, copied to a standby, or lied to about the time.
//!
//! A server runs on a port and in a folder that nobody else has. A guard process that holds a pipe of the test kills it and removes the folder
//! when the value is dropped, when the test panics, and when the test process itself is killed.
//!
//! ```no_run
//! # async fn f() -> Option<()> {
//! use eventferry_tests::own_postgres::OwnPostgres;
//!
//! let mut primary = OwnPostgres::start(&[("max_prepared_transactions", "10")]).await?;
//! let standby = primary.standby(&[]).await;
//! primary.kill().await;
//! standby.promote().await;
//! # Some(()) }
//! ```

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, PgPool};
use tokio::time::{interval, timeout};

use crate::servers;

/// No start, stop or recovery of a test's server takes this long.
const PATIENCE: Duration = Duration::from_mins(1);
/// Hears of every server that is started in `$1`; at the end of its stdin it stops the last one, removes what it shares, and the folder.
const GUARD: &str = r#"
trap '' INT TERM HUP
while read -r line; do pid=$line; done
memory=$(sed -n 7p "$1/data/postmaster.pid" 2>/dev/null)
gone() { ! grep -qs '^State:[[:space:]]*[^Z[:space:]]' "/proc/$pid/status"; }
if [ -n "$pid" ] && grep -qsF "$1" "/proc/$pid/cmdline"; then
  kill -QUIT "$pid"
  for _ in {1..60}; do gone && break; sleep 0.05; done
  gone || kill -KILL $(cat "/proc/$pid/task/$pid/children") "$pid"
fi 2>/dev/null
ipcrm -m "${memory##* }" 2>/dev/null
rm -f -- "/dev/shm/sem.faketime_sem_$pid" "/dev/shm/faketime_shm_$pid"
# A killed postmaster leaves its children for a moment.
for _ in {1..200}; do
  rm -rf -- "$1" 2>/dev/null && break
  sleep 0.05
done"#;

/// A server of a test's own.
#[derive(Debug)]
#[must_use = "dropping it ends the server and removes its data"]
pub struct OwnPostgres {
    bin: PathBuf,
    dir: PathBuf,
    port: u16,
    environment: Vec<(String, String)>,
    server: Option<Child>,
    guard: Child,
}

/// The wall clock of a server that was started with [`OwnPostgres::start_with_clock`]. Its monotonic clock is the machine's.
#[derive(Debug, Clone)]
pub struct WallClock {
    file: PathBuf,
}

impl OwnPostgres {
    /// Makes and starts a server with the settings given; `None`, said aloud, where PostgreSQL's programs are missing.
    ///
    /// Listens on 127.0.0.1 only and trusts everybody there, replication included. `fsync` is on unless a setting says otherwise.
    ///
    /// # Panics
    /// If the server does not come up.
    pub async fn start(settings: &[(&str, &str)]) -> Option<Self> {
        Self::start_in(settings, &[]).await
    }

    /// The same with variables in the server's environment.
    ///
    /// # Panics
    /// If the server does not come up.
    pub async fn start_in(settings: &[(&str, &str)], environment: &[(&str, &str)]) -> Option<Self> {
        let mut new = Self::empty(PathBuf::from(servers::require("own-postgres")?));
        new.environment = environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        new.initialize(settings).await;
        Some(new)
    }

    /// The same, and its wall clock can be moved; `None`, said aloud, where libfaketime is missing.
    ///
    /// # Panics
    /// If the server does not come up.
    pub async fn start_with_clock(settings: &[(&str, &str)]) -> Option<(Self, WallClock)> {
        let library = servers::require("faketime")?;
        let mut new = Self::empty(PathBuf::from(servers::require("own-postgres")?));
        let clock = WallClock {
            file: new.dir.join("clock"),
        };
        clock.step(0);
        let file = clock.file.to_str().expect("a path of ours is text");
        let environment = [
            ("LD_PRELOAD", library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", file),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("FAKETIME_DONT_RESET", "1"),
        ];
        new.environment = environment.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        new.initialize(settings).await;
        Some((new, clock))
    }

    /// A standby that streams from this server, started and caught up with what was there.
    ///
    /// Its `cluster_name`, which is what `synchronous_standby_names` would call it, is `standby`.
    ///
    /// # Panics
    /// If the copy fails or the standby does not come up.
    pub async fn standby(&self, settings: &[(&str, &str)]) -> Self {
        let mut new = Self::empty(self.bin.clone());
        let target = new.data();
        let port = self.port.to_string();
        new.program(
            "pg_basebackup",
            &[
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "-U",
                "postgres",
                "-D",
                &target,
                "-R",
                "-X",
                "stream",
                "-c",
                "fast",
                "--no-sync",
            ],
        )
        .await;
        new.configure(&[("cluster_name", "standby"), ("hot_standby", "on")]);
        new.configure(settings);
        new.launch().await;
        new
    }

    /// The port, which stays the same across restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Takes the port of a server that is down, for what connects to that address from now on. Restarts this one.
    ///
    /// # Panics
    /// If the server does not come up there.
    pub async fn take_port(&mut self, port: u16) {
        self.stop().await;
        self.port = port;
        self.start_again().await;
    }

    /// How to connect to a database of this server.
    pub fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username("postgres")
            .database(database)
            .disable_statement_logging()
    }

    /// Up to 64 connections to the database `postgres`, opened when they are needed.
    pub fn pool(&self) -> PgPool {
        PgPoolOptions::new().max_connections(64).connect_lazy_with(self.options("postgres"))
    }

    /// Runs statements in the database `postgres`, on a connection of their own.
    ///
    /// # Panics
    /// If the server is down or refuses.
    pub async fn execute(&self, statements: &str) {
        let mut connection = PgConnection::connect_with(&self.options("postgres"))
            .await
            .expect("the test's server is up");
        connection
            .execute(AssertSqlSafe(statements.to_owned()))
            .await
            .unwrap_or_else(|error| panic!("{statements}: {error}"));
        drop(connection.close().await);
    }

    /// Changes a setting of the running server.
    ///
    /// # Panics
    /// If the server is down or refuses.
    pub async fn set(&self, name: &str, value: &str) {
        self.execute(&format!("ALTER SYSTEM SET {name} = '{value}'")).await;
        self.execute("SELECT pg_reload_conf()").await;
    }

    /// Ends a standby's standing by.
    ///
    /// # Panics
    /// If it is none, or if it takes longer than anything should.
    pub async fn promote(&self) {
        self.execute("DO $$ BEGIN ASSERT pg_promote(true, 60); END $$").await;
    }

    /// A program of PostgreSQL's, such as `pg_dump`, that finds this server by its environment.
    pub fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", "postgres")
            .stdin(Stdio::null());
        command
    }

    /// A folder that goes with the server.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Stops the server as an operator does (`fast`): open transactions are rolled back.
    ///
    /// # Panics
    /// If it does not stop.
    pub async fn stop(&mut self) {
        self.end("INT").await;
    }

    /// SIGKILL to the server and every process of it: nothing is rolled back, nothing written down.
    ///
    /// # Panics
    /// If it does not die.
    pub async fn kill(&mut self) {
        self.end("KILL").await;
    }

    /// Starts a server that was stopped or killed, on its port; returns when it answers, after recovery.
    ///
    /// # Panics
    /// If it does not come up.
    pub async fn start_again(&mut self) {
        assert!(self.try_launch().await, "{}", self.log());
    }

    fn empty(bin: PathBuf) -> Self {
        let dir = std::env::temp_dir().join(format!("eventferry-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir(&dir).expect("the folder for temporary files can be written to");
        // Not a child of what tests/run kills: it must outlive the test by the moment it needs.
        let guard = Command::new("bash")
            .args(["-c", GUARD, "guard"])
            .arg(&dir)
            .env_remove("EVENTFERRY_RUN")
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("bash is there");
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(&dir).status();
            assert!(owned.is_ok_and(|status| status.success()), "there is no user postgres");
        }
        Self {
            bin,
            port: free_port(),
            environment: Vec::new(),
            server: None,
            guard,
            dir,
        }
    }

    async fn initialize(&mut self, settings: &[(&str, &str)]) {
        let data = self.data();
        self.program(
            "initdb",
            &[
                "-D",
                &data,
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ],
        )
        .await;
        self.configure(&[
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", ""),
            // In the server's folder, so that it goes with it.
            ("dynamic_shared_memory_type", "mmap"),
            ("max_connections", "200"),
            ("shared_buffers", "64MB"),
        ]);
        self.configure(settings);
        self.launch().await;
    }

    fn data(&self) -> String {
        self.dir.join("data").to_str().expect("a path of ours is text").to_owned()
    }

    fn configure(&self, settings: &[(&str, &str)]) {
        let file = self.dir.join("data/postgresql.conf");
        let mut text = fs::read_to_string(&file).expect("initdb wrote it");
        for (name, value) in settings {
            text.extend([name, " = '", value, "'\n"]);
        }
        // In place, so that the file keeps its owner.
        fs::write(&file, text).expect("the file can be written to");
    }

    /// A program of PostgreSQL's as the user who may run it: its programs refuse root.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(if is_root() { "setpriv" } else { "env" });
        if is_root() {
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "env"]);
        }
        // For the server alone: a library that is loaded into setpriv as well makes things that only root can open.
        command.args(self.environment.iter().map(|(name, value)| format!("{name}={value}")));
        command.arg(self.bin.join(name)).current_dir(&self.dir).stdin(Stdio::null());
        command
    }

    async fn program(&self, name: &str, arguments: &[&str]) {
        let mut command = self.command(name);
        command.args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        let output = output.expect("does not panic").expect("the program is there");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts it on a port that turns out to be free.
    async fn launch(&mut self) {
        for _ in 0..5 {
            if self.try_launch().await {
                return;
            }
            self.port = free_port();
        }
        panic!("{}", self.log());
    }

    /// False if the port was taken by somebody else.
    async fn try_launch(&mut self) -> bool {
        assert!(self.server.is_none(), "it runs already");
        let before = self.log().len();
        let log = fs::File::options().create(true).append(true).open(self.dir.join("log"));
        let log = log.expect("the log can be written to");
        let mut command = self.command("postgres");
        command
            .args(["-D", &self.data(), "-p", &self.port.to_string()])
            .stdout(log.try_clone().expect("a file has two handles"))
            .stderr(log)
            .process_group(0);
        // Kept at once: a panic from here on must find it.
        let options = self.options("postgres");
        let server = self.server.insert(command.spawn().expect("the program is there"));
        let ears = self.guard.stdin.as_mut().expect("open until the end");
        writeln!(ears, "{}", server.id()).expect("the guard lives");
        let answers = timeout(PATIENCE, async {
            let mut tick = interval(Duration::from_millis(20));
            loop {
                tick.tick().await;
                if server.try_wait().expect("a child can be waited for").is_some() {
                    return false;
                }
                if let Ok(connection) = PgConnection::connect_with(&options).await {
                    drop(connection.close().await);
                    return true;
                }
            }
        })
        .await;
        if answers.unwrap_or_else(|_| panic!("no answer within {PATIENCE:?}: {}", self.log())) {
            return true;
        }
        self.server = None;
        let log = self.log().split_off(before);
        assert!(log.contains("could not bind") || log.contains("Address already in use"), "{log}");
        false
    }

    async fn end(&mut self, signal: &str) {
        let mut server = self.server.take().expect("it runs");
        let pids = send(&server, signal);
        let ended = timeout(PATIENCE, async {
            let mut tick = interval(Duration::from_millis(10));
            loop {
                tick.tick().await;
                let gone = server.try_wait().expect("a child can be waited for").is_some();
                if gone && !pids.iter().any(|pid| is_alive(pid)) {
                    return;
                }
            }
        })
        .await;
        assert!(ended.is_ok(), "the server did not end: {}", self.log());
        // What libfaketime shares with the server's processes is not removed by a server that was killed.
        for shared in ["sem.faketime_sem", "faketime_shm"] {
            drop(fs::remove_file(format!("/dev/shm/{shared}_{pid}", pid = pids[0])));
        }
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        // The end of its stdin is the guard's call.
        drop(self.guard.stdin.take());
        drop(self.server.take().map(|mut server| server.wait()));
        drop(self.guard.wait());
    }
}

/// Sends a signal to a server, SIGKILL also to its processes; answers whom it went to.
fn send(server: &Child, signal: &str) -> Vec<String> {
    let pid = server.id();
    let mut pids = vec![pid.to_string()];
    if signal == "KILL" {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        pids.extend(children.split_whitespace().map(str::to_owned));
    }
    // One of them may have ended by itself meanwhile.
    drop(Command::new("kill").arg(format!("-{signal}")).args(&pids).output());
    pids
}

impl WallClock {
    /// Sets the clock so many seconds before or after the machine's. Every process of the server sees it at its next look.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn step(&self, seconds: i64) {
        // One move, so that nobody reads half a number.
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{seconds:+}\n")).expect("the folder can be written to");
        fs::rename(&new, &self.file).expect("the folder can be written to");
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// A dead process that nobody has waited for yet holds nothing any more.
fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// A port below those the system gives to connections going out, on which nobody listens now.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    let free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(12_000..20_000))
        .take(500)
        .find(free)
        .expect("a port is free")
}
