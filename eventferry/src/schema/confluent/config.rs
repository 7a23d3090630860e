//! The builder of a registry's client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};

use crate::schema::confluent::ConfluentRegistry;
use crate::schema::confluent::client::{Authorization, Client, Limits};
use crate::schema::confluent::endpoint::{Endpoint, basic, bearer};
use crate::schema::confluent::tls::Pem;
use crate::schema::{RegistryError, RegistryErrorKind};

/// Names of headers that the client writes itself.
const OURS: [&str; 6] = [
    "accept",
    "authorization",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
];

/// Builds a [`ConfluentRegistry`].
///
/// `Debug` shows neither credentials nor the values of headers.
#[doc = include_str!("examples/builder.md")]
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ConfluentRegistryBuilder {
    urls: Vec<String>,
    auto_register: bool,
    credentials: Credentials,
    headers: Vec<(String, String)>,
    pem: Pem,
    limits: Limits,
    capacity: usize,
    refusals: Duration,
}

#[derive(Clone)]
enum Credentials {
    None,
    Basic { user: String, password: String },
    Bearer(String),
    BearerFrom(Arc<dyn Fn() -> String + Send + Sync>),
}

impl ConfluentRegistryBuilder {
    pub(super) fn new(urls: Vec<String>) -> Self {
        Self {
            urls,
            auto_register: false,
            credentials: Credentials::None,
            headers: Vec::new(),
            pem: Pem::default(),
            limits: Limits {
                connect_timeout: Duration::from_secs(2),
                request_timeout: Duration::from_secs(5),
                deadline: Duration::from_secs(15),
                retries: 3,
                backoff: Duration::from_millis(100),
            },
            capacity: 1000,
            refusals: Duration::from_secs(5),
        }
    }

    /// Registers a schema that the registry does not have; off by default, and best left off in production.
    ///
    /// With it a service that is merely started decides what its topics promise. Without it schemas are registered where they are reviewed,
    /// such as by the pipeline that merges them, and a service that comes too early waits.
    #[doc = include_str!("examples/auto_register.md")]
    pub fn auto_register(mut self, auto_register: bool) -> Self {
        self.auto_register = auto_register;
        self
    }

    /// Sends a user name and a password with every request, in place of a token.
    pub fn basic_auth(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Credentials::Basic {
            user: user.into(),
            password: password.into(),
        };
        self
    }

    /// Sends a token with every request, in place of a user name and a password.
    pub fn bearer_auth(mut self, token: impl Into<String>) -> Self {
        self.credentials = Credentials::Bearer(token.into());
        self
    }

    /// The same with a token that changes: `token` is called before every request and must not block.
    #[doc = include_str!("examples/bearer_auth_from.md")]
    pub fn bearer_auth_from(mut self, token: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.credentials = Credentials::BearerFrom(Arc::new(token));
        self
    }

    /// Sends a header with every request, such as the `target-sr-cluster` of Confluent Cloud.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Trusts the certificates of this PEM text, and no others, when a URL begins with `https`. By default it trusts the system's.
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.pem.authorities = Some(pem.into());
        self
    }

    /// Shows the registry a certificate of our own: its chain and its private key, both in PEM.
    pub fn client_identity_pem(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.pem.identity = Some((chain.into(), key.into()));
        self
    }

    /// How long a connection may take to be made; 2 s by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.limits.connect_timeout = timeout;
        self
    }

    /// How long one request may take, its answer included, before the next URL or another try; 5 s by default.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.limits.request_timeout = timeout;
        self
    }

    /// How long one question may take with everything that is tried for it; 15 s by default.
    ///
    /// A question is a request: asking for the id of a schema takes up to three of them, and where a registration is refused two more, for the
    /// compatibility level.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.limits.deadline = deadline;
        self
    }

    /// How often a request is made again when the connection fails, no answer comes in time, or the registry answers 408, 429 or 5xx (but for 501
    /// and 505); 3 by default. Nothing else is asked again.
    ///
    /// Before each try there is a pause, which doubles from 100 ms up to 2 s, or is as long as the registry asks for in `retry-after`, in seconds or
    /// as a date. Where that is beyond the [`deadline`](Self::deadline) nothing is waited for, and the error says how long the registry asked for.
    pub fn retries(mut self, retries: u32) -> Self {
        self.limits.retries = retries;
        self
    }

    /// How many ids, schemas and versions are remembered; 1,000 of each by default. What was not used for longest is forgotten first.
    pub fn cache_capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// How long the registry's no is believed: not found, incompatible or invalid; 5 s by default. An outage is not remembered at all.
    pub fn refusal_ttl(mut self, ttl: Duration) -> Self {
        self.refusals = ttl;
        self
    }

    /// Checks every setting and makes the client. Asks nothing: a registry that is away shows up later, as
    /// [`RegistryErrorKind::Unavailable`].
    ///
    /// # Errors
    /// [`RegistryErrorKind::Invalid`] naming the setting, and nothing of what it holds.
    #[doc = include_str!("examples/build.md")]
    pub fn build(self) -> Result<ConfluentRegistry, RegistryError> {
        let endpoints = self.endpoints()?;
        let https = endpoints.iter().any(Endpoint::is_https);
        let tls = self.pem.config(https).map_err(refuse)?;
        for (name, duration) in [
            ("connect_timeout", self.limits.connect_timeout),
            ("request_timeout", self.limits.request_timeout),
            ("deadline", self.limits.deadline),
        ] {
            if duration < Duration::from_millis(10) {
                return Err(refuse(format!("`{name}` must be at least 10 ms")));
            }
        }
        if self.capacity == 0 {
            return Err(refuse("`cache_capacity` must be at least 1"));
        }
        let authorization = match &self.credentials {
            Credentials::None => Authorization::None,
            Credentials::Basic { user, password } => {
                Authorization::Fixed(basic(user, password).map_err(|why| refuse(format!("`basic_auth` {why}")))?)
            }
            Credentials::Bearer(token) => Authorization::Fixed(bearer(token).map_err(|why| refuse(format!("`bearer_auth` {why}")))?),
            Credentials::BearerFrom(source) => {
                let source = Arc::clone(source);
                Authorization::Fresh(Arc::new(move || bearer(&source()).ok()))
            }
        };
        let headers = self.headers()?;
        let client = Client::new(endpoints, tls, authorization, headers, self.limits);
        Ok(ConfluentRegistry::new(client, self.auto_register, self.capacity, self.refusals))
    }

    fn endpoints(&self) -> Result<Vec<Endpoint>, RegistryError> {
        let mut endpoints = Vec::new();
        for (number, url) in (1..).zip(&self.urls) {
            let endpoint = Endpoint::parse(url).map_err(|why| refuse(format!("URL {number} {why}")))?;
            if endpoint.authorization().is_some() && !matches!(self.credentials, Credentials::None) {
                return Err(refuse(format!("URL {number} holds credentials, and others were given besides")));
            }
            endpoints.push(endpoint);
        }
        if endpoints.is_empty() {
            return Err(refuse("no URL was given"));
        }
        Ok(endpoints)
    }

    fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, RegistryError> {
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            let parsed = HeaderName::try_from(name).map_err(|_| refuse("a name given to `header` is no header's name"))?;
            if OURS.contains(&parsed.as_str()) {
                return Err(refuse(format!("`header` may not set `{parsed}`, which the client writes itself")));
            }
            let mut value =
                HeaderValue::try_from(value).map_err(|_| refuse(format!("the value of the header `{parsed}` cannot be sent")))?;
            value.set_sensitive(true);
            headers.push((parsed, value));
        }
        Ok(headers)
    }
}

fn refuse(why: impl fmt::Display) -> RegistryError {
    RegistryError::new(
        RegistryErrorKind::Invalid,
        format!("failed to set up the client of the schema registry: {why}"),
    )
}

impl fmt::Debug for ConfluentRegistryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<_> = self
            .urls
            .iter()
            .map(|url| Endpoint::parse(url).map_or_else(|_| "[not a URL]".to_owned(), |endpoint| endpoint.shown().to_owned()))
            .collect();
        let credentials = match self.credentials {
            Credentials::None => "none",
            Credentials::Basic { .. } => "basic [redacted]",
            Credentials::Bearer(_) | Credentials::BearerFrom(_) => "bearer [redacted]",
        };
        f.debug_struct("ConfluentRegistryBuilder")
            .field("urls", &urls)
            .field("auto_register", &self.auto_register)
            .field("credentials", &credentials)
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("ca_pem", &self.pem.authorities.is_some())
            .field("client_identity_pem", &self.pem.identity.is_some())
            .field("limits", &self.limits)
            .field("cache_capacity", &self.capacity)
            .field("refusal_ttl", &self.refusals)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(builder: ConfluentRegistryBuilder) -> String {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), RegistryErrorKind::Invalid);
        error.to_string()
    }

    fn builder() -> ConfluentRegistryBuilder {
        ConfluentRegistry::builder(["http://127.0.0.1:1"])
    }

    #[test]
    fn a_wrong_setting_is_named() {
        assert!(refusal(ConfluentRegistry::builder([""; 0])).contains("no URL"));
        assert!(refusal(ConfluentRegistry::builder(["http://a", "b:1"])).contains("URL 2"));
        assert!(refusal(builder().ca_pem("nonsense")).contains("`ca_pem`"));
        assert!(refusal(builder().client_identity_pem("a", "b")).contains("`client_identity_pem`"));
        assert!(refusal(builder().request_timeout(Duration::ZERO)).contains("`request_timeout`"));
        assert!(refusal(builder().deadline(Duration::ZERO)).contains("`deadline`"));
        assert!(refusal(builder().cache_capacity(0)).contains("`cache_capacity`"));
        assert!(refusal(builder().header("Authorization", "x")).contains("may not set `authorization`"));
        assert!(refusal(builder().header("a b", "x")).contains("no header's name"));
        assert!(refusal(ConfluentRegistry::builder(["http://u:p@a"]).bearer_auth("x")).contains("besides"));
    }

    #[test]
    fn no_refusal_and_no_debug_shows_a_secret() {
        const SECRET: &str = "hunter2";
        let urls = [
            format!("https://user:{SECRET}@host:8081/path"),
            format!("host:{SECRET}"),
            format!("http://host/?{SECRET}"),
            format!("http://user:{SECRET}%ff@host"),
            format!("http://user:{SECRET}@"),
            format!("ftp://user:{SECRET}@host"),
        ];
        let mut texts = Vec::new();
        for url in &urls {
            let builder = ConfluentRegistry::builder([url]);
            texts.push(format!("{builder:?}"));
            match builder.ca_pem(SECRET).build() {
                Ok(registry) => texts.push(format!("{registry:?}")),
                Err(error) => texts.push(format!("{error} {error:?}")),
            }
        }
        for builder in [
            builder().basic_auth("ann", SECRET),
            builder().basic_auth(format!("ann:{SECRET}"), ""),
            builder().bearer_auth(SECRET),
            builder().bearer_auth(format!("{SECRET}\n")).bearer_auth_from(|| SECRET.to_owned()),
            builder().header("x-key", SECRET),
            builder().header("x-key", format!("{SECRET}\n")),
            builder().client_identity_pem(SECRET, SECRET),
        ] {
            texts.push(format!("{builder:?}"));
            match builder.build() {
                Ok(registry) => texts.push(format!("{registry:?}")),
                Err(error) => texts.push(format!("{error} {error:?}")),
            }
        }
        assert!(texts[0].contains("https://host:8081/path"), "{}", texts[0]);
        for text in texts {
            assert!(!text.contains(SECRET), "{text}");
        }
    }

    #[test]
    fn nothing_is_registered_unless_asked_for() {
        let text = format!("{:?}", builder().build().unwrap());
        assert!(text.contains("auto_register: false"), "{text}");
    }

    #[test]
    fn the_limits_are_those_of_the_docs() {
        let text = format!("{:?}", builder());
        for limit in [
            "connect_timeout: 2s",
            "request_timeout: 5s",
            "deadline: 15s",
            "retries: 3",
            "cache_capacity: 1000",
            "refusal_ttl: 5s",
        ] {
            assert!(text.contains(limit), "{limit} is not in {text}");
        }
    }
}
