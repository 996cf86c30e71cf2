//! Minimizes the configuration of a failing run: fewer clients, keys and operations, and defaults
//! instead of what was drawn. Pure: the caller runs each candidate.

use crate::run::options::{OptionValues, option_text, parse_value};
use records::config::{Config, OPTIONS, TestOption};

/// The numbers that are reduced, in this order, and the smallest value of each.
const SIZES: [(&str, u64); 3] = [("concurrency", 1), ("keys", 1), ("rate", 5)];
/// Options that say what is tested or how long, or that a schedule takes the place of. They are
/// kept as they are.
const KEPT: [&str; 15] = [
    "bin",
    "capture",
    "duration",
    "fail-fast",
    "interval",
    "nemesis",
    "net",
    "nodes",
    "pace",
    "schedule",
    "seed",
    "system",
    "time-limit",
    "unsafe",
    "workload",
];

/// The smallest configuration that failed, given one that failed. `fails` runs a configuration;
/// `None` ends the search.
pub(super) fn shrink_config(
    start: Config,
    fails: &mut dyn FnMut(&Config) -> Option<bool>,
) -> Config {
    let mut best = start;
    // If the time ends during a step, the best configuration so far is the result.
    let _ended: Option<()> = reduce_sizes(&mut best, fails).and_then(|()| reset(&mut best, fails));
    best
}

/// Halves each number as long as the run still fails.
fn reduce_sizes(best: &mut Config, fails: &mut dyn FnMut(&Config) -> Option<bool>) -> Option<()> {
    for (name, least) in SIZES {
        let Some(option) = find_option(name) else { continue };
        while let Some(size) =
            option_text(option, best).parse::<u64>().ok().filter(|it| *it > least)
        {
            let Some(smaller) = with_value(best, option, &(size / 2).max(least).to_string()) else {
                break;
            };
            if !fails(&smaller)? {
                break;
            }
            *best = smaller;
        }
    }
    Some(())
}

/// Gives each option its default that fails with it, too.
fn reset(best: &mut Config, fails: &mut dyn FnMut(&Config) -> Option<bool>) -> Option<()> {
    let sizes = SIZES.map(|(name, _)| name);
    let is_kept =
        |option: &&TestOption| KEPT.contains(&option.name) || sizes.contains(&option.name);
    let defaults = OptionValues::defaults();
    for option in OPTIONS.iter().filter(|option| !is_kept(option)) {
        let mut values = OptionValues::from_config(best);
        values.copy_from(&defaults, option);
        let Ok(plain) = values.into_config(best.seed) else { continue };
        if plain != *best && fails(&plain)? {
            *best = plain;
        }
    }
    Some(())
}

fn find_option(name: &str) -> Option<&'static TestOption> {
    OPTIONS.iter().find(|option| option.name == name)
}

fn with_value(config: &Config, option: &TestOption, text: &str) -> Option<Config> {
    let mut values = OptionValues::from_config(config);
    values.set(option, parse_value(option, text).ok()?);
    values.into_config(config.seed).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::sample::sample_config;

    fn sample_start() -> Config {
        Config {
            concurrency: 30,
            rate: 600,
            read: "lease".to_owned(),
            node_args: vec!["--groups".to_owned(), "3".to_owned()],
            ..sample_config()
        }
    }

    #[test]
    fn only_what_is_needed_stays() {
        let mut tries = 0;
        let small = shrink_config(sample_start(), &mut |config| {
            tries += 1;
            Some(config.concurrency >= 6 && config.read == "lease")
        });
        assert_eq!((small.concurrency, small.rate, small.read.as_str()), (7, 5, "lease"));
        assert!(small.node_args.is_empty() && tries < 20, "{tries}");
        assert_eq!(
            (&small.bugs, &small.nemesis),
            (&sample_config().bugs, &sample_config().nemesis)
        );
    }

    #[test]
    fn an_end_of_the_search_leaves_the_last_that_failed() {
        let mut tries = 0;
        let small = shrink_config(sample_start(), &mut |_| {
            tries += 1;
            (tries <= 2).then_some(true)
        });
        assert_eq!((small.concurrency, small.rate), (7, 600));
        assert_eq!(shrink_config(sample_start(), &mut |_| Some(false)), sample_start());
    }
}
