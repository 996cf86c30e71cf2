//! Orders consistency models, and maps each anomaly to the models that it violates.
//!
//! Names and order are those of Adya, Berenson, Bailis, Cerone and Daudjee, as collected by Elle. A
//! history that satisfies a model satisfies every weaker one, so an anomaly violates the models
//! that forbid it and all stronger ones. Reads are of items, never of predicates, so G2 is G2-item
//! here, and every cycle with an anti-dependency is one.

use std::collections::BTreeSet;

/// A consistency model.
pub struct ConsistencyModel {
    /// Its name.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// The next weaker models.
    weaker: &'static [&'static str],
    /// The anomalies that it forbids and the weaker models allow.
    forbids: &'static [&'static str],
}

const fn model(
    name: &'static str,
    aliases: &'static [&'static str],
    weaker: &'static [&'static str],
    forbids: &'static [&'static str],
) -> ConsistencyModel {
    ConsistencyModel { name, aliases, weaker, forbids }
}

/// Every model, sorted by name.
pub const MODELS: &[ConsistencyModel] = &[
    model("causal-cerone", &[], &["read-atomic"], &[]),
    model("consistent-view", &["PL-2+"], &["cursor-stability", "monotonic-view"], &["G-single"]),
    model("cursor-stability", &["PL-CS"], &["read-committed"], &["lost-update"]),
    model("forward-consistent-view", &["PL-FCV"], &["consistent-view"], &[]),
    model("monotonic-atomic-view", &[], &["read-committed"], &[]),
    model("monotonic-snapshot-read", &["PL-MSR"], &["read-committed"], &[]),
    model("monotonic-view", &["PL-2L"], &["read-committed"], &[]),
    model("parallel-snapshot-isolation", &[], &["causal-cerone", "rola"], &["G-single"]),
    model("prefix", &[], &["causal-cerone"], &[]),
    model("read-atomic", &[], &["monotonic-atomic-view"], &["internal", "future-read"]),
    model("read-committed", &["PL-2"], &["read-uncommitted"], &["G1a", "G1b", "G1c"]),
    model("read-uncommitted", &["PL-1"], &[], &["G0", "cyclic-versions", "duplicate-elements"]),
    model(
        "repeatable-read",
        &["PL-2.99"],
        &["cursor-stability", "monotonic-atomic-view"],
        &["G2-item", "lost-update"],
    ),
    model("rola", &["ROLA"], &["read-atomic"], &["lost-update"]),
    model(
        "serializable",
        &["PL-3", "conflict-serializable"],
        &["repeatable-read", "snapshot-isolation", "update-serializable"],
        &["G2-item"],
    ),
    model(
        "snapshot-isolation",
        &["PL-SI"],
        &[
            "forward-consistent-view",
            "monotonic-snapshot-read",
            "parallel-snapshot-isolation",
            "prefix",
        ],
        &["G-nonadjacent"],
    ),
    model(
        "strict-serializable",
        &["PL-SS", "strong-serializable"],
        &["strong-session-serializable", "strong-snapshot-isolation"],
        &["G2-item-realtime"],
    ),
    model(
        "strong-read-committed",
        &["strong-PL-2"],
        &["strong-read-uncommitted", "strong-session-read-committed"],
        &["G1c-realtime"],
    ),
    model(
        "strong-read-uncommitted",
        &["strong-PL-1"],
        &["strong-session-read-uncommitted"],
        &["G0-realtime"],
    ),
    model(
        "strong-session-read-committed",
        &["strong-session-PL-2"],
        &["read-committed", "strong-session-read-uncommitted"],
        &["G1c-process"],
    ),
    model(
        "strong-session-read-uncommitted",
        &["strong-session-PL-1"],
        &["read-uncommitted"],
        &["G0-process"],
    ),
    model(
        "strong-session-serializable",
        &[],
        &["serializable", "strong-session-snapshot-isolation"],
        &["G2-item-process"],
    ),
    model(
        "strong-session-snapshot-isolation",
        &[],
        &["snapshot-isolation", "strong-session-read-committed"],
        &["G-nonadjacent-process"],
    ),
    model(
        "strong-snapshot-isolation",
        &[],
        &["strong-read-committed", "strong-session-snapshot-isolation"],
        &["G-nonadjacent-realtime"],
    ),
    model("update-serializable", &["PL-3U"], &["forward-consistent-view"], &[]),
];

/// The anomalies of which each anomaly is a special case.
const IMPLIED: &[(&str, &[&str])] = &[
    ("G0", &["G1c", "G0-process"]),
    ("G0-process", &["G1c-process", "G0-realtime"]),
    ("G0-realtime", &["G1c-realtime"]),
    ("G1c", &["G1c-process"]),
    ("G1c-process", &["G1c-realtime"]),
    ("G-single", &["G-nonadjacent", "G-single-process"]),
    ("G-single-process", &["G-nonadjacent-process", "G-single-realtime"]),
    ("G-single-realtime", &["G-nonadjacent-realtime"]),
    ("G-nonadjacent", &["G2-item", "G-nonadjacent-process"]),
    ("G-nonadjacent-process", &["G2-item-process", "G-nonadjacent-realtime"]),
    ("G-nonadjacent-realtime", &["G2-item-realtime"]),
    ("G2-item", &["G2-item-process"]),
    ("G2-item-process", &["G2-item-realtime"]),
    ("dirty-update", &["G1a"]),
    ("future-read", &["G1c"]),
    ("incompatible-order", &["G1a"]),
    ("lost-update", &["G2-item"]),
    ("unwritten-read", &["G1a"]),
];

/// The model with this name or alias.
pub fn find_model(name: &str) -> Option<&'static ConsistencyModel> {
    MODELS.iter().find(|model| model.name == name || model.aliases.contains(&name))
}

/// The names of all models.
pub fn model_names() -> Vec<&'static str> {
    MODELS.iter().map(|model| model.name).collect()
}

/// The given anomalies and all those that they imply.
pub fn implied_anomalies<'a>(anomalies: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    closure(anomalies, |anomaly| {
        IMPLIED.iter().find(|(name, _)| *name == anomaly).map_or(&[][..], |(_, implied)| implied)
    })
}

/// The models that these anomalies violate.
pub fn broken_models<'a>(anomalies: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'static str> {
    let anomalies = implied_anomalies(anomalies);
    let forbids =
        |model: &ConsistencyModel| model.forbids.iter().any(|name| anomalies.contains(name));
    let breaks = |model: &&ConsistencyModel| {
        weaker_models(model.name).iter().any(|name| find_model(name).is_some_and(forbids))
    };
    MODELS.iter().filter(breaks).map(|model| model.name).collect()
}

/// The violated models none of whose weaker models is violated.
pub fn weakest_models<'a>(broken: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    let explained = |name: &str| {
        weaker_models(name).iter().any(|other| *other != name && broken.contains(other))
    };
    broken.iter().copied().filter(|name| !explained(name)).collect()
}

/// A model and all weaker ones.
fn weaker_models(name: &str) -> BTreeSet<&str> {
    closure([name], |name| find_model(name).map_or(&[][..], |model| model.weaker))
}

fn closure<'a>(
    begin: impl IntoIterator<Item = &'a str>,
    next: impl Fn(&str) -> &'static [&'static str],
) -> BTreeSet<&'a str> {
    let mut open: Vec<&str> = begin.into_iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if seen.insert(name) {
            open.extend(next(name));
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::{
        IMPLIED, MODELS, broken_models, find_model, model_names, weaker_models, weakest_models,
    };

    fn weakest_broken(anomalies: &[&str]) -> String {
        let broken = broken_models(anomalies.iter().copied());
        Vec::from_iter(weakest_models(&broken)).join(" ")
    }

    #[test]
    fn models_are_sorted_and_every_name_in_the_tables_exists() {
        assert!(model_names().is_sorted());
        for model in MODELS {
            assert!(model.weaker.iter().all(|name| find_model(name).is_some()), "{}", model.name);
            assert!(
                model.aliases.iter().all(|alias| find_model(alias).unwrap().name == model.name)
            );
            for other in weaker_models(model.name).into_iter().filter(|other| *other != model.name)
            {
                assert!(!weaker_models(other).contains(model.name), "{} and {other}", model.name);
            }
        }
        assert!(IMPLIED.is_sorted_by_key(|(name, _)| !name.starts_with('G')));
    }

    #[test]
    fn strict_serializability_is_the_strongest_model() {
        assert_eq!(weaker_models("strict-serializable").len(), MODELS.len());
    }

    #[test]
    fn an_anomaly_violates_the_weakest_model_that_forbids_it() {
        let cases = [
            ("G0", "read-uncommitted"),
            ("G1a", "read-committed"),
            ("G1c", "read-committed"),
            ("internal", "read-atomic"),
            ("future-read", "read-committed"),
            ("lost-update", "cursor-stability rola"),
            ("G-single", "consistent-view parallel-snapshot-isolation repeatable-read"),
            ("G-nonadjacent", "repeatable-read snapshot-isolation"),
            ("G2-item", "repeatable-read"),
            ("G0-process", "strong-session-read-uncommitted"),
            ("G-single-realtime", "strong-snapshot-isolation"),
            ("G2-item-process", "strong-session-serializable"),
            ("G2-item-realtime", "strict-serializable"),
        ];
        for (anomaly, models) in cases {
            assert_eq!(weakest_broken(&[anomaly]), models, "{anomaly}");
        }
    }
}
