//! Requests: to one URL after the other, again where that can help, and for a bounded time.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::time::{Instant, timeout_at};

use crate::schema::RegistryErrorKind;
use crate::schema::confluent::answer::{Answer, Failure};
use crate::schema::confluent::endpoint::Endpoint;

/// No answer is read past this many bytes.
const ANSWER: usize = 4 * 1024 * 1024;
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(30);
/// The longest pause between two tries that nobody asked for.
const PAUSE: Duration = Duration::from_secs(2);
const MEDIA: HeaderValue = HeaderValue::from_static("application/vnd.schemaregistry.v1+json");
const ACCEPTED: HeaderValue = HeaderValue::from_static("application/vnd.schemaregistry.v1+json, application/json; q=0.9");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("eventferry/", env!("CARGO_PKG_VERSION")));

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

/// A try without an answer that settles anything.
struct Miss {
    why: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    next: Next,
}

/// What may help after a miss.
enum Next {
    /// Another URL, or the same one later.
    Anything,
    /// The same, after the time the registry asked for.
    Later(Option<Duration>),
    /// Another URL; asking this one again cannot.
    Elsewhere,
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
        let until = Instant::now() + self.limits.deadline;
        let mut round = 0;
        loop {
            let (mut misses, mut source, mut wait, mut hopeless) = (Vec::new(), None, None, true);
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
                hopeless &= matches!(miss.next, Next::Elsewhere);
                if let Next::Later(after) = miss.next {
                    // All URLs are one registry: what one of them holds back, the others do as well.
                    wait = Some(after);
                    break;
                }
                if Instant::now() >= until {
                    break;
                }
            }
            let pause = match wait {
                Some(Some(asked_for)) => asked_for,
                Some(None) | None => self.pause(round),
            };
            if hopeless || round >= self.limits.retries || Instant::now() + pause >= until {
                return Err(unavailable(what, &misses, wait.flatten()).with_source(source));
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

    async fn once(&self, endpoint: &Endpoint, method: &Method, path: &str, body: Option<Bytes>, until: Instant) -> Result<Answer, Miss> {
        let timeout = self.limits.request_timeout;
        let until = until.min(Instant::now() + timeout);
        match timeout_at(until, self.exchange(endpoint, method, path, body)).await {
            Ok(result) => result,
            Err(_) => Err(Miss {
                why: "no answer in time".to_owned(),
                source: None,
                next: Next::Anything,
            }),
        }
    }

    async fn exchange(&self, endpoint: &Endpoint, method: &Method, path: &str, body: Option<Bytes>) -> Result<Answer, Miss> {
        let broken = |why: &str, error: Box<dyn StdError + Send + Sync>, next: Next| Miss {
            why: why.to_owned(),
            source: Some(Arc::from(error)),
            next,
        };
        let request = self
            .request(endpoint, method, path, body)
            .map_err(|error| broken("no request can be made of it", error.into(), Next::Elsewhere))?;
        let response = self.http.request(request).await.map_err(|error| {
            if refuses_certificate(&error) {
                broken(
                    "TLS fails, see the cause; is `ca_pem` its authority?",
                    error.into(),
                    Next::Elsewhere,
                )
            } else if error.is_connect() {
                broken("cannot be connected to", error.into(), Next::Anything)
            } else {
                broken("the connection was lost", error.into(), Next::Anything)
            }
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                broken("the answer is longer than 4 MiB", error, Next::Elsewhere)
            } else {
                broken("the connection was lost in the answer", error, Next::Anything)
            }
        })?;
        let answer = Answer::new(head.status.as_u16(), body.to_bytes());
        let next = match head.status.as_u16() {
            429 => Next::Later(retry_after(&head.headers)),
            408 | 500 | 502 | 503 | 504 => Next::Anything,
            _ => return Ok(answer),
        };
        Err(Miss {
            why: answer.said(),
            source: None,
            next,
        })
    }

    fn request(
        &self,
        endpoint: &Endpoint,
        method: &Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(endpoint.uri(path)?)
            .header(ACCEPT, ACCEPTED)
            .header(USER_AGENT, AGENT);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, MEDIA);
        }
        let own = endpoint.authorization().cloned();
        let authorization = own.or_else(|| match &self.authorization {
            Authorization::None => None,
            Authorization::Fixed(value) => Some(value.clone()),
            Authorization::Fresh(source) => source(),
        });
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(body.unwrap_or_default()))
    }
}

fn unavailable(what: &str, misses: &[String], wait: Option<Duration>) -> Failure {
    let wait = wait.map_or_else(String::new, |wait| format!("; it asks to come back in {} s", wait.as_secs()));
    let text = format!("failed to {what}: the schema registry is away ({}{wait})", misses.join("; "));
    Failure::new(RegistryErrorKind::Unavailable, text)
}

/// Whether TLS itself failed, which it does again: a certificate does not become another one.
fn refuses_certificate(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<rustls::Error>() {
            return true;
        }
        // An I/O error shows what it holds, but its `source` is that of what it holds.
        cause = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    false
}

/// In seconds; a date is not read, and the pause is then our own.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

#[expect(clippy::disallowed_methods, reason = "the pause before asking again is what is waited for")]
async fn rest(pause: Duration) {
    tokio::time::sleep(pause).await;
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use crate::schema::confluent::ConfluentRegistry;
    use crate::schema::{RegistryErrorKind, SchemaId, SchemaRegistry};

    use super::*;

    /// Keeps everything that is logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<String>>);

    impl Visit for Log {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            text.extend([field.name(), "=", &format!("{value:?}"), "\n"]);
        }
    }

    impl Subscriber for Log {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, attributes: &Attributes<'_>) -> Id {
            attributes.record(&mut self.clone());
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, values: &Record<'_>) {
            values.record(&mut self.clone());
        }
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            event.record(&mut self.clone());
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[tokio::test]
    async fn no_log_line_of_any_crate_shows_a_credential() {
        let log = Log::default();
        let logging = tracing::subscriber::set_default(log.clone());
        // Nobody listens there.
        for builder in [
            ConfluentRegistry::builder(["http://ann:hunter2@127.0.0.1:1", "http://ann:hunter2@127.0.0.1:1/v7"]),
            ConfluentRegistry::builder(["http://127.0.0.1:1"]).basic_auth("ann", "hunter2"),
            ConfluentRegistry::builder(["http://127.0.0.1:1"])
                .bearer_auth("hunter2")
                .header("x-key", "hunter2"),
        ] {
            let registry = builder.retries(1).build().unwrap();
            let error = registry.schema_of(SchemaId::new(1)).await.unwrap_err();
            assert_eq!(error.kind(), RegistryErrorKind::Unavailable);
        }
        drop(logging);
        let text = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert!(text.contains("asking again") && text.contains("http://127.0.0.1:1"), "{text}");
        for secret in ["hunter2", "ann:", "YW5uOmh1bnRlcjI="] {
            assert!(!text.contains(secret), "`{secret}` is in {text}");
        }
    }
}
