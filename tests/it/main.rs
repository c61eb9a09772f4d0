//! Stories about the running gateway, in the words of the people who use it. One file each; ids of the checklists that a
//! story proves stand in its name.

mod harness;

mod api;
mod approval_pages;
mod approvals;
mod audit;
mod bad_answers;
mod batches;
mod connect;
mod connections;
mod decide;
mod doctor;
mod eras;
mod explain;
mod first_call;
mod headers;
mod limits;
mod log;
mod methods;
mod notebook;
mod once;
mod operators;
mod pins;
mod pipes;
mod reload;
mod rules;
mod secrets;
mod shutdown;
mod sign_in;
mod streaming;
mod symptoms;
mod tls;
mod trace;
mod traps;
mod truncated;
mod validate;
mod vendor;
