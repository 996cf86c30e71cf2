//! Decides lists and texts that are appended to and read whole; a text may also be replaced by a
//! put.
//!
//! A read returns a put, or the initial state, followed by appends. The states that follow one put
//! are prefixes of one another: a *generation*, identified by the text of its put, which is put
//! once. Its longest read gives its appends in order. So an observed append is a compare-and-set
//! from the state before it, a put is a write, and an unobserved append is a write of a state that
//! is never read: wherever it stood, the next state that is read begins with a put. Together they
//! are a register of distinct values ([`super::register`]).
//!
//! Equal appends are told apart by trying every assignment: there is an order iff there is one for
//! some assignment of appends to positions. With too many assignments the monitor declines. It also
//! declines if one text is a prefix of another, because then text can be split in several ways. If
//! none is, the greatest text that does not exceed the rest is the only one that the rest can begin
//! with.

use std::collections::BTreeMap;

use super::register::{Block, are_legal};
use super::view::{OpInterval, PrefixView, event_instant};
use crate::history::Value;
use crate::linear::breadth::PrefixStates;
use crate::model::Response;

/// The most assignments of equal appends to positions.
const MAX_ASSIGNMENTS: usize = 64;

/// The most blocks to visit for the states between events.
const MAX_BLOCK_VISITS: usize = 1 << 21;

/// A write; its block is its position plus one.
struct AppendChange<'a> {
    /// Its position among the operations of the view.
    place: usize,
    value: &'a Value,
    puts: bool,
    span: OpInterval,
}

struct AppendRead<'a> {
    place: usize,
    value: &'a Value,
    span: OpInterval,
}

#[derive(Default)]
struct AppendOps<'a> {
    changes: Vec<AppendChange<'a>>,
    reads: Vec<AppendRead<'a>>,
}

/// The longest read of an object.
#[derive(Clone, Copy)]
enum LongestRead<'a> {
    Items(&'a [Value]),
    Text(&'a str),
}

/// States that follow one another by appends.
struct Generation<'a> {
    /// The block of its put, or 0.
    root: usize,
    longest: LongestRead<'a>,
    /// The appended values, by number, and the length after each; the length of the root comes
    /// first.
    appended: Vec<usize>,
    lengths: Vec<usize>,
}

/// The n-th append of a generation, from 1.
type Node = (usize, usize);

/// What all reads show.
struct AppendHistory<'a> {
    steps: AppendOps<'a>,
    key: &'a Value,
    generations: Vec<Generation<'a>>,
    /// The generation of each read, and how many appends it shows.
    seen: Vec<Node>,
    /// For each observed value: the assignments of its appends to blocks.
    ways: Vec<Vec<Vec<(Node, usize)>>>,
}

/// Why there is no such history.
enum AppendError {
    /// The monitor does not apply.
    Unknown,
    /// No writes lead to these reads.
    Impossible,
}

/// Whether the operations on a list are legal.
pub(super) fn is_list_legal(view: &PrefixView<'_>) -> Option<bool> {
    is_legal(list_growth(view))
}

/// Whether the operations on one key's text are legal; undecided with functions other than get, put
/// and append.
pub(super) fn is_text_legal(view: &PrefixView<'_>) -> Option<bool> {
    is_legal(text_growth(view))
}

fn is_legal(growth: Result<AppendHistory<'_>, AppendError>) -> Option<bool> {
    match growth {
        Ok(growth) => Some(growth.all_registers().any(|(mut blocks, _)| are_legal(&mut blocks))),
        Err(AppendError::Impossible) => Some(false),
        Err(AppendError::Unknown) => None,
    }
}

/// The states before each of these moments, where the monitor can tell; `None` if it does not
/// apply. The operations must be legal.
pub(super) fn prefix_states_before(
    view: &PrefixView<'_>,
    moments: &[u64],
) -> Option<Vec<(u64, PrefixStates)>> {
    let growth = match view.model {
        "append-list" => list_growth(view).ok()?,
        "kv" => text_growth(view).ok()?,
        _ => return None,
    };
    let mut effort = MAX_BLOCK_VISITS;
    let prefix_states =
        |at: &u64| growth.prefix_states(*at, &mut effort).map(|prefix_states| (*at, prefix_states));
    let mut prefix_states_before: Vec<_> = moments.iter().rev().filter_map(prefix_states).collect();
    prefix_states_before.reverse();
    Some(prefix_states_before)
}

fn list_growth<'a>(view: &PrefixView<'a>) -> Result<AppendHistory<'a>, AppendError> {
    let Value::List(start) = view.start else { return Err(AppendError::Unknown) };
    let steps = AppendOps::of(view, Some).ok_or(AppendError::Unknown)?;
    if steps.changes.iter().any(|change| change.puts) {
        return Err(AppendError::Unknown);
    }
    let values = AppendedValues::of(&steps.changes, |change| Some(change.value))
        .ok_or(AppendError::Unknown)?;
    let shown = |read: &AppendRead<'a>| match read.value {
        // A list that was never created reads as nil.
        Value::Nil => Ok(&[][..]),
        Value::List(items) => Ok(&items[..]),
        _ => Err(AppendError::Impossible),
    };
    let reads: Vec<&[Value]> = steps.reads.iter().map(shown).collect::<Result<_, _>>()?;
    let longest = reads.iter().copied().max_by_key(|items| items.len()).unwrap_or(start);
    let grown = longest.strip_prefix(&start[..]).ok_or(AppendError::Impossible)?;
    let number = |item| values.number.get(item).copied().ok_or(AppendError::Impossible);
    let generation = Generation {
        root: 0,
        longest: LongestRead::Items(longest),
        appended: grown.iter().map(number).collect::<Result<_, _>>()?,
        lengths: (start.len()..=longest.len()).collect(),
    };
    let beginning = |items: &&[Value]| longest.starts_with(items) && items.len() >= start.len();
    if !reads.iter().all(beginning) {
        return Err(AppendError::Impossible);
    }
    let seen = reads.iter().map(|items| (0, items.len() - start.len())).collect();
    AppendHistory::new(steps, &Value::Nil, vec![generation], seen, &values.blocks)
}

fn text_growth<'a>(view: &PrefixView<'a>) -> Result<AppendHistory<'a>, AppendError> {
    let first = view.ops().next().and_then(|(op, _)| op.call.input.as_pair());
    let (key, _) = first.ok_or(AppendError::Unknown)?;
    let start = start_text(view.start, key).ok_or(AppendError::Unknown)?;
    let of_key = |value: &'a Value| value.as_pair().filter(|(of, _)| *of == key).map(|(_, it)| it);
    let steps = AppendOps::of(view, of_key).ok_or(AppendError::Unknown)?;
    let texts = AppendedTexts::of(&steps.changes).ok_or(AppendError::Unknown)?;
    let shown = |read: &AppendRead<'a>| match read.value {
        Value::Nil => Ok(""),
        Value::Str(text) => Ok(text.as_str()),
        _ => Err(AppendError::Impossible),
    };
    let reads: Vec<&str> = steps.reads.iter().map(shown).collect::<Result<_, _>>()?;
    let mut longest: BTreeMap<usize, (&str, &str)> = BTreeMap::from([(0, (start, start))]);
    let mut roots = Vec::with_capacity(reads.len());
    for text in &reads {
        let (root, base) = texts.root_of(text, start)?;
        let (_, held) = longest.entry(root).or_insert((base, text));
        if held.len() < text.len() {
            *held = text;
        }
        roots.push(root);
    }
    let mut generations = Vec::with_capacity(longest.len());
    for (root, (base, text)) in &longest {
        generations.push(texts.make_generation(*root, base, text)?);
    }
    let mut seen = Vec::with_capacity(reads.len());
    for (text, root) in reads.iter().zip(&roots) {
        let number = longest.range(..root).count();
        let beginning = longest[root].1.starts_with(text);
        let after = generations[number].lengths.binary_search(&text.len());
        match after {
            Ok(appended) if beginning => seen.push((number, appended)),
            _ => return Err(AppendError::Impossible),
        }
    }
    AppendHistory::new(steps, key, generations, seen, &texts.appended.blocks)
}

/// The initial text of the only key; empty if there is none.
fn start_text<'a>(start: &'a Value, key: &Value) -> Option<&'a str> {
    let Value::List(entries) = start else { return None };
    match entries.iter().map(Value::as_pair).collect::<Option<Vec<_>>>()?[..] {
        [] => Some(""),
        [(held, Value::Str(text))] if held == key && !text.is_empty() => Some(text.as_str()),
        _ => None,
    }
}

/// Distinct appended values, numbered, and the blocks of each in order of invocation.
struct AppendedValues<K> {
    number: BTreeMap<K, usize>,
    blocks: Vec<Vec<usize>>,
}

impl<'c, K: Ord> AppendedValues<K> {
    fn of<'a: 'c>(
        changes: &'c [AppendChange<'a>],
        value: impl Fn(&'c AppendChange<'a>) -> Option<K>,
    ) -> Option<Self> {
        let (mut number, mut blocks) = (BTreeMap::new(), Vec::<Vec<usize>>::new());
        for (change, block) in changes.iter().zip(1..).filter(|(change, _)| !change.puts) {
            let next = number.len();
            let number = *number.entry(value(change)?).or_insert(next);
            blocks.resize(blocks.len().max(number + 1), Vec::new());
            blocks[number].push(block);
        }
        Some(Self { number, blocks })
    }
}

/// The texts that were put and appended.
struct AppendedTexts<'a> {
    /// The block of each put, and when the first put returned.
    put: BTreeMap<&'a str, usize>,
    appended: AppendedValues<&'a str>,
    /// Texts that were both put and appended, the append perhaps before any put returned.
    doubtful: Vec<&'a str>,
}

impl<'a> AppendedTexts<'a> {
    /// Undecided if a text is put twice, is empty, or is a prefix of another.
    fn of(changes: &[AppendChange<'a>]) -> Option<Self> {
        let text = |change: &AppendChange<'a>| match change.value {
            Value::Str(text) if !text.is_empty() => Some(text.as_str()),
            _ => None,
        };
        let appended = AppendedValues::of(changes, text)?;
        let mut put = BTreeMap::new();
        for (change, block) in changes.iter().zip(1..).filter(|(change, _)| change.puts) {
            if put.insert(text(change)?, block).is_some() {
                return None;
            }
        }
        let over = changes
            .iter()
            .filter(|change| change.puts)
            .map(|change| change.span.latest_end())
            .min();
        let early = |block: &usize| over.is_none_or(|over| changes[block - 1].span.begin < over);
        let both = appended.number.iter().filter(|(text, _)| put.contains_key(*text));
        let doubtful = both.filter(|(_, number)| appended.blocks[**number].iter().any(early));
        let doubtful = doubtful.map(|(text, _)| *text).collect();
        let mut all: Vec<&str> = put.keys().chain(appended.number.keys()).copied().collect();
        all.sort_unstable();
        all.dedup();
        let clear = all.windows(2).all(|pair| !pair[1].starts_with(pair[0]));
        clear.then_some(Self { put, appended, doubtful })
    }

    /// The put, or 0, that made the generation of a text, and how the generation began.
    fn root_of(&self, text: &'a str, start: &'a str) -> Result<(usize, &'a str), AppendError> {
        let first = self.put.range(..=text).next_back();
        let put = first.filter(|(put, _)| text.starts_with(**put));
        let grown = text.starts_with(start);
        match put {
            // It may be an appended initial text, or have been put once more.
            Some(_) if grown && !start.is_empty() => Err(AppendError::Unknown),
            Some((put, _)) if start.is_empty() && self.doubtful.contains(put) => {
                Err(AppendError::Unknown)
            }
            Some((put, block)) => Ok((*block, put)),
            None if grown => Ok((0, start)),
            None => Err(AppendError::Impossible),
        }
    }

    fn make_generation(
        &self,
        root: usize,
        base: &str,
        text: &'a str,
    ) -> Result<Generation<'a>, AppendError> {
        let (mut rest, mut appended, mut lengths) = (&text[base.len()..], vec![], vec![base.len()]);
        while !rest.is_empty() {
            let part = self.appended.number.range(..=rest).next_back();
            let (part, number) = part.ok_or(AppendError::Impossible)?;
            rest = rest.strip_prefix(part).ok_or(AppendError::Impossible)?;
            appended.push(*number);
            lengths.push(text.len() - rest.len());
        }
        Ok(Generation { root, longest: LongestRead::Text(text), appended, lengths })
    }
}

impl<'a> AppendOps<'a> {
    /// The writes and completed reads of a view; undecided if there is anything else.
    fn of(view: &PrefixView<'a>, of_key: impl Fn(&'a Value) -> Option<&'a Value>) -> Option<Self> {
        let mut steps = Self::default();
        for (place, (op, span)) in view.ops().enumerate() {
            let puts = matches!(op.call.f.as_str(), "put" | "write");
            match (op.call.f.as_str(), &op.call.response) {
                ("append" | "put" | "write", Response::Output(_) | Response::Unknown) => {
                    let value = of_key(&op.call.input)?;
                    steps.changes.push(AppendChange { place, value, puts, span });
                }
                ("get" | "read", Response::Output(output)) => {
                    let value = of_key(output)?;
                    if span.end.is_some() {
                        steps.reads.push(AppendRead { place, value, span });
                    }
                }
                ("get" | "read", Response::Unknown) => {}
                _ => return None,
            }
        }
        Some(steps)
    }
}

impl<'a> AppendHistory<'a> {
    fn new(
        steps: AppendOps<'a>,
        key: &'a Value,
        generations: Vec<Generation<'a>>,
        seen: Vec<Node>,
        blocks: &[Vec<usize>],
    ) -> Result<Self, AppendError> {
        let mut nodes = vec![Vec::new(); blocks.len()];
        for (number, generation) in generations.iter().enumerate() {
            for (value, place) in generation.appended.iter().zip(1..) {
                nodes[*value].push((number, place));
            }
        }
        let mut growth = Self { steps, key, generations, seen, ways: Vec::new() };
        let mut ways = 1_usize;
        for (nodes, blocks) in nodes.iter().zip(blocks).filter(|(nodes, _)| !nodes.is_empty()) {
            let all = growth.assignments(nodes, blocks)?;
            ways = ways.saturating_mul(all.len());
            if ways > MAX_ASSIGNMENTS {
                return Err(AppendError::Unknown);
            }
            growth.ways.push(all);
        }
        if ways == 0 { Err(AppendError::Impossible) } else { Ok(growth) }
    }

    /// Every assignment of equal appends to nodes.
    fn assignments(
        &self,
        nodes: &[Node],
        blocks: &[usize],
    ) -> Result<Vec<Vec<(Node, usize)>>, AppendError> {
        let mut ways = vec![Vec::new()];
        for node in nodes {
            let mut longer = Vec::new();
            for way in &ways {
                for block in blocks.iter().filter(|block| self.may_be(*node, **block, way)) {
                    longer.push([&way[..], &[(*node, *block)]].concat());
                }
            }
            if longer.len() > MAX_ASSIGNMENTS {
                return Err(AppendError::Unknown);
            }
            ways = longer;
        }
        Ok(ways)
    }

    /// Whether a block is unassigned, and nothing that precedes it in this generation begins after
    /// its end.
    fn may_be(&self, (number, _): Node, block: usize, way: &[(Node, usize)]) -> bool {
        let span = |block: usize| self.steps.changes[block - 1].span;
        let after = |before: usize| before == 0 || span(before).begin < span(block).latest_end();
        let generation = &self.generations[number];
        after(generation.root)
            && way
                .iter()
                .all(|((other, _), named)| *named != block && (*other != number || after(*named)))
    }

    /// The register that each assignment makes of the object, and the blocks of each generation.
    fn all_registers(&self) -> impl Iterator<Item = (Vec<Block>, Vec<Vec<usize>>)> {
        let all: usize = self.ways.iter().map(Vec::len).product();
        (0..all).map(|way| self.make_register(way))
    }

    fn make_register(&self, mut way: usize) -> (Vec<Block>, Vec<Vec<usize>>) {
        let named = |generation: &Generation<'_>| {
            let mut names = vec![0; generation.lengths.len()];
            names[0] = generation.root;
            names
        };
        let mut names: Vec<Vec<usize>> = self.generations.iter().map(named).collect();
        for ways in &self.ways {
            for ((number, place), block) in &ways[way % ways.len()] {
                names[*number][*place] = *block;
            }
            way /= ways.len();
        }
        let changed = self.steps.changes.iter().map(|change| Block::new(change.span));
        let mut blocks: Vec<Block> = std::iter::once(Block::initial()).chain(changed).collect();
        for pair in names.iter().flat_map(|names| names.windows(2)) {
            blocks[pair[1]].expected = pair[0];
        }
        for ((number, place), read) in self.seen.iter().zip(&self.steps.reads) {
            blocks[names[*number][*place]].add_read(read.span.begin, read.span.latest_end());
        }
        (blocks, names)
    }

    /// The states right before an invocation: what could have been read there. Every open operation
    /// may have taken effect. `None` if the last write may be one whose state is unknown.
    fn prefix_states(&self, moment: u64, effort: &mut usize) -> Option<PrefixStates> {
        let at = event_instant(moment) - 1;
        let changes = &self.steps.changes;
        let over = changes.iter().filter(|change| change.span.latest_end() < at);
        let latest = over.map(|change| change.span.begin).max().unwrap_or(0);
        let may_be_last = |change: &AppendChange<'_>| {
            change.span.begin < at && change.span.latest_end() >= latest
        };
        let last = changes.iter().zip(1..).filter(|(change, _)| may_be_last(change));
        let last: Vec<usize> =
            (latest == 0).then_some(0).into_iter().chain(last.map(|(_, block)| block)).collect();
        let mut states = Vec::new();
        for (blocks, names) in self.all_registers() {
            for block in &last {
                *effort = effort.checked_sub(blocks.len())?;
                let mut blocks = blocks.clone();
                blocks[*block].add_read(at, at);
                if are_legal(&mut blocks) {
                    states.push(self.state_of_block(*block, &names)?);
                }
            }
        }
        states.sort();
        states.dedup();
        let open = |span: &OpInterval| span.begin < at && span.latest_end() > at;
        let changes = changes.iter().map(|change| (change.place, change.span));
        let reads = self.steps.reads.iter().map(|read| (read.place, read.span));
        let open = changes.chain(reads).filter(|(_, span)| open(span)).map(|(place, _)| place);
        Some(PrefixStates { states, certain: Vec::new(), possible: open.collect() })
    }

    /// The state of a block, if it is known.
    fn state_of_block(&self, block: usize, names: &[Vec<usize>]) -> Option<Value> {
        let node = |names: &Vec<usize>| names.iter().position(|name| *name == block);
        let found = names.iter().zip(&self.generations).find_map(|(names, generation)| {
            Some((generation.longest, generation.lengths[node(names)?]))
        });
        let alone =
            |text: &str| Value::from(vec![Value::pair(self.key.clone(), Value::from(text))]);
        match found {
            Some((LongestRead::Items(items), length)) => Some(Value::List(items[..length].into())),
            Some((LongestRead::Text(_), 0)) => Some(Value::List([].into())),
            Some((LongestRead::Text(text), length)) => Some(alone(&text[..length])),
            None => match self.steps.changes.get(block.checked_sub(1)?)? {
                AppendChange { puts: true, value: Value::Str(text), .. } => {
                    Some(alone(text.as_str()))
                }
                _ => None,
            },
        }
    }
}
