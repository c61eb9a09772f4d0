//! What an upstream asks in the middle of a call, asked of the client.

use portcullis_policies::kit::{
    refusal::{Reason, Refusal},
    reply::Event,
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::{
    call::Call,
    incoming::{Question, lacking},
    questions::{Pending, Room},
};
use crate::proxy::bridge::{object::Object, told::Teller};

/// How many questions an upstream may have at once.
const QUESTIONS: usize = 16;

impl Call {
    /// Asks the client everything at once, and gives its answers as JSON text.
    pub(super) async fn inquire(
        &self,
        questions: Vec<(String, Question)>,
        teller: &Teller,
    ) -> Result<Option<String>, Refusal> {
        if questions.is_empty() {
            return Ok(None);
        }
        if questions.len() > QUESTIONS {
            let why = format!("The upstream asks more than {QUESTIONS} questions at once.");
            return Err(Refusal::new(Reason::UpstreamInvalid, why));
        }
        let lacks = questions.iter().find_map(|(_, question)| self.client.lacks(&question.method, &question.params));
        if let Some(lacks) = lacks {
            return Err(lacking(lacks));
        }
        let room = Room::of(self.forward.upstream().limits.json_bytes);
        let mut pending = Vec::new();
        // What was asked is not kept while a person thinks about it.
        for (name, question) in questions {
            let asked = self.rooms().questions.ask(&self.client, self.forward.shared().node(), &room)?;
            let Question { method, params } = question;
            teller.tell(Event::message(self.put(&method, params, &asked).as_bytes())).await;
            pending.push((name, method, asked));
        }
        let deadline = Instant::now() + self.forward.upstream().clocks.input;
        let mut answers = Object::default();
        for (name, method, asked) in &mut pending {
            let answer = self.patiently(teller, timeout_at(deadline, asked.answer())).await;
            let answer = answer.map_err(|_| Refusal::from(Reason::NoInput))?;
            answers.set(name, answer.map_err(|why| declined(method, &why))?);
        }
        Ok(Some(answers.to_json()))
    }

    /// A question, as a request in the words of the client's revision.
    fn put(&self, method: &str, mut params: Value, asked: &Pending) -> String {
        if method == "elicitation/create" {
            match params["mode"].as_str() {
                // Since 2026-07-28 nothing refers to an elicitation by an id of its own.
                Some("url") if params["elicitationId"].is_null() => params["elicitationId"] = (*asked.id).into(),
                Some(_) if !self.client.knows_pages() => {
                    params.as_object_mut().map(|params| params.remove("mode"));
                }
                _ => {}
            }
        }
        let mut request = json!({ "jsonrpc": "2.0", "id": asked.id, "method": method });
        if params.is_object() {
            request["params"] = params;
        }
        request.to_string()
    }
}

/// The client answered with an error, for which upstreams have no place.
fn declined(method: &str, why: &str) -> Refusal {
    Refusal::new(Reason::NoInput, format!("The client did not answer `{method}`: {why}."))
}
