//! Questions to clients whose answers are waited for.
//!
//! A client answers with a request of its own, so the question is found by its id: one that cannot be guessed, and that
//! counts only in the session that was asked.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use portcullis_policies::kit::{
    message::Message,
    random,
    refusal::{Reason, Refusal},
};
use tokio::sync::oneshot;

use super::client::Client;
use crate::proxy::bridge::object::Object;

/// How many questions may be open in this process: in all, to callers who did not sign in, to one caller who did, and in
/// one session.
const MOST: usize = 10_000;
const OF_NOBODY: usize = MOST / 4;
const OF_ONE: usize = 256;
const OF_SESSION: usize = 16;
const PREFIX: &str = "portcullis-";

/// What a client answered: a result as JSON text, or what it says against the question.
pub(super) type Answered = Result<String, String>;

/// Bytes that are left for the answers to what one call asks. They wait until all of them are there.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<AtomicUsize>);

impl Room {
    pub(super) fn of(bytes: usize) -> Self {
        Self(Arc::new(bytes.into()))
    }

    /// Takes so many, if they are left.
    fn take(&self, bytes: usize) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }
}

/// The questions of this process.
#[derive(Clone, Debug, Default)]
pub(super) struct Questions(Arc<Mutex<HashMap<Box<str>, Open>>>);

#[derive(Debug)]
struct Open {
    session: Arc<str>,
    subject: Arc<str>,
    room: Room,
    answer: oneshot::Sender<Answered>,
}

/// A question that was asked. It is open as long as this is held.
#[derive(Debug)]
pub(super) struct Pending {
    /// Its id; JSON needs no escapes for it.
    pub(super) id: Box<str>,
    answer: oneshot::Receiver<Answered>,
    questions: Questions,
}

impl Questions {
    /// Opens a question to a client, whose answer must fit into `room`. `node` tells this process from others with the same
    /// sessions.
    pub(super) fn ask(&self, client: &Client, node: u64, room: &Room) -> Result<Pending, Refusal> {
        let id: Box<str> = format!("{PREFIX}{node:016x}-{}", random::id()).into();
        let (sender, answer) = oneshot::channel();
        let mut open = self.lock();
        if !has_room(&open, client) {
            let why = "As many questions to clients are open as may be: in this session, of this caller, or in all.";
            return Err(
                Refusal::new(Reason::Overloaded, why).with_remedy("Answer what was asked already, then try again.")
            );
        }
        let Client { session, subject, .. } = client;
        let asked =
            Open { session: Arc::clone(session), subject: Arc::clone(subject), room: room.clone(), answer: sender };
        open.insert(id.clone(), asked);
        Ok(Pending { id, answer, questions: self.clone() })
    }

    /// Gives a client's answer to whoever waits for it. Refused: what was not asked in this session.
    pub(super) fn answer(&self, session: &str, node: u64, response: &Message) -> Result<(), Refusal> {
        let id: String = response.id().and_then(|id| serde_json::from_str(id).ok()).unwrap_or_default();
        let answer = answered(response).ok_or(Reason::NotAMessage)?;
        let mut open = self.lock();
        let is_theirs = open.get(&*id).is_some_and(|open| *open.session == *session);
        if is_theirs && open.get(&*id).is_some_and(|open| !open.room.take(length(&answer))) {
            let why = "The answers to what this call asks are larger together than an answer of the upstream may be.";
            return Err(Refusal::new(Reason::BodyTooLarge, why)
                .with_remedy("Answer with less, or raise `limits.responseBytes` of the route."));
        }
        let asked = if is_theirs { open.remove(&*id) } else { None };
        drop(open);
        match asked {
            // Whoever gave up meanwhile has said so in the answer to the call.
            Some(asked) => asked.answer.send(answer).or(Ok(())),
            None => Err(not_asked(&id, node)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    /// Waits for the answer.
    pub(super) async fn answer(&mut self) -> Answered {
        let answer = (&mut self.answer).await;
        answer.unwrap_or_else(|_| Err("the question was taken back".to_owned()))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.questions.lock().remove(&self.id);
    }
}

/// Nobody who leaves questions open leaves none for others.
fn has_room(open: &HashMap<Box<str>, Open>, client: &Client) -> bool {
    let own = open.values().filter(|open| open.subject == client.subject);
    let (own, in_session) =
        own.fold((0, 0), |(own, here), open| (own + 1, here + usize::from(open.session == client.session)));
    let most_of_one = if client.subject.is_empty() { OF_NOBODY } else { OF_ONE };
    open.len() < MOST && own < most_of_one && in_session < OF_SESSION
}

fn length(answer: &Answered) -> usize {
    match answer {
        Ok(answer) | Err(answer) => answer.len(),
    }
}

fn answered(response: &Message) -> Option<Answered> {
    let object = Object::read(std::str::from_utf8(response.bytes()).ok()?).ok()?;
    if let Some(result) = object.get("result") {
        return Some(Ok(result.to_owned()));
    }
    let error = Object::read(object.get("error")?).ok()?;
    Some(Err(error.parse::<String>("message").unwrap_or_default()))
}

fn not_asked(id: &str, node: u64) -> Refusal {
    let elsewhere = id.strip_prefix(PREFIX).is_some_and(|rest| !rest.starts_with(&format!("{node:016x}-")));
    if !elsewhere {
        return Reason::UnaskedResponse.into();
    }
    let why =
        "This was asked by another process of the gateway, or before it was started anew: only that one could go on.";
    Refusal::new(Reason::UnaskedResponse, why).with_remedy(
        "Make the call again. Where several gateways stand behind one address, let each client stay with one of them.",
    )
}

#[cfg(test)]
mod tests {
    use portcullis_policies::kit::json::Limits;
    use serde_json::json;

    use super::*;
    use crate::proxy::session::Declared;

    fn client(subject: &str, session: &str) -> Client {
        Client {
            session: session.into(),
            subject: subject.into(),
            version: "2025-11-25".into(),
            declared: Declared::default().into(),
            listens: false,
            log_level: None,
        }
    }

    fn ask(questions: &Questions, subject: &str, session: &str) -> Result<Pending, Refusal> {
        questions.ask(&client(subject, session), 7, &Room::of(100))
    }

    fn response(id: &str) -> Message {
        let response = json!({ "jsonrpc": "2.0", "id": id, "result": { "n": 1 } });
        Message::read(response.to_string().into(), &Limits::MESSAGE).unwrap()
    }

    #[tokio::test]
    async fn tr_19_sb_05_only_the_session_that_was_asked_answers_and_only_once() {
        let questions = Questions::default();
        let mut pending = ask(&questions, "ada", "mine").unwrap();
        let other = ask(&questions, "ada", "mine").unwrap();
        assert_ne!(pending.id, other.id);
        let answer = response(&pending.id);
        assert_eq!(questions.answer("another", 7, &answer).unwrap_err().reason(), Reason::UnaskedResponse);
        questions.answer("mine", 7, &answer).unwrap();
        assert_eq!(pending.answer().await, Ok(r#"{"n":1}"#.to_owned()));
        assert!(questions.answer("mine", 7, &answer).is_err());
        assert!(questions.answer("mine", 7, &response("1")).is_err());
    }

    #[test]
    fn tr_19_an_answer_to_another_process_is_told_so() {
        let pending = Questions::default().ask(&client("ada", "mine"), 8, &Room::of(100)).unwrap();
        let refusal = Questions::default().answer("mine", 7, &response(&pending.id)).unwrap_err();
        assert!(refusal.message().contains("another process"), "{}", refusal.message());
    }

    #[test]
    fn a_question_nobody_waits_for_is_forgotten() {
        let questions = Questions::default();
        drop(ask(&questions, "ada", "mine").unwrap());
        assert!(questions.lock().is_empty());
    }

    #[test]
    fn sb_05_nobody_leaves_so_many_questions_open_that_others_cannot_be_asked() {
        let questions = Questions::default();
        let mut open: Vec<_> = (0..OF_SESSION).map(|_| ask(&questions, "ada", "1").unwrap()).collect();
        assert_eq!(ask(&questions, "ada", "1").unwrap_err().reason(), Reason::Overloaded);
        let more = |subject: &'static str| {
            let questions = questions.clone();
            (2..).map_while(move |session| ask(&questions, subject, &format!("{subject}-{session}")).ok())
        };
        open.extend(more("ada"));
        assert_eq!(open.len(), OF_ONE);
        open.extend(more(""));
        assert_eq!(open.len(), OF_ONE + OF_NOBODY);
        assert!(ask(&questions, "bob", "another").is_ok());
        drop(open);
        assert!(questions.lock().is_empty());
    }

    #[tokio::test]
    async fn sb_05_answers_that_wait_for_others_are_counted_in_bytes() {
        let questions = Questions::default();
        let room = Room::of(r#"{"n":1}"#.len() * 2 - 1);
        let asked = || questions.ask(&client("ada", "mine"), 7, &room).unwrap();
        let (mut one, other) = (asked(), asked());
        questions.answer("mine", 7, &response(&one.id)).unwrap();
        let refusal = questions.answer("mine", 7, &response(&other.id)).unwrap_err();
        assert_eq!(refusal.reason(), Reason::BodyTooLarge);
        assert!(one.answer().await.is_ok());
        assert_eq!(questions.lock().len(), 1, "it can still be answered with less");
    }
}
