//! The providers whose URLs are known. Each URL is as in the provider's own documentation.

mod auth0;
mod clerk;
mod cognito;
mod entra;
mod google;
mod keycloak;
mod logto;
mod okta;
mod one_login;
mod ping_one;
mod work_os;

pub use self::{
    auth0::Auth0,
    clerk::Clerk,
    cognito::Cognito,
    entra::Entra,
    google::Google,
    keycloak::Keycloak,
    logto::Logto,
    okta::Okta,
    one_login::OneLogin,
    ping_one::{PingOne, Region},
    work_os::WorkOs,
};
