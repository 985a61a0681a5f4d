//! The wanted paths of a plan as a tree, in a few flat arrays that stay in the processor's cache.
//!
//! **Invariant:** the tree is as deep as the longest path and no deeper.

use super::json;
use super::path::{Path, PathId, Step};

/// The wanted paths as a tree.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// The keys of all nodes, as tags to compare at a glance, and what goes with each.
    tags: Vec<u64>,
    ways: Vec<Way>,
    /// Every key's text, one after the other.
    names: String,
    places: Vec<Place>,
    ends: Vec<End>,
    void: Vec<PathId>,
}

/// One place in the tree: its parts of the arrays.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// The way on, by key.
    ways: Part,
    /// The way on, by place in a list.
    places: Part,
    /// The way on for every other member that is an object.
    any: Option<Number>,
    /// The paths that end here.
    ends: Part,
    /// What lies at or below here and is void when the key stands a second time.
    void: Part,
}

/// The number of a node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number(u32);

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    start: u32,
    len: u32,
}

#[derive(Debug)]
struct Way {
    name: Part,
    node: Number,
}

#[derive(Debug)]
struct Place {
    place: usize,
    node: Number,
}

/// A path's end.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) path: PathId,
    /// Reached through a `*`: the first one found stays.
    pub(super) any: bool,
    /// The last step is the `*` itself, which means objects alone.
    pub(super) object: bool,
}

impl Tree {
    /// The tree of these paths.
    pub(super) fn new<'p>(wanted: impl IntoIterator<Item = (PathId, &'p Path)>) -> Self {
        let branches: Vec<Branch<'_>> = wanted
            .into_iter()
            .map(|(path, steps)| Branch { path, rest: steps.steps(), any: false, object: false })
            .collect();
        let mut tree = Self::default();
        tree.grow(&branches);
        tree.trim();
        tree
    }

    /// Where every path begins.
    pub(super) fn root(&self) -> Option<&Node> {
        self.nodes.first()
    }

    pub(super) fn node(&self, number: Number) -> Option<&Node> {
        self.nodes.get(number.0 as usize)
    }

    /// The node behind the key at the head of `bytes`, which is `len` bytes long, and a bit that
    /// stands for it among its fellows: 0 beyond the 64th.
    pub(super) fn by_key(&self, node: &Node, bytes: &[u8], len: usize) -> Option<(Number, u64)> {
        let wanted = tag(bytes, len);
        let tags = node.ways.of(&self.tags);
        let ways = node.ways.of(&self.ways);
        tags.iter().zip(ways).enumerate().find_map(|(at, (tag, way))| {
            let same = *tag == wanted && (len < 8 || bytes.starts_with(self.name(way)?.as_bytes()));
            same.then(|| (way.node, bit(at)))
        })
    }

    /// The same for a key that is written with escapes.
    pub(super) fn by_escaped_key(&self, node: &Node, inner: &str) -> Option<(Number, u64)> {
        node.ways
            .of(&self.ways)
            .iter()
            .enumerate()
            .find_map(|(at, way)| json::string_is(inner, self.name(way)?).then(|| (way.node, bit(at))))
    }

    pub(super) fn by_place(&self, node: &Node, place: usize) -> Option<&Node> {
        let found = node.places.of(&self.places).iter().find(|known| known.place == place)?;
        self.node(found.node)
    }

    pub(super) fn ends(&self, node: &Node) -> &[End] {
        node.ends.of(&self.ends)
    }

    pub(super) fn void(&self, node: &Node) -> &[PathId] {
        node.void.of(&self.void)
    }

    fn name(&self, way: &Way) -> Option<&str> {
        let start = way.name.start as usize;
        self.names.get(start..start + way.name.len as usize)
    }

    /// Gives back the space that it did not grow into: there are thousands of trees.
    fn trim(&mut self) {
        self.nodes.shrink_to_fit();
        self.tags.shrink_to_fit();
        self.ways.shrink_to_fit();
        self.names.shrink_to_fit();
        self.places.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.void.shrink_to_fit();
    }

    /// Adds the node of these branches, and those below it.
    fn grow(&mut self, branches: &[Branch<'_>]) -> Number {
        let number = Number(count(&self.nodes));
        self.nodes.push(Node::default());
        let mut ends = Vec::new();
        let mut next: Vec<(&Step, Vec<Branch<'_>>)> = Vec::new();
        for branch in branches {
            let Some((step, rest)) = branch.rest.split_first() else {
                ends.push(End { path: branch.path, any: branch.any, object: branch.object });
                continue;
            };
            let is_any = *step == Step::Any;
            let branch = Branch { rest, any: branch.any || is_any, object: is_any, ..*branch };
            match next.iter_mut().find(|(known, _)| *known == step) {
                Some((_, branches)) => branches.push(branch),
                None => next.push((step, vec![branch])),
            }
        }
        let through_any = next.iter().find(|(step, _)| **step == Step::Any);
        let through_any = through_any.map_or_else(Vec::new, |(_, branches)| branches.clone());
        let (mut tags, mut ways, mut places, mut any) = (Vec::new(), Vec::new(), Vec::new(), None);
        for (step, mut branches) in next {
            match step {
                Step::Key(key) => {
                    // A member that has a name of its own is a member like any other, too.
                    branches.extend(&through_any);
                    tags.push(tag(key.as_bytes(), key.len()));
                    let name = Part { start: count(self.names.as_bytes()), len: count(key.as_bytes()) };
                    self.names.push_str(key);
                    ways.push(Way { name, node: self.grow(&branches) });
                }
                Step::Index(place) => places.push(Place { place: *place, node: self.grow(&branches) }),
                Step::Any => any = Some(self.grow(&branches)),
            }
        }
        // What came here through a `*` may have been found in another member: it is not void.
        let void = branches.iter().filter(|branch| !branch.any).map(|branch| branch.path);
        Part::add(tags, &mut self.tags);
        let node = Node {
            ways: Part::add(ways, &mut self.ways),
            places: Part::add(places, &mut self.places),
            any,
            ends: Part::add(ends, &mut self.ends),
            void: Part::add(void, &mut self.void),
        };
        if let Some(place) = self.nodes.get_mut(number.0 as usize) {
            *place = node;
        }
        number
    }
}

impl Node {
    /// Whether the way on leads into an object.
    pub(super) fn wants_members(&self) -> bool {
        self.ways.len > 0 || self.any.is_some()
    }

    /// Whether the way on leads into a list.
    pub(super) fn wants_elements(&self) -> bool {
        self.places.len > 0
    }

    /// The way on for a member that no key of the node names.
    pub(super) fn any(&self) -> Option<Number> {
        self.any
    }
}

impl Part {
    /// Puts `more` behind `all`, and says where.
    fn add<T>(more: impl IntoIterator<Item = T>, all: &mut Vec<T>) -> Self {
        let start = count(all);
        all.extend(more);
        Self { start, len: count(all) - start }
    }

    fn of<T>(self, all: &[T]) -> &[T] {
        let start = self.start as usize;
        all.get(start..start + self.len as usize).unwrap_or_default()
    }
}

/// What is left of one path while the tree grows.
#[derive(Debug, Clone, Copy)]
struct Branch<'p> {
    path: PathId,
    rest: &'p [Step],
    any: bool,
    object: bool,
}

/// How many there are. Files are a mebibyte at most, which no part of a tree outgrows by thousands.
fn count<T>(all: &[T]) -> u32 {
    u32::try_from(all.len()).unwrap_or(u32::MAX)
}

fn bit(at: usize) -> u64 {
    u32::try_from(at).ok().and_then(|at| 1_u64.checked_shl(at)).unwrap_or(0)
}

/// A key's length and its first seven bytes: keys of up to seven bytes are alike if their tags are,
/// longer ones nearly always.
fn tag(bytes: &[u8], len: usize) -> u64 {
    let head = match bytes.first_chunk::<8>() {
        Some(head) => u64::from_le_bytes(*head),
        None => bytes.iter().rev().fold(0, |head, &byte| (head << 8) | u64::from(byte)),
    };
    let kept = head & KEPT.get(len).unwrap_or(&(u64::MAX >> 8));
    kept | ((len.min(0xff) as u64) << 56)
}

/// What of the first eight bytes belongs to a key of so many.
const KEPT: [u64; 8] =
    [0, 0xff, 0xffff, 0xff_ffff, 0xffff_ffff, 0xff_ffff_ffff, 0xffff_ffff_ffff, 0xff_ffff_ffff_ffff];
