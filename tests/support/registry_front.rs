//! A server that stands in front of the real schema registry: it counts and remembers what is asked, asks for credentials, speaks TLS, holds
//! requests back, and gives answers of a test's own where the real registry gives others.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1 as client;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// A request that came.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Seen {
    /// The method and the path with its query, such as `GET /schemas/ids/1`, behind the base URL's own path.
    pub what: String,
    /// The header `authorization`.
    pub authorization: Option<String>,
    /// Every header, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// An answer: the real registry's, or a test's own.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers besides.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// An answer of a test's own.
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// The same with a header.
    #[must_use = "the answer is returned, not changed in place"]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A server in front of the registry, for as long as the value lives.
#[derive(Debug)]
#[must_use = "dropping it closes its port"]
pub struct Front {
    address: SocketAddr,
    scheme: &'static str,
    path: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    upstream: Option<String>,
    inner: Mutex<Inner>,
    open: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Inner {
    seen: Vec<Seen>,
    answers: VecDeque<Answer>,
    authorization: Option<String>,
}

impl Front {
    /// In front of the registry at this base URL; with none, every answer is a test's own.
    ///
    /// # Panics
    /// If no port can be listened on.
    pub async fn start(upstream: Option<&str>) -> Self {
        Self::with(upstream, None).await
    }

    /// The same behind TLS, with a certificate for `127.0.0.1` and `localhost` of this authority. If `clients` is set, whoever comes must show a
    /// certificate of the authority's as well.
    ///
    /// # Panics
    /// If no port can be listened on.
    pub async fn start_tls(upstream: Option<&str>, authority: &Authority, clients: bool) -> Self {
        Self::with(upstream, Some(authority.acceptor(clients))).await
    }

    async fn with(upstream: Option<&str>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let path = upstream.map_or_else(String::new, |url| {
            url.parse::<Uri>().expect("a URL").path().trim_end_matches('/').to_owned()
        });
        let state = Arc::new(State {
            upstream: upstream.map(str::to_owned),
            inner: Mutex::default(),
            open: watch::Sender::new(true),
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&state), path.clone()));
        Self {
            address,
            scheme,
            path,
            state,
            task,
        }
    }

    /// The base URL for clients.
    pub fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.address, self.path)
    }

    /// The same with something before the host, such as `user:password`.
    pub fn url_with(&self, credentials: &str) -> String {
        format!("{}://{credentials}@{}{}", self.scheme, self.address, self.path)
    }

    /// From now on who does not send this value of `authorization` gets a 401.
    pub fn require(&self, authorization: &str) {
        self.state.inner().authorization = Some(authorization.to_owned());
    }

    /// Answers the next request that has no other answer yet.
    pub fn answer(&self, answer: Answer) {
        self.state.inner().answers.push_back(answer);
    }

    /// Requests are noted and not answered until [`release`](Self::release).
    pub fn hold(&self) {
        self.state.open.send_replace(false);
    }

    /// Answers what was held back, and what comes.
    pub fn release(&self) {
        self.state.open.send_replace(true);
    }

    /// What came so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.inner().seen.clone()
    }

    /// The methods and paths of what came so far.
    pub fn asked(&self) -> Vec<String> {
        self.state.inner().seen.iter().map(|seen| seen.what.clone()).collect()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, path: &str, request: Request<Incoming>) -> Result<Answer, Failed> {
        let method = request.method().to_string();
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let target = target.strip_prefix(path).unwrap_or(target).to_owned();
        let headers: Vec<(String, String)> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let authorization = headers
            .iter()
            .find(|(name, _)| *name == AUTHORIZATION.as_str())
            .map(|(_, value)| value.clone());
        let body = String::from_utf8(request.into_body().collect().await?.to_bytes().to_vec())?;
        let (own, refused) = {
            let mut inner = self.inner();
            let refused = inner.authorization.is_some() && inner.authorization != authorization;
            inner.seen.push(Seen {
                what: format!("{method} {target}"),
                authorization,
                headers,
                body: body.clone(),
            });
            (inner.answers.pop_front(), refused)
        };
        self.open.subscribe().wait_for(|open| *open).await?;
        if refused {
            return Ok(Answer::new(401, r#"{"error_code":401,"message":"Unauthorized"}"#));
        }
        if let Some(answer) = own {
            return Ok(answer);
        }
        match &self.upstream {
            Some(upstream) => {
                ask(
                    upstream,
                    &method,
                    &target,
                    Some(&body).filter(|body| !body.is_empty()).map(String::as_str),
                )
                .await
            }
            None => Ok(Answer::new(
                500,
                r#"{"error_code":50001,"message":"the test has no answer to this"}"#,
            )),
        }
    }
}

/// Asks a registry without any of eventferry's code.
///
/// # Errors
/// If it cannot be reached or does not speak HTTP.
pub async fn ask(base: &str, method: &str, path: &str, body: Option<&str>) -> Result<Answer, Failed> {
    let uri: Uri = format!("{base}{path}").parse()?;
    let authority = uri.authority().ok_or("no host")?.to_string();
    let stream = TcpStream::connect(&authority).await?;
    let (mut sender, connection) = client::handshake(TokioIo::new(stream)).await?;
    let pumping = tokio::spawn(connection);
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, authority)
        .header(CONTENT_TYPE, "application/vnd.schemaregistry.v1+json")
        .body(Full::new(Bytes::from(body.unwrap_or_default().to_owned())))?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    drop(sender);
    pumping.abort();
    Ok(Answer::new(status, String::from_utf8(body.to_vec())?).with_header("content-type", "application/json"))
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>, path: String) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let (tls, state, path) = (tls.clone(), Arc::clone(&state), path.clone());
                connections.spawn(async move {
                    match tls {
                        None => connection(stream, state, path).await,
                        Some(tls) => if let Ok(stream) = tls.accept(stream).await {
                            connection(stream, state, path).await;
                        },
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: T, state: Arc<State>, path: String) {
    let service = service_fn(|request| {
        let (state, path) = (Arc::clone(&state), path.clone());
        async move {
            let answer = state.serve(&path, request).await;
            let answer = answer.unwrap_or_else(|error| Answer::new(502, error.to_string()));
            let mut response = Response::new(Full::new(Bytes::from(answer.body)));
            *response.status_mut() = answer.status.try_into().expect("a status");
            for (name, value) in answer.headers {
                let name = hyper::header::HeaderName::try_from(name).expect("a header's name");
                response.headers_mut().insert(name, value.parse().expect("a header's value"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    drop(server::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

/// An authority that signs certificates for a test.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// Never: nothing of it depends on anything.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).expect("a certificate"),
        }
    }

    /// Its certificate in PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate of somebody and its key, both in PEM.
    ///
    /// # Panics
    /// If the name is no DNS name.
    pub fn identity(&self, name: &str) -> (String, String) {
        let (certificate, key) = self.sign(&[name], ExtendedKeyUsagePurpose::ClientAuth);
        (certificate.pem(), key.serialize_pem())
    }

    fn sign(&self, names: &[&str], usage: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.issuer).expect("a certificate"), key)
    }

    fn acceptor(&self, clients: bool) -> TlsAcceptor {
        let (certificate, key) = self.sign(&["127.0.0.1", "localhost"], ExtendedKeyUsagePurpose::ServerAuth);
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = if clients {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = builder.with_single_cert(vec![certificate.der().clone()], key.into());
        TlsAcceptor::from(Arc::new(config.expect("key and certificate fit")))
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
