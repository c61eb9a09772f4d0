//! What goes wrong on the console's pages, in words for the person in front of them.

use axum::response::Response;
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};

use crate::{
    oauth::{
        self, Visitor,
        pages::{self, Notice, plain},
    },
    store::StoreError,
    upstreams::connections::ConnectError,
};

/// Something that the person must be told.
#[derive(Debug)]
pub(super) enum Trouble {
    /// As on the pages of the authorization server.
    SignIn(oauth::Trouble),
    /// The form says nothing that can be done.
    NoDecision,
    /// Nobody can say with a browser who they are.
    NoSignIn,
    /// There is no such call, or none that is theirs to see.
    NoApproval,
    /// They are signed in, and no operators.
    NoOperator,
    /// Nothing is kept there.
    NothingThere,
    /// Connecting failed.
    Connect(ConnectError),
}

impl From<oauth::Trouble> for Trouble {
    fn from(trouble: oauth::Trouble) -> Self {
        Self::SignIn(trouble)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::SignIn(error.into())
    }
}

impl From<ConnectError> for Trouble {
    fn from(error: ConnectError) -> Self {
        Self::Connect(error)
    }
}

/// What came of a request, or the page that says why nothing did.
pub(super) fn or_trouble(visitor: &Visitor, outcome: Result<Response, Trouble>) -> Response {
    match outcome {
        Ok(response) => response,
        Err(Trouble::SignIn(trouble)) => pages::trouble(visitor, &trouble),
        Err(Trouble::NoDecision) => notice(visitor, "invalid_request", NO_DECISION, None),
        Err(Trouble::NoSignIn) => notice(visitor, "no_sign_in", NO_SIGN_IN, None),
        Err(Trouble::NoApproval) => notice(visitor, "no_such_approval", NO_APPROVAL, None),
        Err(Trouble::NoOperator) => notice(visitor, "no_operator", NO_OPERATOR, None),
        Err(Trouble::NothingThere) => notice(visitor, "nothing_there", NOTHING_THERE, None),
        Err(Trouble::Connect(error)) => connect_trouble(visitor, error),
    }
}

/// What stands on a page.
#[derive(Clone, Copy)]
struct Words {
    status: StatusCode,
    title: &'static str,
    what: &'static str,
    remedy: &'static str,
}

const GONE: Words = Words {
    status: StatusCode::NOT_FOUND,
    title: "This link is no longer good",
    what: "It was used before, it is too old, or it was never one of ours. Nothing was changed.",
    remedy: "Repeat the call in your program: it shows you a new link. Or connect on the page of your connections, /connections.",
};

const NOT_YOURS: Words = Words {
    status: StatusCode::FORBIDDEN,
    title: "This link is not yours",
    what: "It was made for somebody else. Nothing was changed for anybody.",
    remedy: "If somebody sent it to you, close this page, and do not sign in for them. Otherwise open the link that your own program shows.",
};

const NO_DECISION: Words = Words {
    status: StatusCode::BAD_REQUEST,
    title: "This request cannot be read",
    what: "It does not say what to do. Nothing was changed.",
    remedy: "Go back, load the page again, and press one of its buttons.",
};

const NO_SIGN_IN: Words = Words {
    status: StatusCode::FORBIDDEN,
    title: "Nobody can sign in here with a browser",
    what: "What is here is for certain people alone, and this gateway has no way to find out who you are.",
    remedy: "Tell the operator of this gateway: the route needs a policy that signs people in.",
};

const NO_APPROVAL: Words = Words {
    status: StatusCode::NOT_FOUND,
    title: "There is no such call for you",
    what: "It does not exist, or you are neither the one who made it nor one of those who decide about it.",
    remedy: "See what waits for you on /approvals. If you have another account that decides, sign in there with that one.",
};

const NO_OPERATOR: Words = Words {
    status: StatusCode::FORBIDDEN,
    title: "This page is for operators",
    what: "You are signed in, and not one of those whom this gateway's configuration names as its operators.",
    remedy: "If you have another account that is one, sign out on /oauth/logout and come back. Otherwise ask whoever runs this gateway to name you in `gateway.operators`.",
};

const NOTHING_THERE: Words = Words {
    status: StatusCode::NOT_FOUND,
    title: "There is nothing here",
    what: "It was never kept, or is no longer.",
    remedy: "Go back to the list, and load it again.",
};

const SETUP: Words = Words {
    status: StatusCode::BAD_GATEWAY,
    title: "This cannot be connected as it is set up",
    what: "",
    remedy: "Tell the operator of this gateway the code below: the log has all steps.",
};

const REFUSED: Words = Words {
    status: StatusCode::BAD_REQUEST,
    title: "It was not allowed",
    what: "",
    remedy: "If you said no by mistake, repeat the call in your program and open the new link. If you did not, tell the operator of this gateway the code below.",
};

const MIXUP: Words = Words {
    status: StatusCode::BAD_GATEWAY,
    title: "This answer was not used",
    what: "It did not come from the sign-in that was asked. Nothing was changed.",
    remedy: "If you did not start this yourself, close this page. If you did and it happens again, tell the operator of this gateway.",
};

const UNAVAILABLE: Words = Words {
    status: StatusCode::BAD_GATEWAY,
    title: "The other side does not answer as it should",
    what: "Its sign-in cannot be reached, or its answer cannot be understood. Nothing was changed.",
    remedy: "Try again in a moment. If it stays so, tell the operator of this gateway the code below.",
};

const UNUSABLE: Words = Words {
    status: StatusCode::BAD_REQUEST,
    title: "This cannot be used",
    what: "",
    remedy: "Go back and type it in once more. Nothing was kept.",
};

/// What an upstream or its authorization server says is shown as text, short and plain.
fn connect_trouble(visitor: &Visitor, error: ConnectError) -> Response {
    let code = error.code();
    match error {
        ConnectError::Gone => notice(visitor, code, GONE, None),
        ConnectError::NotYours => notice(visitor, code, NOT_YOURS, None),
        ConnectError::OtherBrowser => pages::trouble(visitor, &oauth::Trouble::OtherBrowser),
        ConnectError::Unusable(why) => notice(visitor, code, UNUSABLE, Some(format!("{}.", plain(&why)))),
        ConnectError::Setup(failure) => notice(visitor, code, SETUP, Some(plain(&failure.to_string()))),
        ConnectError::Refused { code: said, .. } => {
            let what = format!("The sign-in over there answered {:?}. Nothing was changed.", plain(&said));
            notice(visitor, code, REFUSED, Some(what))
        }
        ConnectError::Mixup => notice(visitor, code, MIXUP, None),
        ConnectError::Unavailable(why) => {
            tracing::warn!(why, request = visitor.request_id, "nobody could be connected");
            let mut response = notice(visitor, code, UNAVAILABLE, None);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
            response
        }
        ConnectError::Store(error) => pages::trouble(visitor, &error.into()),
    }
}

fn notice(visitor: &Visitor, code: &str, words: Words, what: Option<String>) -> Response {
    let Words { status, title, what: usual, remedy } = words;
    let what = what.unwrap_or_else(|| usual.to_owned());
    Notice { host: "", title, what, remedy, code, back: None, request_id: &visitor.request_id }.show(status)
}
