//! The master key: as text, and as a file.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::bench::hex;
use crate::store::{KeyError, MasterKey, Sealer};

const HEX: &str = "b1f0c97a62d3e8445f0e9d7a3c21886bd4e7f1095a6c3b82e9470d15fca8632e";
const BASE64: &str = "sfDJemLT6ERfDp16PCGIa9Tn8Qlabjuc6UcNFfyoYy4=";

fn derived(key: &MasterKey) -> [u8; 32] {
    Sealer::new(key).prf("test", b"")
}

#[test]
fn a_key_is_the_same_in_each_spelling() {
    let key = derived(&MasterKey::parse(HEX).unwrap());
    let url = BASE64.replace('+', "-").replace('/', "_");
    for text in [HEX.to_uppercase(), format!("{HEX}\n"), format!(" {HEX} {BASE64}")] {
        assert_eq!(derived(&MasterKey::parse(&text).unwrap()), key, "{text}");
    }
    let key = derived(&MasterKey::parse(BASE64).unwrap());
    for text in [url.as_str(), url.trim_end_matches('=')] {
        assert_eq!(derived(&MasterKey::parse(text).unwrap()), key, "{text}");
    }
}

#[test]
fn a_key_that_is_none_or_can_be_guessed_is_refused_with_the_remedy() {
    let sequence = hex(&(0..32).collect::<Vec<u8>>());
    let text = hex(b"correct horse battery staple, ok");
    let guessable = ["00".repeat(32), "ff".repeat(32), "0123456789abcdef".repeat(4), sequence, text];
    for key in &guessable {
        let refused = MasterKey::parse(key).unwrap_err();
        assert!(matches!(refused, KeyError::Guessable(_)), "{key}: {refused}");
        assert!(refused.to_string().contains("openssl rand -base64 32"), "{refused}");
        assert!(!refused.to_string().contains(key.as_str()), "{refused}");
    }
    for key in ["", " ", "secret", &HEX[2..], &BASE64[4..], &format!("{HEX} secret"), "ä"] {
        let refused = MasterKey::parse(key).unwrap_err();
        assert!(matches!(refused, KeyError::Malformed), "{key}: {refused}");
    }
}

#[test]
fn the_first_start_makes_a_key_file_that_only_its_owner_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.key");
    let (made, created) = MasterKey::load_or_create(&path).unwrap();
    assert!(created);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let (again, created) = MasterKey::load_or_create(&path).unwrap();
    assert!(!created);
    assert_eq!(derived(&made), derived(&again));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
    let (other, _) = MasterKey::load_or_create(&folder.path().join("other.key")).unwrap();
    assert_ne!(derived(&made), derived(&other));
}

#[test]
fn processes_that_start_at_once_end_with_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.key");
    let start = std::sync::Barrier::new(8);
    let keys: Vec<_> = std::thread::scope(|scope| {
        let one = || {
            start.wait();
            MasterKey::load_or_create(&path).unwrap()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(keys.iter().filter(|(_, created)| *created).count(), 1);
    assert!(keys.iter().all(|(key, _)| derived(key) == derived(&keys[0].0)));
}

#[test]
fn fault_a_key_file_that_others_can_read_is_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.key");
    MasterKey::load_or_create(&path).unwrap();
    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let refused = MasterKey::load_or_create(&path).unwrap_err();
        assert!(refused.to_string().contains(&format!("chmod 600 {}", path.display())), "{refused}");
    }
}

#[test]
fn fault_a_key_file_that_holds_no_key_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.key");
    MasterKey::load_or_create(&path).unwrap();
    fs::write(&path, "").unwrap();
    let refused = MasterKey::load_or_create(&path).unwrap_err();
    assert!(refused.to_string().contains("portcullis.key"), "{refused}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
    assert!(!refused.is_absence(), "a key that is wrong is not the same as none");
}

#[test]
fn fault_kek_file_that_cannot_be_made_is_no_key_and_says_what_to_do() {
    let nowhere = MasterKey::load_or_create(Path::new("/dev/null/portcullis.key")).unwrap_err();
    assert!(matches!(nowhere, KeyError::Unmade { .. }) && nowhere.is_absence(), "{nowhere}");
    assert!(nowhere.to_string().contains("gateway.encryptionKey"), "{nowhere}");
}

async fn printed_by(command: &[&str], folder: &Path) -> Result<MasterKey, KeyError> {
    let command: Vec<_> = command.iter().map(|&word| word.to_owned()).collect();
    MasterKey::from_command(&command, folder).await
}

#[tokio::test]
async fn a_key_may_be_what_a_program_prints() {
    let folder = tempfile::tempdir().unwrap();
    let expected = derived(&MasterKey::parse(HEX).unwrap());
    let plain = printed_by(&["printf", "%s\n", HEX], folder.path()).await.unwrap();
    assert_eq!(derived(&plain), expected);
    let program = folder.path().join("get-key");
    fs::write(&program, format!("#!/bin/sh\necho loud >&2\n[ \"$1\" = 'a b;c' ] && echo {HEX}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let beside = printed_by(&["./get-key", "a b;c"], folder.path()).await.unwrap();
    assert_eq!(derived(&beside), expected, "beside the configuration, and its arguments through no shell");
}

#[tokio::test]
async fn fault_kek_program_that_prints_no_key_is_named_and_its_output_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let commands: [(&[&str], &str); 7] = [
        (&["./no-such-program"], "No such file"),
        (&["sh", "-c", "echo s3cret; exit 3"], "exit status: 3"),
        (&["echo", "s3cret"], "32 bytes"),
        (&["true"], "32 bytes"),
        (&["printf", "\\377s3cret"], "no text"),
        (&["yes", "s3cret"], "signal"),
        (&[], "no program"),
    ];
    for (command, why) in commands {
        let refused = printed_by(command, folder.path()).await.unwrap_err();
        assert!(refused.is_absence() && refused.to_string().contains(why), "{command:?}: {refused}");
        assert!(refused.to_string().contains("encryptionKeyCommand"), "{refused}");
        assert!(!refused.to_string().contains("s3cret"), "{refused}");
    }
}

#[tokio::test]
async fn fault_kek_program_that_does_not_end_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let started = tokio::time::Instant::now();
    let refused = printed_by(&["sleep", "600"], folder.path()).await.unwrap_err();
    assert!(refused.to_string().contains("after 10 s"), "{refused}");
    assert!(started.elapsed() < std::time::Duration::from_secs(15), "{:?}", started.elapsed());
}
