//! The master key as a program prints it, such as the client of a key management service.

use std::{
    io::{self, Read},
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use secrecy::zeroize::Zeroizing;
use tokio::time::Instant;

use super::{KeyError, MasterKey};

/// How long the program may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much it may print: more is no key.
const MOST: usize = 4096;
/// How often to look whether it has ended.
const GLANCE: Duration = Duration::from_millis(10);

impl MasterKey {
    /// Runs a program, without a shell, and reads the key that it prints. A program with a slash in its name is looked for from
    /// `folder`. Takes ten seconds at most; what it prints is shown to nobody.
    pub async fn from_command(command: &[String], folder: &Path) -> Result<Self, KeyError> {
        let program = command.first().cloned().unwrap_or_default();
        let failed = |why: String| KeyError::Command { program: program.clone(), why };
        let (command, folder) = (command.to_vec(), folder.to_owned());
        let running = tokio::task::spawn_blocking(move || run(&command, &folder, PATIENCE));
        let printed = running.await.map_err(|error| failed(error.to_string()))?.map_err(&failed)?;
        MasterKey::parse(&printed).map_err(|error| failed(error.to_string()))
    }
}

fn run(command: &[String], folder: &Path, patience: Duration) -> Result<Zeroizing<String>, String> {
    let deadline = Instant::now() + patience;
    let (program, arguments) = command.split_first().ok_or("it names no program")?;
    let program = if program.contains('/') { folder.join(program) } else { program.into() };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let printed = child.stdout.take().map(read).ok_or("its output cannot be read")?;
    let status = wait(&mut child, deadline)?;
    if !status.success() {
        return Err(format!("it ended with {status}; run it by hand to see what it says"));
    }
    // Whatever it has started may still hold the pipe.
    let left = deadline.saturating_duration_since(Instant::now());
    let printed = printed.recv_timeout(left).map_err(|_| "its output does not end".to_owned())?;
    String::from_utf8(printed.to_vec())
        .map(Zeroizing::new)
        .map_err(|_| "it printed something that is no text".to_owned())
}

/// Waits until it has ended. One that takes too long is ended.
fn wait(child: &mut Child, deadline: Instant) -> Result<ExitStatus, String> {
    let told = |error: io::Error| error.to_string();
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().map_err(told)? {
            return Ok(status);
        }
        thread::sleep(GLANCE);
    }
    child.kill().and_then(|()| child.wait()).map_err(told)?;
    Err(format!("it was not done after {} s", PATIENCE.as_secs()))
}

/// Reads while it runs, so that it never waits for a reader.
fn read(output: ChildStdout) -> mpsc::Receiver<Zeroizing<Vec<u8>>> {
    let (done, printed) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MOST));
        if output.take(MOST as u64).read_to_end(&mut bytes).is_ok() {
            let _ = done.send(bytes);
        }
    });
    printed
}
