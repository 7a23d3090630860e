//! Relays in processes of their own, each started again when it ends before it should.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A relay ends within its drain time, or something is wrong with it.
const PATIENCE: Duration = Duration::from_secs(45);

/// How long a relay that ended by itself is left alone, as by whoever keeps services running.
const RESTART: Duration = Duration::from_millis(200);

/// What a relay is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Running,
    Frozen,
    Killed,
    Ended,
}

/// One place of the crew: a process, and after it another.
#[derive(Debug)]
pub(super) struct Relay {
    wish: watch::Sender<Wish>,
    did: watch::Receiver<Wish>,
    counts: Arc<Counts>,
    keeper: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    starts: AtomicU64,
    strays: AtomicU64,
}

impl Relay {
    pub(super) fn start(command: Vec<String>) -> Self {
        let (wish, wished) = watch::channel(Wish::Running);
        let (done, did) = watch::channel(Wish::Killed);
        let counts = Arc::<Counts>::default();
        let keeper = tokio::spawn(keep(command, wished, done, Arc::clone(&counts)));
        Self { wish, did, counts, keeper }
    }

    /// Makes it so, and waits until it is.
    pub(super) async fn be(&mut self, wish: Wish) {
        self.wish.send_replace(wish);
        let done = timeout(PATIENCE, self.did.wait_for(|did| *did == wish)).await;
        assert!(matches!(done, Ok(Ok(_))), "a relay did not become {wish:?} within {PATIENCE:?}");
    }

    pub(super) fn starts(&self) -> u64 {
        self.counts.starts.load(Ordering::Relaxed)
    }

    pub(super) fn strays(&self) -> u64 {
        self.counts.strays.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // The process is killed with the task that has it.
        self.keeper.abort();
    }
}

async fn keep(command: Vec<String>, mut wish: watch::Receiver<Wish>, did: watch::Sender<Wish>, counts: Arc<Counts>) {
    let mut child: Option<Child> = None;
    // Held here, because waiting for a process closes its stdin, which a relay takes as the wish to stop.
    let mut stdin: Option<ChildStdin> = None;
    loop {
        let wished = *wish.borrow_and_update();
        match (wished, child.as_mut()) {
            (Wish::Running, Some(running)) => signal(running, "CONT").await,
            (Wish::Running, None) => {
                let mut spawned = spawn(&command, &counts);
                stdin = spawned.stdin.take();
                child = Some(spawned);
                counts.starts.fetch_add(1, Ordering::Relaxed);
            }
            (Wish::Frozen, Some(running)) => signal(running, "STOP").await,
            (Wish::Killed, Some(running)) => drop(running.kill().await),
            (Wish::Ended, Some(running)) => {
                drop(stdin.take());
                signal(running, "CONT").await;
                drop(running.wait().await);
            }
            (Wish::Frozen | Wish::Killed | Wish::Ended, None) => {}
        }
        if matches!(wished, Wish::Killed | Wish::Ended) {
            child = None;
        }
        did.send_replace(wished);
        let gone = async {
            match child.as_mut() {
                Some(running) => drop(running.wait().await),
                None => std::future::pending().await,
            }
        };
        let unheard = tokio::select! {
            changed = wish.changed() => changed.is_err(),
            // It ends by itself where it cannot begin: its database is away.
            () = gone => {
                child = None;
                timeout(RESTART, wish.changed()).await.is_ok_and(|changed| changed.is_err())
            }
        };
        if unheard {
            return;
        }
    }
}

fn spawn(command: &[String], counts: &Arc<Counts>) -> Child {
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the relay's program can be started");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let counts = Arc::clone(counts);
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some(strays) = line.strip_prefix("stopped; strays ") {
                counts.strays.fetch_add(strays.parse().expect("a number"), Ordering::Relaxed);
            }
        }
    });
    child
}

/// There is no safe call for it; `kill` is on every system that has signals.
async fn signal(child: &Child, name: &str) {
    let Some(pid) = child.id() else { return };
    drop(
        Command::new("kill")
            .arg(format!("-{name}"))
            .arg(pid.to_string())
            .stderr(Stdio::null())
            .status()
            .await,
    );
}
