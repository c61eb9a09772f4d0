//! Stories about the running gateway, in the words of the people who use it. One file each; ids of the checklists that a
//! story proves stand in its name.

mod harness;

mod bad_answers;
mod headers;
mod once;
mod streaming;
mod truncated;
