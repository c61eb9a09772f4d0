//! What goes wrong in a browser, in words for the person in front of it.

use askama::Template;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};

use crate::{
    oauth::{provider::ProviderError, router::Visitor},
    store::StoreError,
};

/// Where a person may go on from a page that says what went wrong.
#[derive(Clone, Debug)]
pub(crate) enum Back {
    /// To the client, which is told.
    Client(String),
    /// To a page of ours.
    Page(String),
}

impl Back {
    fn url(&self) -> &str {
        match self {
            Self::Client(url) | Self::Page(url) => url,
        }
    }

    fn label(&self) -> &'static str {
        match self {
            Self::Client(_) => "Return to the program",
            Self::Page(_) => "Try once more",
        }
    }
}

/// Something that the person must be told, because nobody else can safely be.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    NoClientId,
    UnknownClient {
        id: String,
    },
    /// The client's id is the URL of a document that cannot be used.
    Undocumented {
        id: String,
        why: String,
    },
    RedirectUri {
        client: String,
        asked: String,
    },
    BadRequest(&'static str),
    /// A form that was not on a page of ours.
    ForeignForm,
    NoCookie,
    /// The page or the sign-in is too old, or was used before.
    Stale,
    OtherBrowser,
    Provider {
        error: ProviderError,
        back: Back,
    },
    /// What the client asked for cannot be granted, and sending the browser there is the person's to decide.
    Refused {
        what: String,
        back: Back,
    },
    TooMany,
    Store,
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        Self::Store
    }
}

/// A page that says what went wrong, and what to do.
#[derive(Template)]
#[template(path = "trouble.html", config = "src/oauth/pages/askama.toml")]
pub(crate) struct Notice<'a> {
    /// Which gateway.
    pub(crate) host: &'a str,
    pub(crate) title: &'a str,
    pub(crate) what: String,
    pub(crate) remedy: &'a str,
    /// A reason that never changes.
    pub(crate) code: &'a str,
    pub(crate) back: Option<Back>,
    pub(crate) request_id: &'a str,
}

impl Notice<'_> {
    pub(crate) fn show(&self, status: StatusCode) -> Response {
        super::show(status, self, None)
    }
}

/// Title, reason code and status.
type Kind = (&'static str, &'static str, StatusCode);

impl Trouble {
    fn kind(&self) -> Kind {
        let bad = StatusCode::BAD_REQUEST;
        match self {
            Self::NoClientId => ("The program did not say who it is", "no_client_id", bad),
            Self::UnknownClient { .. } => ("This program is not known here", "unknown_client", bad),
            Self::Undocumented { .. } => ("This program's description cannot be used", "bad_client_document", bad),
            Self::RedirectUri { .. } => {
                ("This program asked for an address that is not its own", "redirect_uri_mismatch", bad)
            }
            Self::BadRequest(_) => ("This request cannot be read", "invalid_request", bad),
            Self::ForeignForm => ("This form was not on our page", "foreign_form", StatusCode::FORBIDDEN),
            Self::NoCookie => ("Your browser did not send our cookie", "no_cookie", bad),
            Self::Stale => ("This page is no longer good", "stale", bad),
            Self::OtherBrowser => ("This sign-in is not one of this browser", "other_browser", bad),
            Self::Provider { .. } => ("The sign-in did not work", "provider_failed", StatusCode::BAD_GATEWAY),
            Self::Refused { .. } => ("This cannot be granted", "refused", bad),
            Self::TooMany => ("Too many requests", "too_many_requests", StatusCode::TOO_MANY_REQUESTS),
            Self::Store => ("Not possible at the moment", "store_unavailable", StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    fn what(&self) -> String {
        match self {
            Self::NoClientId => "The address that it opened has no client_id.".to_owned(),
            Self::UnknownClient { id } => {
                format!("No client has the id {id:?}. If it registered itself, that was too long ago.")
            }
            Self::Undocumented { id, why } => format!("It calls itself {id:?}, but {why}."),
            Self::RedirectUri { client, asked } if asked.is_empty() => {
                format!("“{client}” has several addresses, and did not say which one to return to.")
            }
            Self::RedirectUri { client, asked } => {
                format!("“{client}” did not register {asked:?}. Nothing was sent there.")
            }
            Self::BadRequest(why) => format!("{}.", capitalised(why)),
            Self::ForeignForm => "Another site sent it. Nothing was allowed.".to_owned(),
            Self::NoCookie => {
                "Without it we cannot tell that it was you who saw the page before. Nothing was allowed.".to_owned()
            }
            Self::Stale => "It was used before, or it is too old. Nothing was allowed.".to_owned(),
            Self::OtherBrowser => {
                "It was finished before, or somebody began it elsewhere and you would have finished it for them. Nothing was allowed."
                    .to_owned()
            }
            Self::Provider { error, .. } => format!("{}.", capitalised(&error.to_string())),
            Self::Refused { what, .. } => format!("The program asked for it in a way that is not possible: {what}."),
            Self::TooMany => "Your address asked too often.".to_owned(),
            Self::Store => "The gateway cannot reach its store.".to_owned(),
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::NoClientId | Self::BadRequest(_) => {
                "Start again from the program; if that does not help, tell its makers."
            }
            Self::UnknownClient { .. } => {
                "Remove this server from the program and add it again, or delete what it remembers of the sign-in: then it registers anew."
            }
            Self::Undocumented { .. } => "Tell the makers of the program, or the operator of this gateway.",
            Self::RedirectUri { .. } => {
                "Remove this server from the program and add it again. If the operator registered the program, its addresses must be corrected there."
            }
            Self::ForeignForm | Self::OtherBrowser => {
                "If you did not start a sign-in yourself, close this page. Otherwise start again from the program."
            }
            Self::NoCookie => "Allow cookies for this site, then start again from the program.",
            Self::Stale => "Start again from the program.",
            Self::Provider { .. } => {
                "Try again in a moment. If it stays so, tell the operator of this gateway the code below."
            }
            Self::Refused { .. } => "Return to the program only if you know it; it is told what was wrong.",
            Self::TooMany => "Wait a minute, then try again.",
            Self::Store => "Try again in a moment.",
        }
    }

    /// In seconds, where waiting helps.
    fn retry_after(&self) -> Option<&'static str> {
        match self {
            Self::Store => Some("5"),
            Self::TooMany => Some("60"),
            _ => None,
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// What came of a request, or the page that says why nothing did.
pub(crate) fn or_trouble(visitor: &Visitor, outcome: Result<Response, Trouble>) -> Response {
    outcome.unwrap_or_else(|why| trouble(visitor, &why))
}

/// The page that says it.
pub(crate) fn trouble(visitor: &Visitor, trouble: &Trouble) -> Response {
    let (title, code, status) = trouble.kind();
    let back = match trouble {
        Trouble::Provider { back, .. } | Trouble::Refused { back, .. } => Some(back.clone()),
        _ => None,
    };
    let notice = Notice {
        host: "",
        title,
        what: trouble.what(),
        remedy: trouble.remedy(),
        code,
        back,
        request_id: &visitor.request_id,
    };
    let mut response = notice.show(status);
    if let Some(seconds) = trouble.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(seconds));
    }
    response
}
