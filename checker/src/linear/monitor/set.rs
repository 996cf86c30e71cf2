//! Decides sets of distinct elements that are added and read whole.
//!
//! Reads must be ordered by inclusion. That gives layers: the elements of the smallest read, the
//! reads of exactly those, the elements that the next read adds, and so on; last the elements that
//! no read has. An order is legal iff it respects the layers, and within a layer every order is
//! legal. So there is a legal order iff nothing of an earlier layer begins after something of a
//! later one has ended. An add of unknown outcome that no read has is left out, because nothing
//! observes it; one that a read has took effect.

use rustc_hash::FxHashMap;

use super::view::{OpInterval, PrefixView};
use crate::history::Value;
use crate::model::Response;

/// The latest begin and earliest end within one layer.
#[derive(Clone, Copy)]
struct SetLayer {
    begin: u64,
    end: u64,
}

impl SetLayer {
    const EMPTY: Self = Self { begin: 0, end: u64::MAX };

    fn include(&mut self, span: OpInterval) {
        self.begin = self.begin.max(span.begin);
        self.end = self.end.min(span.latest_end());
    }
}

/// An element, and the first layer of reads that has it.
struct SetElement {
    span: OpInterval,
    layer: Option<usize>,
    /// The number of the last read that has it, from 1.
    seen: usize,
}

/// Whether the operations are legal; undecided if elements are removed, queried or added twice.
pub(super) fn is_legal(view: &PrefixView<'_>) -> Option<bool> {
    if !view.fresh {
        return None;
    }
    let mut elements: FxHashMap<&Value, SetElement> = FxHashMap::default();
    let mut reads: Vec<(&[Value], OpInterval)> = Vec::new();
    for (op, span) in view.ops() {
        match (op.call.f.as_str(), &op.call.response) {
            ("add", Response::Output(_) | Response::Unknown) => {
                if elements
                    .insert(&op.call.input, SetElement { span, layer: None, seen: 0 })
                    .is_some()
                {
                    return None;
                }
            }
            ("read", Response::Output(Value::List(all))) => reads.push((all, span)),
            ("read", Response::Output(Value::Nil)) => reads.push((&[], span)),
            ("read", _) => {}
            _ => return None,
        }
    }
    reads.retain(|(_, span)| span.end.is_some());
    reads.sort_by_key(|(all, _)| all.len());
    let Some(layers) = build_layers(&reads, &mut elements) else { return Some(false) };
    Some(are_layers_ordered(&layers))
}

/// Layers of elements and reads in turn; `None` if the reads are not ordered by inclusion, or have
/// an element that was never added.
fn build_layers(
    reads: &[(&[Value], OpInterval)],
    elements: &mut FxHashMap<&Value, SetElement>,
) -> Option<Vec<SetLayer>> {
    let (mut layers, mut size) = (Vec::new(), 0);
    for (number, (all, span)) in reads.iter().enumerate() {
        if number == 0 || all.len() > size {
            layers.push(SetLayer::EMPTY);
        }
        let layer = layers.len() - 1;
        let mut known = 0;
        for value in *all {
            let element = elements.get_mut(value).filter(|it| it.seen != number + 1)?;
            element.seen = number + 1;
            known += usize::from(element.layer.is_some());
            element.layer.get_or_insert(layer);
        }
        if known != size {
            return None;
        }
        size = all.len();
        layers[layer].include(*span);
    }
    let mut added = vec![SetLayer::EMPTY; layers.len() + 1];
    for element in elements.values() {
        match element.layer {
            Some(layer) => added[layer].include(element.span),
            None if element.span.end.is_some() => added[layers.len()].include(element.span),
            None => {}
        }
    }
    let last = added.pop();
    let in_turn = added.into_iter().zip(layers).flat_map(|(added, read)| [added, read]);
    Some(in_turn.chain(last).collect())
}

fn are_layers_ordered(layers: &[SetLayer]) -> bool {
    let mut begin = 0;
    layers.iter().all(|layer| {
        let fits = begin <= layer.end;
        begin = begin.max(layer.begin);
        fits
    })
}
