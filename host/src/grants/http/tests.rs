//! Requests to servers on this machine, which is where none should get to by accident.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::net::TcpListener;

use super::super::THREADS;
use super::super::tests::config;
use super::*;

/// A server whose answer depends on the path, and its port.
async fn serve() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let router = Router::new()
        .route("/hello", any(async || ([("x-greeting", "Hi")], "hello")))
        .route("/echo", any(echo))
        .route("/302", any(async |uri: Uri| redirect(StatusCode::FOUND, &uri)))
        .route("/303", any(async |uri: Uri| redirect(StatusCode::SEE_OTHER, &uri)))
        .route("/307", any(async |uri: Uri| redirect(StatusCode::TEMPORARY_REDIRECT, &uri)))
        .route("/304", any(async || StatusCode::NOT_MODIFIED))
        .route("/large", any(async || vec![0; 2000]))
        .route("/head", any(async || [("x-large", "x".repeat(2000))]))
        .route("/never", any(async || std::future::pending::<()>().await));
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

/// To what the query says.
fn redirect(status: StatusCode, uri: &Uri) -> Response {
    (status, [("location", uri.query().unwrap_or_default().to_owned())]).into_response()
}

async fn echo(request: Request) -> String {
    let mut lines = vec![request.method().to_string()];
    for (name, value) in request.headers() {
        lines.push(format!("{name}: {}", value.to_str().expect("text")));
    }
    let body = axum::body::to_bytes(request.into_body(), 1000).await.unwrap_or(Bytes::new());
    lines.push(String::from_utf8_lossy(&body).into_owned());
    lines.join("\n")
}

/// What a tenant with these grants can do; names have the addresses that `lookup` says.
fn http(
    grants: &str,
    management: &str,
    lookup: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static,
) -> Http {
    http_that_trusts(RootCertStore::empty(), grants, management, lookup)
}

fn http_that_trusts(
    trusted: RootCertStore,
    grants: &str,
    management: &str,
    lookup: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static,
) -> Http {
    let (_folder, config) = config(grants);
    let lookup: Box<Lookup> = Box::new(move |host, port| {
        Ok(lookup(host).into_iter().map(|address| SocketAddr::new(address, port)).collect())
    });
    let management = management.parse().expect(management);
    let network = Network::with(trusted, lookup, management).expect("TLS");
    let tenant = TenantName::new("t");
    Http::new(&tenant, &config.tenants[&tenant].grants, Arc::new(network)).expect("granted")
}

const NOWHERE: &str = "127.0.0.1:1";

/// Every name is this machine's.
fn loopback(_: &str) -> Vec<IpAddr> {
    vec![address("127.0.0.1")]
}

fn address(text: &str) -> IpAddr {
    text.parse().expect(text)
}

fn listed(host: &str, port: u16) -> String {
    format!("[[tenant.grants.http]]\nhost = '{host}'\nports = [{port}]\nplain = true\n")
}

fn request(method: &str, url: &str) -> HttpRequest {
    HttpRequest {
        method: method.into(),
        url: url.into(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout_ms: None,
    }
}

fn get(url: &str) -> HttpRequest {
    request("GET", url)
}

async fn ask(http: &Http, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    http.request(request, 1 << 20).await
}

async fn refused(http: &Http, request: HttpRequest) -> (RefusalKind, String) {
    let url = request.url.clone();
    let refusal = ask(http, request).await.expect_err(&url);
    (refusal.kind, refusal.message)
}

#[tokio::test]
async fn a_granted_host_answers() {
    let port = serve().await;
    let http = http(&listed("127.0.0.1", port), NOWHERE, loopback);
    let url = format!("http://127.0.0.1:{port}/hello");
    let response = ask(&http, get(&url)).await.expect("a response");
    assert_eq!((response.status, response.url, &response.body[..]), (200, url, &b"hello"[..]));
    assert!(response.headers.contains(&("x-greeting".into(), "Hi".into())));
    let response = ask(&http, get(&format!("http://127.1:{port}/304"))).await.expect("a response");
    assert_eq!(response.status, 304);
    let response = ask(&http, get(&format!("http://127.0.0.1:{port}/no"))).await.expect("answered");
    assert_eq!(response.status, 404);
}

#[tokio::test]
async fn a_request_says_what_the_script_says_and_little_more() {
    let port = serve().await;
    let grants = listed("127.0.0.1", port) + "methods = ['POST']";
    let http = http(&grants, NOWHERE, loopback);
    let mut post = request("POST", &format!("http://127.0.0.1:{port}/echo"));
    post.headers = vec![("X-A".into(), "1".into()), ("x-a".into(), "2".into())];
    post.body = b"body".to_vec();
    let response = ask(&http, post).await.expect("a response");
    let text = String::from_utf8(response.body).expect("text");
    let expected = format!(
        "POST\nx-a: 1\nx-a: 2\naccept: */*\nuser-agent: roh/{}\nhost: 127.0.0.1:{port}\n\
         content-length: 4\nbody",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(text, expected);
}

#[tokio::test]
async fn what_is_not_granted_is_refused_before_anything_is_sent() {
    let port = serve().await;
    let grants = listed("127.0.0.1", port) + &listed("api.example.com", port);
    let lookups = Arc::new(AtomicUsize::new(0));
    let counted = lookups.clone();
    let http = http(&grants, NOWHERE, move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        loopback("")
    });
    for (method, url) in [
        ("POST", format!("http://127.0.0.1:{port}/")),
        ("get", format!("http://127.0.0.1:{port}/")),
        ("GET", "http://127.0.0.1:1/".to_owned()),
        ("GET", "https://127.0.0.1/".to_owned()),
        ("GET", format!("http://127.0.0.2:{port}/")),
        ("GET", format!("http://example.com:{port}/")),
        ("GET", format!("http://x.api.example.com:{port}/")),
        ("GET", format!("http://api.example.com.:{port}/")),
        ("GET", format!("http://api.example.com.evil:{port}/")),
    ] {
        let (kind, message) = refused(&http, request(method, &url)).await;
        assert_eq!(kind, RefusalKind::NotGranted, "{method} {url}: {message}");
        assert!(message.starts_with("tenant \"t\" lacks the grant \"http\": add "), "{message}");
    }
    assert_eq!(lookups.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let port = serve().await;
    let http = http(&listed("127.0.0.1", port), NOWHERE, loopback);
    let url = format!("http://127.0.0.1:{port}/");
    for (method, url, expected) in [
        ("GET", "", "is not a URL"),
        ("GET", "/hello", "is not a URL"),
        ("GET", "http://", "is not a URL"),
        ("GET", "http://999.1.1.1/", "is not a URL"),
        ("GET", "ftp://127.0.0.1/", "neither http:// nor https://"),
        ("GET", "file:///etc/passwd", "neither http:// nor https://"),
        ("GET", "http://u:p@127.0.0.1/", "the URL holds a user"),
        ("GET", "http://127.0.0.1@example.com/", "the URL holds a user"),
        ("GE T", &url, "\"GE T\" is not a method"),
        ("GET", &format!("{url}{}", "x".repeat(9000)), "more than 8192 bytes"),
    ] {
        let (kind, message) = refused(&http, request(method, url)).await;
        assert_eq!(kind, RefusalKind::Invalid, "{url}");
        assert!(message.contains(expected), "{url}: {message}");
    }
    for (name, value, expected) in [
        ("Host", "other", "is the node's to set"),
        ("Content-Length", "1", "is the node's to set"),
        ("transfer-encoding", "chunked", "is the node's to set"),
        ("Connection", "close", "is the node's to set"),
        ("Proxy-Authorization", "x", "is the node's to set"),
        ("a b", "x", "is not a header"),
        ("", "x", "is not a header"),
        ("x", "a\r\nhost: other", "the value of header \"x\" can't be one"),
        ("x", "a\0", "the value of header \"x\" can't be one"),
        ("x", &"v".repeat(17 << 10), "more than 64 headers or 16384 bytes"),
    ] {
        let mut get = get(&url);
        get.headers = vec![(name.into(), value.into())];
        let (kind, message) = refused(&http, get).await;
        assert_eq!(kind, RefusalKind::Invalid, "{name}");
        assert!(message.contains(expected), "{name}: {message}");
    }
    let mut many = get(&url);
    many.headers = vec![("x".into(), String::new()); 65];
    assert_eq!(refused(&http, many).await.0, RefusalKind::Invalid);
}

/// However a loopback address is written, a grant of names does not lead there.
#[tokio::test]
async fn no_spelling_of_an_address_leads_to_this_machine() {
    let port = serve().await;
    let grants = listed("localhost", port) + &listed("*.example.com", port);
    let http = http(&grants, NOWHERE, loopback);
    for host in [
        "localhost",
        "LOCALHOST",
        "a.example.com",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "①②⑦.⓪.⓪.①",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ] {
        let (kind, message) = refused(&http, get(&format!("http://{host}:{port}/hello"))).await;
        assert_eq!(kind, RefusalKind::NotGranted, "{host}: {message}");
    }
}

#[tokio::test]
async fn a_name_may_have_any_address_and_only_public_and_listed_ones_are_used() {
    let port = serve().await;
    for own in [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "100.64.0.1",
        "0.0.0.0",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "fe80::1",
        "fd00::1",
        "ff02::1",
    ] {
        let http = http(&listed("a.example.com", port), NOWHERE, move |_| vec![address(own)]);
        let (kind, message) = refused(&http, get(&format!("http://a.example.com:{port}/"))).await;
        assert_eq!(kind, RefusalKind::NotGranted, "{own}");
        assert!(message.contains("is not public") && !message.contains(own), "{message}");
    }
    let grants = listed("a.example.com", port) + &listed("127.0.0.1", port);
    let both = http(&grants, NOWHERE, |_| vec![address("127.0.0.2"), address("127.0.0.1")]);
    let url = format!("http://a.example.com:{port}/echo");
    let response = ask(&both, get(&url)).await.expect("a response");
    let text = String::from_utf8(response.body).expect("text");
    assert!(text.contains(&format!("host: a.example.com:{port}")), "{text}");
    // Listed for another port, it is not listed for this one.
    let grants = listed("a.example.com", port) + &listed("127.0.0.1", 80);
    let other = http(&grants, NOWHERE, loopback);
    assert_eq!(refused(&other, get(&url)).await.0, RefusalKind::NotGranted);
    let nobody = http(&grants, NOWHERE, |_| Vec::new());
    let (kind, message) = refused(&nobody, get(&url)).await;
    assert_eq!(kind, RefusalKind::Failed);
    assert_eq!(message, "there is no host \"a.example.com\"");
}

/// A name that changes its address between the check and the connection gains nothing:
/// it is looked up once, and the connection goes to what was checked.
#[tokio::test]
async fn a_name_is_looked_up_once_for_each_request() {
    let port = serve().await;
    let lookups = Arc::new(AtomicUsize::new(0));
    let counted = lookups.clone();
    let grants = listed("a.example.com", port) + &listed("127.0.0.1", port);
    let http = http(&grants, NOWHERE, move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => vec![address("127.0.0.1")],
        _ => vec![address("127.0.0.2")],
    });
    let url = format!("http://a.example.com:{port}/hello");
    assert_eq!(ask(&http, get(&url)).await.expect("a response").status, 200);
    assert_eq!(lookups.load(Ordering::SeqCst), 1);
    assert_eq!(refused(&http, get(&url)).await.0, RefusalKind::NotGranted);
}

#[tokio::test]
async fn a_redirect_is_checked_as_a_request_is() {
    let port = serve().await;
    let grants = listed("127.0.0.1", port) + &listed("a.example.com", port);
    let http = http(&grants, NOWHERE, loopback);
    let to = |target: &str| get(&format!("http://127.0.0.1:{port}/302?{target}"));
    let response = ask(&http, to("/hello")).await.expect("a response");
    assert_eq!(response.url, format!("http://127.0.0.1:{port}/hello"));
    let response = ask(&http, to(&format!("//a.example.com:{port}/hello"))).await.expect("same");
    assert_eq!(response.url, format!("http://a.example.com:{port}/hello"));
    for target in [
        "http://example.org/".to_owned(),
        "https://127.0.0.1/".to_owned(),
        format!("http://127.0.0.2:{port}/hello"),
        format!("http://localhost:{port}/hello"),
        format!("http://2130706434:{port}/hello"),
        format!("http://[::1]:{port}/hello"),
        format!("http://[::ffff:127.0.0.1]:{port}/hello"),
        "http://127.0.0.1:1/".to_owned(),
    ] {
        let (kind, message) = refused(&http, to(&target)).await;
        assert_eq!(kind, RefusalKind::NotGranted, "{target}: {message}");
    }
    for (target, expected) in [
        ("file:///etc/passwd", "neither http:// nor https://"),
        (&format!("http://u:p@127.0.0.1:{port}/"), "the URL holds a user"),
    ] {
        let (_, message) = refused(&http, to(target)).await;
        assert!(message.contains(expected), "{message}");
    }
    let (kind, message) = refused(&http, to("http://")).await;
    assert_eq!(kind, RefusalKind::Failed);
    assert_eq!(message, "a redirect to something that is no URL");
}

#[tokio::test]
async fn five_redirects_are_enough() {
    let port = serve().await;
    let http = http(&listed("127.0.0.1", port), NOWHERE, loopback);
    let chain = |hops: usize| format!("http://127.0.0.1:{port}/{}hello", "302?/".repeat(hops));
    assert_eq!(ask(&http, get(&chain(5))).await.expect("a response").status, 200);
    let (kind, message) = refused(&http, get(&chain(6))).await;
    assert_eq!((kind, message.as_str()), (RefusalKind::Failed, "more than 5 redirects"));
}

#[tokio::test]
async fn a_redirect_changes_methods_as_browsers_do() {
    let port = serve().await;
    let grants = listed("127.0.0.1", port) + "methods = ['GET', 'HEAD', 'POST', 'PUT']";
    let http = http(&grants, NOWHERE, loopback);
    for (method, status, becomes) in [
        ("POST", 302, "GET"),
        ("PUT", 302, "PUT"),
        ("POST", 303, "GET"),
        ("PUT", 303, "GET"),
        ("POST", 307, "POST"),
    ] {
        let mut asked = request(method, &format!("http://127.0.0.1:{port}/{status}?/echo"));
        asked.body = b"body".to_vec();
        asked.headers = vec![("content-type".into(), "text/plain".into())];
        let response = ask(&http, asked).await.expect("a response");
        let text = String::from_utf8(response.body).expect("text");
        assert!(text.starts_with(&format!("{becomes}\n")), "{method} {status}: {text}");
        let kept = becomes != "GET";
        assert_eq!(text.contains("content-type"), kept, "{method} {status}: {text}");
        assert_eq!(text.ends_with("body"), kept, "{method} {status}: {text}");
    }
}

#[tokio::test]
async fn credentials_stay_with_whom_they_were_meant_for() {
    let port = serve().await;
    let grants = listed("127.0.0.1", port) + &listed("a.example.com", port);
    let http = http(&grants, NOWHERE, loopback);
    for (target, kept) in [
        ("/echo".to_owned(), true),
        (format!("http://127.0.0.1:{port}/echo"), true),
        (format!("http://a.example.com:{port}/echo"), false),
    ] {
        let mut get = get(&format!("http://127.0.0.1:{port}/302?{target}"));
        get.headers = ["authorization", "cookie", "x-a"].map(|n| (n.into(), "v".into())).into();
        let response = ask(&http, get).await.expect("a response");
        let text = String::from_utf8(response.body).expect("text");
        assert_eq!(text.contains("authorization: v"), kept, "{target}: {text}");
        assert_eq!(text.contains("cookie: v"), kept, "{target}: {text}");
        assert!(text.contains("x-a: v"), "{target}: {text}");
    }
}

/// Even where all of this machine is granted.
#[tokio::test]
async fn the_nodes_own_server_is_out_of_reach() {
    let (port, management) = (serve().await, serve().await);
    let mut grants = "http-rate = 1000\n".to_owned();
    for host in ["127.0.0.0/8", "::ffff:127.0.0.1", "::1", "0.0.0.0", "localhost"] {
        grants += &listed(host, port).replace("ports = [", &format!("ports = [{management}, "));
    }
    for listens in [format!("127.0.0.1:{management}"), format!("0.0.0.0:{management}")] {
        let http = http(&grants, &listens, loopback);
        let url = format!("http://127.0.0.1:{port}/hello");
        assert_eq!(ask(&http, get(&url)).await.expect("a response").status, 200);
        for host in [
            "127.0.0.1",
            "127.1.2.3",
            "2130706433",
            "0x7f.1",
            "localhost",
            "0.0.0.0",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            let direct = format!("http://{host}:{management}/hello");
            for url in [format!("http://127.0.0.1:{port}/302?{direct}"), direct] {
                let (kind, message) = refused(&http, get(&url)).await;
                assert_eq!(kind, RefusalKind::NotGranted, "{url}: {message}");
            }
        }
    }
}

#[tokio::test]
async fn sizes_are_limited() {
    let port = serve().await;
    let grants = listed("127.0.0.1", port) + "request = 10\nresponse = 1000\nmethods = ['POST']";
    let http = http(&grants, NOWHERE, loopback);
    let post = |path: &str, bytes: usize| {
        let mut post = request("POST", &format!("http://127.0.0.1:{port}/{path}"));
        post.body = vec![b'x'; bytes];
        post
    };
    assert_eq!(ask(&http, post("hello", 10)).await.expect("a response").status, 200);
    let (kind, message) = refused(&http, post("hello", 11)).await;
    assert_eq!(kind, RefusalKind::Limit);
    assert_eq!(message, "the request is larger than the limit of 10 B");
    for path in ["large", "head"] {
        let (kind, message) = refused(&http, post(path, 0)).await;
        assert_eq!(kind, RefusalKind::Limit, "{path}");
        assert_eq!(message, "the response is larger than the limit of 1000 B");
    }
    let refusal = http.request(post("hello", 0), 20).await.expect_err("no room");
    assert_eq!(
        (refusal.kind, refusal.message.as_str()),
        (RefusalKind::Limit, super::super::TOO_MANY_BYTES)
    );
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_waited_for() {
    let port = serve().await;
    let http = http(&listed("127.0.0.1", port), NOWHERE, loopback);
    let mut get = get(&format!("http://127.0.0.1:{port}/never"));
    get.timeout_ms = Some(50);
    let (kind, message) = refused(&http, get).await;
    assert_eq!((kind, message.as_str()), (RefusalKind::TimedOut, "no response within 50ms"));
}

#[tokio::test]
async fn trouble_on_the_way_is_told() {
    let port = serve().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let gone = listener.local_addr().expect("an address").port();
    drop(listener);
    let http = http(&(listed("127.0.0.1", port) + &listed("127.0.0.1", gone)), NOWHERE, loopback);
    for (url, expected) in [
        (format!("http://127.0.0.1:{gone}/"), "Connection refused"),
        // This server does not speak TLS.
        (format!("https://127.0.0.1:{port}/"), "corrupt message"),
    ] {
        let (kind, message) = refused(&http, get(&url)).await;
        assert_eq!(kind, RefusalKind::Failed, "{url}: {message}");
        assert!(message.starts_with("the request to \"127.0.0.1\" failed: "), "{message}");
        assert!(message.contains(expected), "{message}");
    }
}

/// A certificate for `a.example.com` and 127.0.0.1, signed by itself, and its key.
const CERTIFICATE: &[u8] = include_bytes!("tls/certificate.der");
const KEY: &[u8] = include_bytes!("tls/key.der");

/// Answers whoever trusts its certificate with "hello", on a thread of its own.
fn serve_tls() -> u16 {
    let key = PrivateKeyDer::Pkcs8(KEY.to_vec().into());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![CERTIFICATE.to_vec().into()], key)
        .expect("a certificate");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let tls = ServerConnection::new(config.clone()).expect("a session");
            let mut stream = StreamOwned::new(tls, stream.expect("a connection"));
            // A client that does not trust us says so, and that is the end of it.
            if stream.read(&mut [0; 4096]).is_ok() {
                let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello";
                let _ = stream.write_all(answer);
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    port
}

#[tokio::test]
async fn a_server_must_have_a_certificate_that_is_trusted() {
    let port = serve_tls();
    let hosts = ["127.0.0.1", "a.example.com", "b.example.com"];
    let grants: String = hosts.iter().map(|host| listed(host, port)).collect();
    let url = |host: &str| format!("https://{host}:{port}/");
    let mut trusted = RootCertStore::empty();
    trusted.add(CERTIFICATE.to_vec().into()).expect("a certificate");
    let trusting = http_that_trusts(trusted, &grants, NOWHERE, loopback);
    for host in ["127.0.0.1", "a.example.com"] {
        let response = ask(&trusting, get(&url(host))).await.expect(host);
        assert_eq!((response.status, &response.body[..]), (200, &b"hello"[..]));
    }
    let (kind, message) = refused(&trusting, get(&url("b.example.com"))).await;
    assert_eq!(kind, RefusalKind::Failed);
    assert!(message.contains("not valid for name \"b.example.com\""), "{message}");
    let wary = http(&grants, NOWHERE, loopback);
    let (kind, message) = refused(&wary, get(&url("a.example.com"))).await;
    assert_eq!(kind, RefusalKind::Failed);
    assert!(message.contains("invalid peer certificate"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn requests_have_a_rate() {
    let rate = Rate::new(2);
    let mut taken = 0;
    for (seconds, expected) in [(0.0, 4), (0.0, 4), (0.5, 5), (1.0, 7), (100.0, 11)] {
        tokio::time::advance(Duration::from_secs_f64(seconds)).await;
        while rate.take().is_ok() {
            taken += 1;
        }
        assert_eq!(taken, expected, "{seconds}");
    }
    let refusal = rate.take().expect_err("too many");
    assert_eq!(refusal.kind, RefusalKind::Limit);
    assert_eq!(refusal.message, "more than 2 HTTP requests per second");
}

#[tokio::test]
async fn look_ups_that_nobody_waits_for_any_more_are_so_many_at_most() {
    let (_folder, config) = config(&format!("http-rate = 1000\n{}", listed("a.example", 80)));
    let looked_up = Arc::new(AtomicUsize::new(0));
    let counted = looked_up.clone();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    let lookup: Box<Lookup> = Box::new(move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        // Until nobody can send anything.
        let _ = held.lock().expect("no panic").recv();
        Ok(Vec::new())
    });
    let management = NOWHERE.parse().expect("an address");
    let network = Network::with(RootCertStore::empty(), lookup, management).expect("TLS");
    let tenant = TenantName::new("t");
    let http = Http::new(&tenant, &config.tenants[&tenant].grants, Arc::new(network));
    let http = http.expect("granted");
    for _ in 0..THREADS + 3 {
        let request = HttpRequest { timeout_ms: Some(1), ..get("http://a.example/") };
        assert_eq!(refused(&http, request).await.0, RefusalKind::TimedOut);
    }
    drop(hold);
    let all = u32::try_from(THREADS).expect("few");
    let _all = http.lookups.0.acquire_many(all).await.expect("never closed");
    assert_eq!(looked_up.load(Ordering::Relaxed), THREADS);
}
