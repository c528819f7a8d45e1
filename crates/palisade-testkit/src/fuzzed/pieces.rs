//! Streams that arrive cut anywhere: what is read must not depend on it.

use std::fmt::Debug;

/// What a reader made of a stream before it ended or was refused.
pub(super) type Read<T, E> = (Vec<T>, Result<(), E>);

/// The stream behind the first byte of `input`, and what `read` makes of it whole, and cut into pieces as large as that
/// byte says. Panics where the two differ, unless one was refused.
pub(super) fn whole_and_cut<T: PartialEq + Debug, E>(
    input: &[u8],
    read: impl Fn(&[u8], usize) -> Read<T, E>,
) -> Option<(&[u8], Vec<T>, Vec<T>)> {
    let (size, stream) = input.split_first()?;
    let (whole, end) = read(stream, stream.len().max(1));
    let (cut, cut_end) = read(stream, usize::from(*size).max(1));
    if end.is_ok() && cut_end.is_ok() {
        assert_eq!(whole, cut, "where the bytes are cut does not matter");
    }
    Some((stream, whole, cut))
}

/// Feeds a reader piece by piece, and takes all that it has after each.
pub(super) fn in_pieces<R, T, E>(
    stream: &[u8],
    size: usize,
    reader: &mut R,
    feed: impl Fn(&mut R, &[u8]),
    next: impl Fn(&mut R) -> Result<Option<T>, E>,
) -> Read<T, E> {
    let mut read = Vec::new();
    for piece in stream.chunks(size) {
        feed(reader, piece);
        loop {
            match next(reader) {
                Ok(Some(item)) => read.push(item),
                Ok(None) => break,
                Err(refused) => return (read, Err(refused)),
            }
        }
    }
    (read, Ok(()))
}
