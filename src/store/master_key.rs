//! The one secret that all others in the store are sealed with.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose},
};
use portcullis_policies::kit::random;
use secrecy::{
    ExposeSecret, SecretBox,
    zeroize::{Zeroize, Zeroizing},
};

const LEN: usize = 32;

/// 32 random bytes, and maybe earlier ones: those open what they have sealed, and seal nothing any more. It cannot be
/// printed.
pub struct MasterKey {
    pub(super) current: SecretBox<[u8; LEN]>,
    pub(super) previous: Vec<SecretBox<[u8; LEN]>>,
}

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is not a key.
    #[error("the master key is not 32 bytes in base64 or hexadecimal; make one with `openssl rand -base64 32`")]
    Malformed,
    /// The bytes are a pattern, or text that somebody typed.
    #[error("the master key can be guessed: {0}; make one with `openssl rand -base64 32`")]
    Guessable(&'static str),
    /// Others can read the file.
    #[error("others than its owner can read the master key in {0}; run `chmod 600 {0}`")]
    Exposed(PathBuf),
    /// The file cannot be read or made.
    #[error("the master key's file {path} cannot be used: {why}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// No file for it can be made.
    #[error(
        "no file for a new master key can be made at {path}: {why}; let the gateway write there, or give it a key with \
         `gateway.encryptionKey` or `gateway.encryptionKeyCommand`"
    )]
    Unmade {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// Nobody said what it is, and a new one will not do.
    #[error(
        "a store for several gateways needs one master key for all of them; make one with `openssl rand -base64 32`, and \
         give it to each as `gateway.encryptionKey` or by `gateway.encryptionKeyCommand`"
    )]
    Unsaid,
    /// The command that should print it did not.
    #[error("`gateway.encryptionKeyCommand`, which is {program:?}, gives no master key: {why}")]
    Command {
        /// The program, without its arguments.
        program: String,
        /// What happened.
        why: String,
    },
    /// The file holds something else.
    #[error("in {path}: {why}")]
    In {
        /// Which file.
        path: PathBuf,
        /// What is wrong with the text in it.
        why: Box<KeyError>,
    },
}

impl KeyError {
    /// Is there none, rather than a wrong one? Then the gateway can do without, as far as nothing needs the store.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Unmade { .. } | Self::Unsaid | Self::Command { .. })
    }
}

impl MasterKey {
    /// Draws a new one.
    pub fn generate() -> Result<Self, io::Error> {
        let mut bytes = Zeroizing::new([0; LEN]);
        random::fill(&mut *bytes);
        Ok(Self { current: SecretBox::new(Box::new(*bytes)), previous: Vec::new() })
    }

    /// Reads 32 bytes in base64, base64url or hexadecimal. Earlier keys may follow, with spaces, commas or line ends between.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let words = text.split(|letter: char| letter == ',' || letter.is_whitespace());
        let mut keys = words.filter(|word| !word.is_empty()).map(read);
        let current = keys.next().ok_or(KeyError::Malformed)??;
        Ok(Self { current, previous: keys.collect::<Result<_, _>>()? })
    }

    /// Reads the key in `path`; `None`, if there is no such file.
    pub fn load(path: &Path) -> Result<Option<Self>, KeyError> {
        match path.try_exists() {
            Ok(true) => load(path).map(Some),
            Ok(false) => Ok(None),
            Err(why) => Err(KeyError::File { path: path.to_owned(), why }),
        }
    }

    /// Reads the key in `path`, or makes one there that only the owner can read. The other value says whether it was made.
    pub fn load_or_create(path: &Path) -> Result<(Self, bool), KeyError> {
        let unmade = |why| KeyError::Unmade { path: path.to_owned(), why };
        if !path.try_exists().map_err(unmade)? && create(path).map_err(unmade)? {
            return Ok((load(path)?, true));
        }
        Ok((load(path)?, false))
    }
}

fn read(word: &str) -> Result<SecretBox<[u8; LEN]>, KeyError> {
    let bytes = Zeroizing::new(decode(word).ok_or(KeyError::Malformed)?);
    let bytes: &[u8; LEN] = bytes.as_slice().try_into().map_err(|_| KeyError::Malformed)?;
    match pattern(bytes) {
        Some(pattern) => Err(KeyError::Guessable(pattern)),
        None => Ok(SecretBox::new(Box::new(*bytes))),
    }
}

fn decode(word: &str) -> Option<Vec<u8>> {
    if word.len() == 2 * LEN && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let byte = |at: usize| u8::from_str_radix(&word[at..at + 2], 16).ok();
        return (0..word.len()).step_by(2).map(byte).collect();
    }
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabets = [&STANDARD, &URL_SAFE];
    alphabets.into_iter().find_map(|alphabet| GeneralPurpose::new(alphabet, config).decode(word).ok())
}

/// What random bytes never look like: with each of these, chance would take longer than the world is old.
fn pattern(bytes: &[u8; LEN]) -> Option<&'static str> {
    let mut sorted = *bytes;
    sorted.sort_unstable();
    let different = sorted.chunk_by(PartialEq::eq).count();
    sorted.zeroize();
    if different < LEN / 2 {
        return Some("it repeats itself");
    }
    if bytes.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == bytes[1].wrapping_sub(bytes[0])) {
        return Some("its bytes are a sequence");
    }
    bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ').then_some("it is text, not random bytes")
}

/// Makes the file whole or not at all, so that neither a second process nor a crash can leave or see half a key.
/// `false` if somebody else was first.
fn create(path: &Path) -> io::Result<bool> {
    let key = MasterKey::generate()?;
    let text = Zeroizing::new(general_purpose::STANDARD.encode(key.current.expose_secret()) + "\n");
    let draft = path.with_added_extension(format!("{:x}.new", random::seed()));
    let mut file = private().create_new(true).open(&draft)?;
    let made =
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        made => made.and_then(|()| sync_folder(path)).map(|()| true),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// For files that only their owner may read.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn load(path: &Path) -> Result<MasterKey, KeyError> {
    let failed = |why| KeyError::File { path: path.to_owned(), why };
    if is_exposed(path).map_err(failed)? {
        return Err(KeyError::Exposed(path.to_owned()));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
    MasterKey::parse(&text).map_err(|why| KeyError::In { path: path.to_owned(), why: Box::new(why) })
}

#[cfg(unix)]
fn is_exposed(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_exposed(_: &Path) -> io::Result<bool> {
    Ok(false)
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").finish_non_exhaustive()
    }
}
