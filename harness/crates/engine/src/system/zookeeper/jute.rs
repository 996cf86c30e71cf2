//! Writes requests of ZooKeeper's wire protocol and reads its answers. Pure.
//!
//! Numbers are big-endian, strings and bytes are preceded by their length. A reader never goes past
//! the end of a response: malformed data is no response.

/// What a request is for, as the protocol numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Kind {
    Create = 1,
    Get = 4,
    Set = 5,
    Children = 8,
    Sync = 9,
}

/// Any version of a node.
pub(super) const ANY: i32 = -1;

/// A message in the making.
#[derive(Debug, Default)]
pub(super) struct Frame(Vec<u8>);

impl Frame {
    /// The question for a new session of so many milliseconds.
    pub(super) fn connect(timeout_ms: i32) -> Self {
        Self::default().int(0).long(0).int(timeout_ms).long(0).bytes(&[0; 16]).byte(0)
    }

    /// A request about a node.
    pub(super) fn request(xid: i32, kind: Kind, path: &str) -> Self {
        Self::default().int(xid).int(kind as i32).bytes(path.as_bytes())
    }

    /// A persistent node with all permissions for all clients.
    pub(super) fn open_to_all(self, data: &str) -> Self {
        let all_rights = 31;
        let entry = self.bytes(data.as_bytes()).int(1).int(all_rights);
        entry.bytes(b"world").bytes(b"anyone").int(0)
    }

    pub(super) fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    pub(super) fn int(mut self, number: i32) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn long(mut self, number: i64) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        let mut frame = self.int(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        frame.0.extend(bytes);
        frame
    }

    /// As it goes over the wire, its length in front.
    pub(super) fn sealed(self) -> Vec<u8> {
        Self::default().bytes(&self.0).0
    }
}

/// An answer, read from the front.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseReader<'a>(pub(super) &'a [u8]);

impl<'a> ResponseReader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(front)
    }

    pub(super) fn int(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(super) fn long(&mut self) -> Option<i64> {
        Some(i64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    pub(super) fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.int()?).ok()?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    /// The names of a node's children.
    pub(super) fn texts(&mut self) -> Option<Vec<String>> {
        let count = self.int()?;
        (0..count).map(|_| self.text()).collect()
    }

    /// What a node holds, and in which version.
    pub(super) fn data(&mut self) -> Option<(String, i32)> {
        let data = self.text()?;
        // Two transaction numbers and two times stand before the version.
        self.take(32)?;
        Some((data, self.int()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_carries_its_length_its_number_and_its_path() {
        let sealed = Frame::request(7, Kind::Get, "/k").byte(0).sealed();
        let expected = [0, 0, 0, 15, 0, 0, 0, 7, 0, 0, 0, 4, 0, 0, 0, 2, b'/', b'k', 0];
        assert_eq!(sealed, expected);
        assert_eq!(Frame::connect(10_000).sealed().len(), 4 + 45);
    }

    #[test]
    fn every_answer_cut_short_is_none() {
        let whole = Frame::default().bytes(b"42").long(1).long(2).long(3).long(4).int(9).0;
        assert_eq!(ResponseReader(&whole).data(), Some(("42".to_owned(), 9)));
        for length in 0..whole.len() {
            assert_eq!(ResponseReader(&whole[..length]).data(), None);
        }
        let names = Frame::default().int(2).bytes(b"a").bytes(b"b").0;
        assert_eq!(ResponseReader(&names).texts(), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(ResponseReader(&names[..names.len() - 1]).texts(), None);
        assert_eq!(ResponseReader(&[255; 8]).text(), None);
    }
}
