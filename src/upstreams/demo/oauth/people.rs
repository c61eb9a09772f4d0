//! The front page: who is connected, and the button that ends it, as a vendor's account page has one.

use axum::{
    extract::State,
    response::{Redirect, Response},
};
use bytes::Bytes;

use super::{ProtectedDemo, denied::Denied, form::Form, page::People};

pub(super) async fn list(State(demo): State<ProtectedDemo>) -> Response {
    People { connections: demo.book().connections() }.show()
}

pub(super) async fn end(State(demo): State<ProtectedDemo>, body: Bytes) -> Result<Redirect, Denied> {
    demo.end(Form::parse(&body)?.require("person", "a name is missing")?);
    Ok(Redirect::to("/"))
}
