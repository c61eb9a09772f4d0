//! What commands print. The standard macros panic when nobody reads any more, as with `| head -1`.

use std::{
    fmt,
    io::{ErrorKind, Write, stderr, stdout},
    process,
};

/// Prints to standard output. Who has stopped reading misses nothing but the rest: the command still does what it was called for,
/// and its exit code says how that went. What cannot be written for another reason, such as a full disk, is missed by somebody.
pub(super) fn print(text: fmt::Arguments<'_>) {
    match stdout().write_fmt(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(format_args!("error: the output cannot be written: {error}\n"));
            process::exit(1);
        }
        _ => {}
    }
}

/// Prints to standard error. There is nowhere left to say that it failed.
pub(super) fn complain(text: fmt::Arguments<'_>) {
    let _ = stderr().write_fmt(text);
}
