//! However a stream is cut into pieces, the same events come out of it, and none is longer than allowed.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use portcullis_policies::kit::reply::{EventLimits, EventReader};

const LIMITS: EventLimits = EventLimits { event: 256, line: 64 };

/// The data of each event, and whether the stream was too long in the end.
type Read = (Vec<Option<Vec<u8>>>, bool);

// The first four bytes say how to cut, the others are the stream.
fuzz_target!(|data: &[u8]| {
    let Some((cuts, stream)) = data.split_at_checked(4) else { return };
    let whole = read(stream, std::iter::empty());
    assert_eq!(whole, read(stream, cuts.iter().map(|cut| usize::from(*cut))));
    assert_eq!(whole, read(stream, std::iter::repeat(1)));
});

/// Reads in pieces of these lengths; what is left comes in one.
fn read(mut stream: &[u8], lengths: impl Iterator<Item = usize>) -> Read {
    let mut reader = EventReader::new(LIMITS);
    let mut events = Vec::new();
    for length in lengths.chain([usize::MAX]) {
        let (piece, rest) = stream.split_at(length.min(stream.len()));
        stream = rest;
        reader.push(Bytes::copy_from_slice(piece));
        loop {
            match reader.next_event() {
                Ok(Some(event)) => {
                    // Where CR LF is cut in two, the LF stands before the next event and does not count.
                    assert!(event.raw().len() <= LIMITS.event + 2, "an event of {} bytes", event.raw().len());
                    events.push(event.data().map(<[u8]>::to_vec));
                }
                Ok(None) => break,
                Err(_) => return (events, true),
            }
        }
        if stream.is_empty() {
            break;
        }
    }
    (events, false)
}
