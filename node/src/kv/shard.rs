//! Maps keys to groups, equally on every replica and at every start.
//!
//! If a key has a tag, the text between its first `{` and the next `}`, the tag decides in place of
//! the whole key. So clients can put the keys of one transaction into one group.

/// Returns the group of a key, from 0: the 64-bit FNV-1a hash of its tag or of the whole key, its
/// halves folded together, modulo the number of groups. Clients may rely on it.
pub fn group_of(key: &str, groups: u32) -> u32 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    let hash = key_tag(key).unwrap_or(key).bytes().fold(OFFSET, mix);
    let folded = (hash >> 32) ^ (hash & u64::from(u32::MAX));
    u32::try_from(folded % u64::from(groups.max(1))).unwrap_or_default()
}

/// Returns a key's tag, unless it is empty.
fn key_tag(key: &str) -> Option<&str> {
    let (_, rest) = key.split_once('{')?;
    rest.split_once('}').map(|(tag, _)| tag).filter(|tag| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_map_to_fixed_groups() {
        // Fixed values: a change would lose every key of an existing cluster.
        let groups: Vec<u32> =
            ["", "a", "b", "k0", "k1", "käse"].map(|key| group_of(key, 16)).into();
        assert_eq!(groups, [1, 0, 9, 9, 6, 1]);
        assert_eq!(group_of("anything", 1), 0);
    }

    #[test]
    fn a_tag_decides_unless_it_is_empty() {
        for (key, same) in [("{a}x", "a"), ("x{a}y{b}", "a"), ("{a}", "{a}{b}")] {
            assert_eq!(group_of(key, 64), group_of(same, 64), "{key}");
        }
        for key in ["{}x", "{a", "a}", "}{"] {
            assert_eq!(key_tag(key), None, "{key}");
        }
    }

    #[test]
    fn keys_spread_evenly_over_groups() {
        for groups in [2, 3, 4, 7, 16, 64] {
            let mut counts = vec![0_u32; groups as usize];
            for key in 0..100 * groups {
                counts[group_of(&format!("key{key}"), groups) as usize] += 1;
            }
            assert!(counts.iter().all(|count| (50..200).contains(count)), "{groups}: {counts:?}");
        }
    }
}
