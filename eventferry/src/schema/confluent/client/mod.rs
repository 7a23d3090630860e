//! Requests: to one URL after the other, again where that can help, and for a bounded time.

mod exchange;
mod retry_after;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::time::Instant;

use crate::schema::RegistryErrorKind;
use crate::schema::confluent::answer::{Answer, Failure};
use crate::schema::confluent::endpoint::Endpoint;

use exchange::Next;

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(30);
/// The longest pause between two tries that nobody asked for.
const PAUSE: Duration = Duration::from_secs(2);

/// How long and how often.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) connect_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) deadline: Duration,
    pub(super) retries: u32,
    pub(super) backoff: Duration,
}

/// Where the value of the header `authorization` comes from, unless a URL brings its own.
pub(super) enum Authorization {
    None,
    Fixed(HeaderValue),
    /// Asked before every request; none where it cannot be a header.
    Fresh(Arc<dyn Fn() -> Option<HeaderValue> + Send + Sync>),
}

pub(super) struct Client {
    http: hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    endpoints: Vec<Endpoint>,
    /// Which of them answered last.
    good: AtomicUsize,
    authorization: Authorization,
    headers: Vec<(HeaderName, HeaderValue)>,
    limits: Limits,
}

impl Client {
    pub(super) fn new(
        endpoints: Vec<Endpoint>,
        tls: ClientConfig,
        authorization: Authorization,
        headers: Vec<(HeaderName, HeaderValue)>,
        limits: Limits,
    ) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(limits.connect_timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self {
            http,
            endpoints,
            good: AtomicUsize::new(0),
            authorization,
            headers,
            limits,
        }
    }

    /// The URL that answered last, without credentials.
    pub(super) fn shown(&self) -> &str {
        self.endpoints.get(self.good.load(Ordering::Relaxed)).map_or("", Endpoint::shown)
    }

    /// Every URL, without credentials.
    pub(super) fn urls(&self) -> Vec<&str> {
        self.endpoints.iter().map(Endpoint::shown).collect()
    }

    /// Asks until something answers that asking again would not change, for at most the deadline.
    pub(super) async fn call(&self, method: &Method, path: &str, body: Option<Bytes>, what: &str) -> Result<Answer, Failure> {
        let until = later(self.limits.deadline);
        let mut round = 0;
        loop {
            let (mut misses, mut source, mut asked_for, mut hopeless) = (Vec::new(), None, None, true);
            for place in self.in_order() {
                let endpoint = &self.endpoints[place];
                let miss = match self.once(endpoint, method, path, body.clone(), until).await {
                    Ok(answer) => {
                        self.good.store(place, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    Err(miss) => miss,
                };
                misses.push(format!("{}: {}", endpoint.shown(), miss.why));
                source = miss.source.or(source);
                asked_for = asked_for.max(miss.asked_for);
                hopeless &= matches!(miss.next, Next::Elsewhere);
                // All URLs are one registry: where one of them holds back, the others do as well.
                if matches!(miss.next, Next::Later) || Instant::now() >= until {
                    break;
                }
            }
            // Never less than our own pause: the registry may say "now", or name a time that has passed, as often as it likes.
            let pause = self.pause(round).max(asked_for.unwrap_or_default());
            if hopeless || round >= self.limits.retries || later(pause) >= until {
                return Err(unavailable(what, &misses, asked_for).with_source(source));
            }
            tracing::warn!(attempt = round + 1, pause = ?pause, "failed to {what}, asking again: {}", misses.join("; "));
            rest(pause).await;
            round += 1;
        }
    }

    /// The places of the URLs, the one that answered last first.
    fn in_order(&self) -> impl Iterator<Item = usize> {
        let (count, first) = (self.endpoints.len(), self.good.load(Ordering::Relaxed));
        (0..count).map(move |turn| (first + turn) % count)
    }

    /// Doubles from try to try, between a half and the whole of it, so that relays do not come back together.
    fn pause(&self, round: u32) -> Duration {
        let whole = self.limits.backoff.saturating_mul(2_u32.saturating_pow(round)).min(PAUSE);
        whole.mul_f64(fastrand::f64().mul_add(0.5, 0.5))
    }
}

fn unavailable(what: &str, misses: &[String], wait: Option<Duration>) -> Failure {
    let wait = wait.map_or_else(String::new, |wait| format!("; it asks to come back in {} s", wait.as_secs()));
    let text = format!("failed to {what}: the schema registry is away ({}{wait})", misses.join("; "));
    Failure::new(RegistryErrorKind::Unavailable, text)
}

/// So long from now. What is too long to be counted is as good as never.
fn later(after: Duration) -> Instant {
    const NEVER: Duration = Duration::from_hours(24 * 365 * 30);
    Instant::now() + after.min(NEVER)
}

#[expect(clippy::disallowed_methods, reason = "the pause before asking again is what is waited for")]
async fn rest(pause: Duration) {
    tokio::time::sleep(pause).await;
}

#[cfg(test)]
mod tests;
