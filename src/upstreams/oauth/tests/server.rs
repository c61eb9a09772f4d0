//! A server on loopback that says what it is told to say, and remembers what it was asked.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{Router, body::to_bytes, extract::Request, response::Response};
use http::{HeaderMap, header};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Heard {
    /// What the form has by this name, if it is in it exactly once.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        let mut values = url::form_urlencoded::parse(self.body.as_bytes()).filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| value.into_owned());
        value.filter(|_| values.next().is_none())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[derive(Clone)]
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

#[derive(Default)]
struct Script {
    answers: HashMap<String, Answer>,
    heard: Vec<Heard>,
}

pub(super) struct Server {
    pub(super) origin: String,
    script: Arc<Mutex<Script>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::<Mutex<Script>>::default();
        let shared = Arc::clone(&script);
        let router = Router::new().fallback(move |request: Request| answer(Arc::clone(&shared), request));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { origin, script, task }
    }

    pub(super) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("{}{path}", self.origin)).unwrap()
    }

    /// From now on a path is answered with this JSON; every other one with 404.
    pub(super) fn json(&self, path: &str, status: u16, body: &Value) {
        self.says(path, status, &[("content-type", "application/json")], body.to_string().as_bytes());
    }

    pub(super) fn says(&self, path: &str, status: u16, headers: &[(&'static str, &str)], body: &[u8]) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let answer = Answer { status, headers, body: body.to_vec() };
        self.script.lock().unwrap().answers.insert(path.to_owned(), answer);
    }

    pub(super) fn forgets(&self, path: &str) {
        self.script.lock().unwrap().answers.remove(path);
    }

    pub(super) fn heard(&self) -> Vec<Heard> {
        self.script.lock().unwrap().heard.clone()
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.heard().into_iter().map(|heard| heard.path).collect()
    }

    /// The last request to a path.
    pub(super) fn last(&self, path: &str) -> Heard {
        self.heard().into_iter().rfind(|heard| heard.path == path).unwrap()
    }
}

async fn answer(script: Arc<Mutex<Script>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let heard = Heard {
        path: head.uri.path().to_owned(),
        headers: head.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let mut script = script.lock().unwrap();
    let answer = script.answers.get(&heard.path).cloned();
    script.heard.push(heard);
    let answer = answer.unwrap_or(Answer { status: 404, headers: Vec::new(), body: b"not here".to_vec() });
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.header(header::CACHE_CONTROL, "no-store").body(answer.body.into()).unwrap()
}
