//! Says into which of several groups a key falls: the same one on every replica and at every start.
//!
//! What stands between the first `{` of a key and the next `}` decides in place of the whole key, if
//! it is not empty: so a client brings keys together that one transaction is to change.

/// The group of a key among so many, from 0: the 64-bit FNV-1a hash of its tag or of all of it, its
/// halves folded together, modulo their number. Clients may rely on it.
pub fn group_of(key: &str, groups: u32) -> u32 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    let hash = tag(key).unwrap_or(key).bytes().fold(OFFSET, mix);
    let folded = (hash >> 32) ^ (hash & u64::from(u32::MAX));
    u32::try_from(folded % u64::from(groups.max(1))).unwrap_or_default()
}

/// What stands in a key's first braces.
fn tag(key: &str) -> Option<&str> {
    let (_, rest) = key.split_once('{')?;
    rest.split_once('}').map(|(tag, _)| tag).filter(|tag| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_fall_where_clients_expect_them() {
        // Written down: a change of these loses every key of a cluster that is there.
        let groups: Vec<u32> =
            ["", "a", "b", "k0", "k1", "käse"].map(|key| group_of(key, 16)).into();
        assert_eq!(groups, [1, 0, 9, 9, 6, 1]);
        assert_eq!(group_of("anything", 1), 0);
    }

    #[test]
    fn a_tag_stands_for_the_key_unless_it_is_empty() {
        for (key, same) in [("{a}x", "a"), ("x{a}y{b}", "a"), ("{a}", "{a}{b}")] {
            assert_eq!(group_of(key, 64), group_of(same, 64), "{key}");
        }
        for key in ["{}x", "{a", "a}", "}{"] {
            assert_eq!(tag(key), None, "{key}");
        }
    }

    #[test]
    fn groups_get_about_as_many_keys() {
        for groups in [2, 3, 4, 7, 16, 64] {
            let mut counts = vec![0_u32; groups as usize];
            for key in 0..100 * groups {
                counts[group_of(&format!("key{key}"), groups) as usize] += 1;
            }
            assert!(counts.iter().all(|count| (50..200).contains(count)), "{groups}: {counts:?}");
        }
    }
}
