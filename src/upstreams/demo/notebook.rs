//! The notes, shared by all clones of the server, and the news of their changes.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::broadcast;

/// No more notes than this are kept.
pub(super) const MAX_NOTES: usize = 1_000;
/// A title is a line, not a text.
pub(super) const MAX_TITLE_CHARS: usize = 200;
/// The longest text of one note.
pub(super) const MAX_TEXT_BYTES: usize = 64 * 1024;

/// How many changes a slow listener may fall behind before it is told "everything may have changed".
const BACKLOG: usize = 64;

/// What everybody finds in a new notebook.
const FIRST_NOTES: [(&str, &str); 3] = [
    ("Welcome", "This notebook lives inside your gateway. Write in it, search it, tear pages out: it is only a demo."),
    ("Shopping list", "- apples\n- oat milk\n- a lock for the garden gate"),
    ("An idea", "Ask for a summary of these notes, then look in the audit log for what was called."),
];

/// One note. Its texts are shared, so a copy is cheap and the lock is never held while somebody reads.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) id: u64,
    pub(super) title: Arc<str>,
    pub(super) text: Arc<str>,
}

impl Note {
    /// The note as the document that its resource is.
    pub(super) fn markdown(&self) -> String {
        format!("# {}\n\n{}\n", self.title, self.text)
    }
}

/// News for listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A note is new: the list changed.
    Added,
    /// A note has a new title or text. Both are in the list, too (the text by its size).
    Rewritten(u64),
    /// A note is gone.
    Removed(u64),
    /// Any note may be new, different or gone.
    Anything,
}

/// Why a note was not written. The text is for the model, which can mend it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WriteError {
    Full,
    EmptyTitle,
    LongTitle,
    LongText,
    NoSuchNote(u64),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => write!(f, "The notebook is full: it holds at most {MAX_NOTES} notes. Delete one first."),
            Self::EmptyTitle => write!(f, "The title must not be empty."),
            Self::LongTitle => write!(f, "The title must be at most {MAX_TITLE_CHARS} characters."),
            Self::LongText => write!(f, "The text must be at most {MAX_TEXT_BYTES} bytes (64 KiB)."),
            Self::NoSuchNote(id) => write!(f, "There is no note {id}. Call list_notes to see which exist."),
        }
    }
}

/// A handle to the one notebook.
#[derive(Clone)]
pub(super) struct Notebook(Arc<Shared>);

struct Shared {
    pages: Mutex<Pages>,
    changes: broadcast::Sender<Change>,
}

/// The notes by id. Ids are counted up and never used twice.
#[derive(Default)]
struct Pages {
    notes: BTreeMap<u64, Note>,
    last_id: u64,
}

impl Default for Notebook {
    fn default() -> Self {
        let mut pages = Pages::default();
        for (title, text) in FIRST_NOTES {
            pages.add(title, text);
        }
        Self(Arc::new(Shared { pages: Mutex::new(pages), changes: broadcast::Sender::new(BACKLOG) }))
    }
}

impl Notebook {
    /// All notes, oldest first.
    pub(super) fn all(&self) -> Vec<Note> {
        self.pages().notes.values().cloned().collect()
    }

    /// Up to `size` notes with ids above `after`.
    pub(super) fn page(&self, after: u64, size: usize) -> Vec<Note> {
        let range = (Bound::Excluded(after), Bound::Unbounded);
        self.pages().notes.range(range).take(size).map(|(_, note)| note.clone()).collect()
    }

    pub(super) fn get(&self, id: u64) -> Option<Note> {
        self.pages().notes.get(&id).cloned()
    }

    /// Adds a note, or replaces the one with the given id.
    pub(super) fn write(&self, id: Option<u64>, title: &str, text: &str) -> Result<Note, WriteError> {
        check(title, text)?;
        let mut pages = self.pages();
        let (note, change) = match id {
            Some(id) => (pages.replace(id, title, text)?, Change::Rewritten(id)),
            None if pages.notes.len() >= MAX_NOTES => return Err(WriteError::Full),
            None => (pages.add(title, text), Change::Added),
        };
        self.tell(change);
        Ok(note)
    }

    /// Removes a note; says whether it was there.
    pub(super) fn delete(&self, id: u64) -> bool {
        let mut pages = self.pages();
        let was_there = pages.notes.remove(&id).is_some();
        if was_there {
            self.tell(Change::Removed(id));
        }
        was_there
    }

    /// Removes all notes; says how many there were.
    pub(super) fn clear(&self) -> usize {
        let mut pages = self.pages();
        let count = std::mem::take(&mut pages.notes).len();
        if count > 0 {
            self.tell(Change::Anything);
        }
        count
    }

    /// The changes from now on. The stream of changes ends when the last handle to the notebook is gone.
    pub(super) fn changes(&self) -> broadcast::Receiver<Change> {
        self.0.changes.subscribe()
    }

    /// How many are listening.
    pub(super) fn listeners(&self) -> usize {
        self.0.changes.receiver_count()
    }

    /// Sends the news, in the order of the changes because the lock is still held. That nobody listens
    /// is no error.
    fn tell(&self, change: Change) {
        let _ = self.0.changes.send(change);
    }

    /// A panic in another request cannot leave the map half changed, so a poisoned lock is as good as new.
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn add(&mut self, title: &str, text: &str) -> Note {
        self.last_id += 1;
        let note = Note { id: self.last_id, title: title.into(), text: text.into() };
        self.notes.insert(note.id, note.clone());
        note
    }

    fn replace(&mut self, id: u64, title: &str, text: &str) -> Result<Note, WriteError> {
        let note = self.notes.get_mut(&id).ok_or(WriteError::NoSuchNote(id))?;
        note.title = title.into();
        note.text = text.into();
        Ok(note.clone())
    }
}

fn check(title: &str, text: &str) -> Result<(), WriteError> {
    if title.trim().is_empty() {
        Err(WriteError::EmptyTitle)
    } else if title.chars().count() > MAX_TITLE_CHARS {
        Err(WriteError::LongTitle)
    } else if text.len() > MAX_TEXT_BYTES {
        Err(WriteError::LongText)
    } else {
        Ok(())
    }
}
