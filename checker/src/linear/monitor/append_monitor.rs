//! Decides lists and texts that grow by appends and are read whole; texts may be put anew, too.
//!
//! What a read shows was put, or was there at the start, and was appended to since. States that one put led to follow
//! one another, each the beginning of the next: a *generation*, told by the text of its put, which is put but once. Its
//! longest read says what was appended to it and in which order. So an append that was seen is a compare-and-set from
//! the state before it, a put is a write, and an append that nobody saw is a write of a state that nobody read:
//! wherever it stood, the next state that was read begins with a put. All of it is a register of distinct values
//! ([`super::register`]).
//!
//! Equal appends are told apart by trying: there is an order iff there is one for some way to say which append was seen
//! where. If there are too many ways, the monitor declines. It does so as well if one text is the beginning of another,
//! for then text can be taken apart in more than one way. If none is, of all texts the greatest that is no greater than
//! what is left is the only one that this can begin with.

use std::collections::BTreeMap;

use super::register::{Block, are_legal};
use super::view::{Span, View, instant};
use crate::history::Value;
use crate::linear::breadth::Standing;
use crate::model::Seen;

/// The most ways to tell equal appends apart.
const WAYS: usize = 64;

/// Blocks gone through, at most, to find out how things stood.
const EFFORT: usize = 1 << 21;

/// A change; its block is one later.
struct Change<'a> {
    /// Where it is among the operations of the view.
    place: usize,
    value: &'a Value,
    puts: bool,
    span: Span,
}

struct Read<'a> {
    place: usize,
    value: &'a Value,
    span: Span,
}

#[derive(Default)]
struct Steps<'a> {
    changes: Vec<Change<'a>>,
    reads: Vec<Read<'a>>,
}

/// What was seen of an object.
#[derive(Clone, Copy)]
enum Shown<'a> {
    Items(&'a [Value]),
    Text(&'a str),
}

/// States that follow one another by appends.
struct Generation<'a> {
    /// The block of its put, or 0.
    root: usize,
    longest: Shown<'a>,
    /// What was appended, by number, and how long all was after that; the root's length first.
    appended: Vec<usize>,
    lengths: Vec<usize>,
}

/// The n-th append to a generation, the first being 1.
type Node = (usize, usize);

/// What all reads say.
struct Growth<'a> {
    steps: Steps<'a>,
    key: &'a Value,
    generations: Vec<Generation<'a>>,
    /// The generation of each read, and how many appends it shows.
    seen: Vec<Node>,
    /// For each value that was seen appended: the ways to say by which block.
    ways: Vec<Vec<Vec<(Node, usize)>>>,
}

/// Why there is no growth to speak of.
enum Stop {
    /// The monitor does not know.
    Unknown,
    /// No changes make what was read.
    Impossible,
}

/// Whether the operations on a list are legal.
pub(super) fn list(view: &View<'_>) -> Option<bool> {
    legal(list_growth(view))
}

/// Whether the operations on one key's text are legal; unknown with other functions than get, put and append.
pub(super) fn text(view: &View<'_>) -> Option<bool> {
    legal(text_growth(view))
}

fn legal(growth: Result<Growth<'_>, Stop>) -> Option<bool> {
    match growth {
        Ok(growth) => Some(growth.registers().any(|(mut blocks, _)| are_legal(&mut blocks))),
        Err(Stop::Impossible) => Some(false),
        Err(Stop::Unknown) => None,
    }
}

/// How things stood before each of these moments, where that can be said; nothing, where no monitor knows. The
/// operations are legal.
pub(super) fn standings(view: &View<'_>, moments: &[u64]) -> Option<Vec<(u64, Standing)>> {
    let growth = match view.model {
        "append-list" => list_growth(view).ok()?,
        "kv" => text_growth(view).ok()?,
        _ => return None,
    };
    let mut effort = EFFORT;
    let standing = |at: &u64| growth.standing(*at, &mut effort).map(|standing| (*at, standing));
    let mut standings: Vec<_> = moments.iter().rev().filter_map(standing).collect();
    standings.reverse();
    Some(standings)
}

fn list_growth<'a>(view: &View<'a>) -> Result<Growth<'a>, Stop> {
    let Value::List(start) = view.start else { return Err(Stop::Unknown) };
    let steps = Steps::of(view, Some).ok_or(Stop::Unknown)?;
    if steps.changes.iter().any(|change| change.puts) {
        return Err(Stop::Unknown);
    }
    let values = Values::of(&steps.changes, |change| Some(change.value)).ok_or(Stop::Unknown)?;
    let shown = |read: &Read<'a>| match read.value {
        // A list that was never there reads as nil.
        Value::Nil => Ok(&[][..]),
        Value::List(items) => Ok(&items[..]),
        _ => Err(Stop::Impossible),
    };
    let reads: Vec<&[Value]> = steps.reads.iter().map(shown).collect::<Result<_, _>>()?;
    let longest = reads.iter().copied().max_by_key(|items| items.len()).unwrap_or(start);
    let grown = longest.strip_prefix(&start[..]).ok_or(Stop::Impossible)?;
    let number = |item| values.number.get(item).copied().ok_or(Stop::Impossible);
    let generation = Generation {
        root: 0,
        longest: Shown::Items(longest),
        appended: grown.iter().map(number).collect::<Result<_, _>>()?,
        lengths: (start.len()..=longest.len()).collect(),
    };
    let beginning = |items: &&[Value]| longest.starts_with(items) && items.len() >= start.len();
    if !reads.iter().all(beginning) {
        return Err(Stop::Impossible);
    }
    let seen = reads.iter().map(|items| (0, items.len() - start.len())).collect();
    Growth::new(steps, &Value::Nil, vec![generation], seen, &values.blocks)
}

fn text_growth<'a>(view: &View<'a>) -> Result<Growth<'a>, Stop> {
    let first = view.ops().next().and_then(|(op, _)| op.call.input.as_pair());
    let (key, _) = first.ok_or(Stop::Unknown)?;
    let start = start_text(view.start, key).ok_or(Stop::Unknown)?;
    let of_key = |value: &'a Value| value.as_pair().filter(|(of, _)| *of == key).map(|(_, it)| it);
    let steps = Steps::of(view, of_key).ok_or(Stop::Unknown)?;
    let texts = Texts::of(&steps.changes).ok_or(Stop::Unknown)?;
    let shown = |read: &Read<'a>| match read.value {
        Value::Nil => Ok(""),
        Value::Str(text) => Ok(text.as_str()),
        _ => Err(Stop::Impossible),
    };
    let reads: Vec<&str> = steps.reads.iter().map(shown).collect::<Result<_, _>>()?;
    let mut longest: BTreeMap<usize, (&str, &str)> = BTreeMap::from([(0, (start, start))]);
    let mut roots = Vec::with_capacity(reads.len());
    for text in &reads {
        let (root, base) = texts.root(text, start)?;
        let (_, held) = longest.entry(root).or_insert((base, text));
        if held.len() < text.len() {
            *held = text;
        }
        roots.push(root);
    }
    let mut generations = Vec::with_capacity(longest.len());
    for (root, (base, text)) in &longest {
        generations.push(texts.generation(*root, base, text)?);
    }
    let mut seen = Vec::with_capacity(reads.len());
    for (text, root) in reads.iter().zip(&roots) {
        let number = longest.range(..root).count();
        let beginning = longest[root].1.starts_with(text);
        let after = generations[number].lengths.binary_search(&text.len());
        match after {
            Ok(appended) if beginning => seen.push((number, appended)),
            _ => return Err(Stop::Impossible),
        }
    }
    Growth::new(steps, key, generations, seen, &texts.appended.blocks)
}

/// The text of the only key at the start, empty if there is none.
fn start_text<'a>(start: &'a Value, key: &Value) -> Option<&'a str> {
    let Value::List(entries) = start else { return None };
    match entries.iter().map(Value::as_pair).collect::<Option<Vec<_>>>()?[..] {
        [] => Some(""),
        [(held, Value::Str(text))] if held == key && !text.is_empty() => Some(text.as_str()),
        _ => None,
    }
}

/// Distinct values that were appended, numbered, and the blocks of each in the order of their begins.
struct Values<K> {
    number: BTreeMap<K, usize>,
    blocks: Vec<Vec<usize>>,
}

impl<'c, K: Ord> Values<K> {
    fn of<'a: 'c>(
        changes: &'c [Change<'a>],
        value: impl Fn(&'c Change<'a>) -> Option<K>,
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
struct Texts<'a> {
    /// The block of each put, and when the first put of all was over.
    put: BTreeMap<&'a str, usize>,
    appended: Values<&'a str>,
    /// Texts that were both put and appended, the latter perhaps before any put was over.
    doubtful: Vec<&'a str>,
}

impl<'a> Texts<'a> {
    /// Unknown if a text is put twice, is empty, or is the beginning of another.
    fn of(changes: &[Change<'a>]) -> Option<Self> {
        let text = |change: &Change<'a>| match change.value {
            Value::Str(text) if !text.is_empty() => Some(text.as_str()),
            _ => None,
        };
        let appended = Values::of(changes, text)?;
        let mut put = BTreeMap::new();
        for (change, block) in changes.iter().zip(1..).filter(|(change, _)| change.puts) {
            if put.insert(text(change)?, block).is_some() {
                return None;
            }
        }
        let over =
            changes.iter().filter(|change| change.puts).map(|change| change.span.last()).min();
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

    /// Which put, or 0, made the generation that shows a text, and how that began.
    fn root(&self, text: &'a str, start: &'a str) -> Result<(usize, &'a str), Stop> {
        let first = self.put.range(..=text).next_back();
        let put = first.filter(|(put, _)| text.starts_with(**put));
        let grown = text.starts_with(start);
        match put {
            // It may have grown out of the start, or have been put once more.
            Some(_) if grown && !start.is_empty() => Err(Stop::Unknown),
            Some((put, _)) if start.is_empty() && self.doubtful.contains(put) => Err(Stop::Unknown),
            Some((put, block)) => Ok((*block, put)),
            None if grown => Ok((0, start)),
            None => Err(Stop::Impossible),
        }
    }

    fn generation(&self, root: usize, base: &str, text: &'a str) -> Result<Generation<'a>, Stop> {
        let (mut rest, mut appended, mut lengths) = (&text[base.len()..], vec![], vec![base.len()]);
        while !rest.is_empty() {
            let part = self.appended.number.range(..=rest).next_back();
            let (part, number) = part.ok_or(Stop::Impossible)?;
            rest = rest.strip_prefix(part).ok_or(Stop::Impossible)?;
            appended.push(*number);
            lengths.push(text.len() - rest.len());
        }
        Ok(Generation { root, longest: Shown::Text(text), appended, lengths })
    }
}

impl<'a> Steps<'a> {
    /// The changes and the answered reads of a view; unknown if there is anything else.
    fn of(view: &View<'a>, of_key: impl Fn(&'a Value) -> Option<&'a Value>) -> Option<Self> {
        let mut steps = Self::default();
        for (place, (op, span)) in view.ops().enumerate() {
            let puts = matches!(op.call.f.as_str(), "put" | "write");
            match (op.call.f.as_str(), &op.call.seen) {
                ("append" | "put" | "write", Seen::Output(_) | Seen::Nothing) => {
                    let value = of_key(&op.call.input)?;
                    steps.changes.push(Change { place, value, puts, span });
                }
                ("get" | "read", Seen::Output(output)) => {
                    let value = of_key(output)?;
                    if span.end.is_some() {
                        steps.reads.push(Read { place, value, span });
                    }
                }
                ("get" | "read", Seen::Nothing) => {}
                _ => return None,
            }
        }
        Some(steps)
    }
}

impl<'a> Growth<'a> {
    fn new(
        steps: Steps<'a>,
        key: &'a Value,
        generations: Vec<Generation<'a>>,
        seen: Vec<Node>,
        blocks: &[Vec<usize>],
    ) -> Result<Self, Stop> {
        let mut nodes = vec![Vec::new(); blocks.len()];
        for (number, generation) in generations.iter().enumerate() {
            for (value, place) in generation.appended.iter().zip(1..) {
                nodes[*value].push((number, place));
            }
        }
        let mut growth = Self { steps, key, generations, seen, ways: Vec::new() };
        let mut ways = 1_usize;
        for (nodes, blocks) in nodes.iter().zip(blocks).filter(|(nodes, _)| !nodes.is_empty()) {
            let all = growth.ways_to_name(nodes, blocks)?;
            ways = ways.saturating_mul(all.len());
            if ways > WAYS {
                return Err(Stop::Unknown);
            }
            growth.ways.push(all);
        }
        if ways == 0 { Err(Stop::Impossible) } else { Ok(growth) }
    }

    /// Every way to say which of some equal appends made which node.
    fn ways_to_name(
        &self,
        nodes: &[Node],
        blocks: &[usize],
    ) -> Result<Vec<Vec<(Node, usize)>>, Stop> {
        let mut ways = vec![Vec::new()];
        for node in nodes {
            let mut longer = Vec::new();
            for way in &ways {
                for block in blocks.iter().filter(|block| self.can_be(*node, **block, way)) {
                    longer.push([&way[..], &[(*node, *block)]].concat());
                }
            }
            if longer.len() > WAYS {
                return Err(Stop::Unknown);
            }
            ways = longer;
        }
        Ok(ways)
    }

    /// Whether a block is not named yet, and nothing that it comes after in this generation begins after its end.
    fn can_be(&self, (number, _): Node, block: usize, way: &[(Node, usize)]) -> bool {
        let span = |block: usize| self.steps.changes[block - 1].span;
        let after = |before: usize| before == 0 || span(before).begin < span(block).last();
        let generation = &self.generations[number];
        after(generation.root)
            && way
                .iter()
                .all(|((other, _), named)| *named != block && (*other != number || after(*named)))
    }

    /// The register that each way makes of the object, and the blocks of each generation.
    fn registers(&self) -> impl Iterator<Item = (Vec<Block>, Vec<Vec<usize>>)> {
        let all: usize = self.ways.iter().map(Vec::len).product();
        (0..all).map(|way| self.register(way))
    }

    fn register(&self, mut way: usize) -> (Vec<Block>, Vec<Vec<usize>>) {
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
        let mut blocks: Vec<Block> = std::iter::once(Block::start()).chain(changed).collect();
        for pair in names.iter().flat_map(|names| names.windows(2)) {
            blocks[pair[1]].expected = pair[0];
        }
        for ((number, place), read) in self.seen.iter().zip(&self.steps.reads) {
            blocks[names[*number][*place]].read(read.span.begin, read.span.last());
        }
        (blocks, names)
    }

    /// How things stood right before something began: what could have been read there. Whatever was open may have
    /// happened. Nothing is said where the last change may be one whose state nobody knows.
    fn standing(&self, moment: u64, effort: &mut usize) -> Option<Standing> {
        let at = instant(moment) - 1;
        let changes = &self.steps.changes;
        let over = changes.iter().filter(|change| change.span.last() < at);
        let latest = over.map(|change| change.span.begin).max().unwrap_or(0);
        let may_be_last =
            |change: &Change<'_>| change.span.begin < at && change.span.last() >= latest;
        let last = changes.iter().zip(1..).filter(|(change, _)| may_be_last(change));
        let last: Vec<usize> =
            (latest == 0).then_some(0).into_iter().chain(last.map(|(_, block)| block)).collect();
        let mut states = Vec::new();
        for (blocks, names) in self.registers() {
            for block in &last {
                *effort = effort.checked_sub(blocks.len())?;
                let mut blocks = blocks.clone();
                blocks[*block].read(at, at);
                if are_legal(&mut blocks) {
                    states.push(self.state(*block, &names)?);
                }
            }
        }
        states.sort();
        states.dedup();
        let open = |span: &Span| span.begin < at && span.last() > at;
        let changes = changes.iter().map(|change| (change.place, change.span));
        let reads = self.steps.reads.iter().map(|read| (read.place, read.span));
        let open = changes.chain(reads).filter(|(_, span)| open(span)).map(|(place, _)| place);
        Some(Standing { states, always: Vec::new(), sometimes: open.collect() })
    }

    /// What a block held, if anybody knows.
    fn state(&self, block: usize, names: &[Vec<usize>]) -> Option<Value> {
        let node = |names: &Vec<usize>| names.iter().position(|name| *name == block);
        let found = names.iter().zip(&self.generations).find_map(|(names, generation)| {
            Some((generation.longest, generation.lengths[node(names)?]))
        });
        let alone =
            |text: &str| Value::from(vec![Value::pair(self.key.clone(), Value::from(text))]);
        match found {
            Some((Shown::Items(items), length)) => Some(Value::List(items[..length].into())),
            Some((Shown::Text(_), 0)) => Some(Value::List([].into())),
            Some((Shown::Text(text), length)) => Some(alone(&text[..length])),
            None => match self.steps.changes.get(block.checked_sub(1)?)? {
                Change { puts: true, value: Value::Str(text), .. } => Some(alone(text.as_str())),
                _ => None,
            },
        }
    }
}
