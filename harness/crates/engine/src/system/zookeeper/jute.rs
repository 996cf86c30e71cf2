//! Writes requests of ZooKeeper's wire protocol and reads its answers. Pure.
//!
//! Numbers are big-endian, strings and bytes are preceded by their length. A reader never goes past
//! the end of a response: malformed data is no response.

/// What a request is for, as the protocol numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum OpCode {
    Create = 1,
    Get = 4,
    Set = 5,
    Children = 8,
    Sync = 9,
}

/// Any version of a node.
pub(super) const ANY_VERSION: i32 = -1;

/// A message in the making.
#[derive(Debug, Default)]
pub(super) struct Frame(Vec<u8>);

impl Frame {
    /// The question for a new session of so many milliseconds.
    pub(super) fn connect_request(timeout_ms: i32) -> Self {
        Self::default()
            .put_int(0)
            .put_long(0)
            .put_int(timeout_ms)
            .put_long(0)
            .put_bytes(&[0; 16])
            .put_byte(0)
    }

    /// A request about a node.
    pub(super) fn node_request(xid: i32, kind: OpCode, path: &str) -> Self {
        Self::default().put_int(xid).put_int(kind as i32).put_bytes(path.as_bytes())
    }

    /// A persistent node with all permissions for all clients.
    pub(super) fn put_open_node(self, data: &str) -> Self {
        let all_rights = 31;
        let entry = self.put_bytes(data.as_bytes()).put_int(1).put_int(all_rights);
        entry.put_bytes(b"world").put_bytes(b"anyone").put_int(0)
    }

    pub(super) fn put_byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    pub(super) fn put_int(mut self, number: i32) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn put_long(mut self, number: i64) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub(super) fn put_bytes(self, bytes: &[u8]) -> Self {
        let mut frame = self.put_int(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        frame.0.extend(bytes);
        frame
    }

    /// As it goes over the wire, its length in front.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        Self::default().put_bytes(&self.0).0
    }
}

/// An answer, read from the front.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseReader<'a>(pub(super) &'a [u8]);

impl<'a> ResponseReader<'a> {
    fn take_bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(front)
    }

    pub(super) fn read_int(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take_bytes(4)?.try_into().ok()?))
    }

    pub(super) fn read_long(&mut self) -> Option<i64> {
        Some(i64::from_be_bytes(self.take_bytes(8)?.try_into().ok()?))
    }

    pub(super) fn read_string(&mut self) -> Option<String> {
        let length = usize::try_from(self.read_int()?).ok()?;
        String::from_utf8(self.take_bytes(length)?.to_vec()).ok()
    }

    /// The names of a node's children.
    pub(super) fn read_strings(&mut self) -> Option<Vec<String>> {
        let count = self.read_int()?;
        (0..count).map(|_| self.read_string()).collect()
    }

    /// What a node holds, and in which version.
    pub(super) fn read_node_data(&mut self) -> Option<(String, i32)> {
        let data = self.read_string()?;
        // Two transaction numbers and two times stand before the version.
        self.take_bytes(32)?;
        Some((data, self.read_int()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_carries_its_length_its_number_and_its_path() {
        let sealed = Frame::node_request(7, OpCode::Get, "/k").put_byte(0).into_bytes();
        let expected = [0, 0, 0, 15, 0, 0, 0, 7, 0, 0, 0, 4, 0, 0, 0, 2, b'/', b'k', 0];
        assert_eq!(sealed, expected);
        assert_eq!(Frame::connect_request(10_000).into_bytes().len(), 4 + 45);
    }

    #[test]
    fn every_answer_cut_short_is_none() {
        let whole = Frame::default()
            .put_bytes(b"42")
            .put_long(1)
            .put_long(2)
            .put_long(3)
            .put_long(4)
            .put_int(9)
            .0;
        assert_eq!(ResponseReader(&whole).read_node_data(), Some(("42".to_owned(), 9)));
        for length in 0..whole.len() {
            assert_eq!(ResponseReader(&whole[..length]).read_node_data(), None);
        }
        let names = Frame::default().put_int(2).put_bytes(b"a").put_bytes(b"b").0;
        assert_eq!(
            ResponseReader(&names).read_strings(),
            Some(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(ResponseReader(&names[..names.len() - 1]).read_strings(), None);
        assert_eq!(ResponseReader(&[255; 8]).read_string(), None);
    }
}
