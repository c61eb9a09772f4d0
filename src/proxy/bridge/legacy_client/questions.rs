//! Questions to clients whose answers are waited for.
//!
//! A client answers with a request of its own, so the question is found by its id: one that cannot be guessed, and that
//! counts only in the session that was asked.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::rand;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use portcullis_policies::kit::{
    message::Message,
    refusal::{Reason, Refusal},
};
use tokio::sync::oneshot;

use crate::proxy::bridge::object::Object;

/// How many questions may be open in this process.
const MOST: usize = 10_000;
const PREFIX: &str = "portcullis-";

/// What a client answered: a result as JSON text, or what it says against the question.
pub(super) type Answered = Result<String, String>;

/// The questions of this process.
#[derive(Clone, Debug, Default)]
pub(super) struct Questions(Arc<Mutex<HashMap<Box<str>, Open>>>);

#[derive(Debug)]
struct Open {
    session: Arc<str>,
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
    /// Opens a question to the client of a session. `node` tells this process from others with the same sessions.
    pub(super) fn ask(&self, session: &Arc<str>, node: u64) -> Result<Pending, Refusal> {
        let id: Box<str> = format!("{PREFIX}{node:016x}-{}", drawn()?).into();
        let (sender, answer) = oneshot::channel();
        let mut open = self.lock();
        if open.len() >= MOST {
            return Err(Reason::Overloaded.into());
        }
        open.insert(id.clone(), Open { session: Arc::clone(session), answer: sender });
        Ok(Pending { id, answer, questions: self.clone() })
    }

    /// Gives a client's answer to whoever waits for it. Refused: what was not asked in this session.
    pub(super) fn answer(&self, session: &str, node: u64, response: &Message) -> Result<(), Refusal> {
        let id: String = response.id().and_then(|id| serde_json::from_str(id).ok()).unwrap_or_default();
        let answer = answered(response).ok_or(Reason::NotAMessage)?;
        let mut open = self.lock();
        let is_theirs = open.get(&*id).is_some_and(|open| *open.session == *session);
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

/// 128 bits of chance.
fn drawn() -> Result<String, Refusal> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| Reason::Internal)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use portcullis_policies::kit::json::Limits;
    use serde_json::json;

    use super::*;

    fn response(id: &str) -> Message {
        let response = json!({ "jsonrpc": "2.0", "id": id, "result": { "n": 1 } });
        Message::read(response.to_string().into(), &Limits::MESSAGE).unwrap()
    }

    #[tokio::test]
    async fn tr_19_sb_05_only_the_session_that_was_asked_answers_and_only_once() {
        let questions = Questions::default();
        let mut pending = questions.ask(&"mine".into(), 7).unwrap();
        let other = questions.ask(&"mine".into(), 7).unwrap();
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
        let pending = Questions::default().ask(&"mine".into(), 8).unwrap();
        let refusal = Questions::default().answer("mine", 7, &response(&pending.id)).unwrap_err();
        assert!(refusal.message().contains("another process"), "{}", refusal.message());
    }

    #[test]
    fn a_question_nobody_waits_for_is_forgotten() {
        let questions = Questions::default();
        drop(questions.ask(&"mine".into(), 7).unwrap());
        assert!(questions.lock().is_empty());
    }
}
