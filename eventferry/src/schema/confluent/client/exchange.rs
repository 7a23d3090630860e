//! One request to one URL, and what may help where it is not answered.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use tokio::time::{Instant, timeout_at};

use crate::clock;
use crate::schema::confluent::answer::Answer;
use crate::schema::confluent::client::retry_after::retry_after;
use crate::schema::confluent::client::{Authorization, Client, later};
use crate::schema::confluent::endpoint::Endpoint;

/// No answer is read past this many bytes.
const ANSWER: usize = 4 * 1024 * 1024;
const MEDIA: HeaderValue = HeaderValue::from_static("application/vnd.schemaregistry.v1+json");
const ACCEPTED: HeaderValue = HeaderValue::from_static("application/vnd.schemaregistry.v1+json, application/json; q=0.9");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("eventferry/", env!("CARGO_PKG_VERSION")));

/// A try without an answer that settles anything.
pub(super) struct Miss {
    pub(super) why: String,
    pub(super) source: Option<Arc<dyn StdError + Send + Sync>>,
    pub(super) next: Next,
    /// How long the registry asks to be left alone.
    pub(super) asked_for: Option<Duration>,
}

/// What may help after a miss.
pub(super) enum Next {
    /// Another URL, or the same one later.
    Anything,
    /// The same one later.
    Later,
    /// Another URL; asking this one again cannot.
    Elsewhere,
}

impl Miss {
    fn new(why: impl Into<String>, next: Next) -> Self {
        Self {
            why: why.into(),
            source: None,
            next,
            asked_for: None,
        }
    }

    fn by(mut self, error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(error.into()));
        self
    }
}

impl Client {
    pub(super) async fn once(
        &self,
        endpoint: &Endpoint,
        method: &Method,
        path: &str,
        body: Option<Bytes>,
        until: Instant,
    ) -> Result<Answer, Miss> {
        let until = until.min(later(self.limits.request_timeout));
        match timeout_at(until, self.exchange(endpoint, method, path, body)).await {
            Ok(result) => result,
            Err(_) => Err(Miss::new("no answer in time", Next::Anything)),
        }
    }

    async fn exchange(&self, endpoint: &Endpoint, method: &Method, path: &str, body: Option<Bytes>) -> Result<Answer, Miss> {
        let request = self
            .request(endpoint, method, path, body)
            .map_err(|error| Miss::new("no request can be made of it", Next::Elsewhere).by(error))?;
        let response = self.http.request(request).await.map_err(|error| {
            let miss = if refuses_certificate(&error) {
                Miss::new("TLS fails, see the cause; is `ca_pem` its authority?", Next::Elsewhere)
            } else if error.is_connect() {
                Miss::new("cannot be connected to", Next::Anything)
            } else {
                Miss::new("the connection was lost", Next::Anything)
            };
            miss.by(error)
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER).collect().await.map_err(|error| {
            let miss = if error.is::<LengthLimitError>() {
                Miss::new("the answer is longer than 4 MiB", Next::Elsewhere)
            } else {
                Miss::new("the connection was lost in the answer", Next::Anything)
            };
            miss.by(error)
        })?;
        let answer = Answer::new(head.status.as_u16(), body.to_bytes());
        let next = match head.status.as_u16() {
            429 => Next::Later,
            // These two say that it will never be otherwise.
            501 | 505 => return Ok(answer),
            408 | 500..=599 => Next::Anything,
            _ => return Ok(answer),
        };
        let mut miss = Miss::new(answer.said(), next);
        miss.asked_for = retry_after(&head.headers, clock::now());
        Err(miss)
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
