//! A schema registry of a test's own: to be stopped, frozen, and started again.
//!
//! It takes about a second to start and keeps everything in memory, so a registry that was stopped comes back empty. A small shell process
//! keeps it: when the value is dropped, and just as well when the test's process ends in any other way, the keeper kills the registry and
//! removes its files.

use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use tokio::time::{Instant, interval};

use crate::registry_front::{self, Answer};
use crate::servers;

/// No start of a registry takes this long.
const PATIENCE: Duration = Duration::from_mins(1);

/// Obeys one line after the other (`start` or the name of a signal), answers each with a status, and cleans up when there are no more.
const KEEPER: &str = r#"
trap : INT TERM HUP
dir=$1 home=$2 port=$3 pid=
while read -r verb; do
  if [ "$verb" = start ]; then
    env -C "$home" setpriv --pdeathsig KILL java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:SharedArchiveFile=classes.jsa \
      -Dquarkus.http.host=127.0.0.1 "-Dquarkus.http.port=$port" "-Djava.io.tmpdir=$dir" -jar runner.jar >>"$dir/log" 2>&1 </dev/null &
    pid=$!
    echo 0
  else
    kill "-$verb" "$pid" 2>/dev/null
    status=$?
    [[ $verb = TERM || $verb = KILL ]] && wait "$pid" 2>/dev/null
    echo $status
  fi
done
[ -n "$pid" ] && kill -KILL "$pid" 2>/dev/null
wait
rm -rf -- "$dir"
"#;

/// A registry of a test's own, whose level is `BACKWARD`.
#[derive(Debug)]
#[must_use = "dropping it stops the registry and removes its files"]
pub struct OwnRegistry {
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    process: Child,
    dir: PathBuf,
    port: u16,
}

impl OwnRegistry {
    /// Makes one without starting it: nobody listens at its address. `None`, said aloud, where the registry was never fetched.
    ///
    /// # Panics
    /// If its keeper cannot be started.
    pub fn stopped() -> Option<Self> {
        let home = servers::require("own-schema-registry")?;
        let parent = env::var_os("EVENTFERRY_RUN").map_or_else(env::temp_dir, PathBuf::from);
        let dir = parent.join(format!("own-registry-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir(&dir).expect("a folder can be made");
        let port = free_port();
        let mut process = Command::new("bash")
            .args(["-c", KEEPER, "keeper"])
            .arg(&dir)
            .arg(home)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C reaches the test first; the keeper then sees that its orders have ended.
            .process_group(0)
            .spawn()
            .expect("bash can be started");
        Some(Self {
            orders: process.stdin.take(),
            answers: BufReader::new(process.stdout.take().expect("piped")),
            process,
            dir,
            port,
        })
    }

    /// Makes and starts one.
    ///
    /// # Panics
    /// If it does not come up.
    pub async fn start() -> Option<Self> {
        let mut own = Self::stopped()?;
        own.start_again().await;
        Some(own)
    }

    /// The base URL for clients.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/apis/ccompat/v7", self.port)
    }

    /// Starts it on its port, empty, and waits until it answers.
    ///
    /// # Panics
    /// If it does not come up; the end of its log is in the message.
    pub async fn start_again(&mut self) {
        self.order("start");
        let until = Instant::now() + PATIENCE;
        let mut tick = interval(Duration::from_millis(20));
        loop {
            tick.tick().await;
            let set = registry_front::ask(&self.url(), "PUT", "/config", Some(r#"{"compatibility":"BACKWARD"}"#)).await;
            if matches!(set, Ok(Answer { status: 200, .. })) {
                return;
            }
            assert!(Instant::now() < until, "the registry did not come up:\n{}", log(&self.dir));
        }
    }

    /// SIGTERM, and waits for its end. What was registered is gone with it.
    pub fn stop(&mut self) {
        self.order("TERM");
    }

    /// SIGSTOP: connections are made and nobody answers.
    pub fn freeze(&mut self) {
        self.order("STOP");
    }

    /// SIGCONT.
    pub fn thaw(&mut self) {
        self.order("CONT");
    }

    fn order(&mut self, what: &str) {
        let orders = self.orders.as_mut().expect("the keeper is there until the drop");
        writeln!(orders, "{what}").expect("the keeper listens");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the keeper answers");
        assert_eq!(answer.trim(), "0", "the keeper could not {what}");
    }
}

impl Drop for OwnRegistry {
    fn drop(&mut self) {
        drop(self.orders.take());
        // Killing and removing takes it a moment; whoever looks for what was left behind finds nothing.
        drop(self.process.wait());
    }
}

fn log(dir: &Path) -> String {
    let text = fs::read_to_string(dir.join("log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// A port on which nobody listens, below those the kernel gives to connections, so that it is not lost while the registry is down.
fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(10_000..20_000))
        .take(500)
        .find(free)
        .expect("a port is free")
}
