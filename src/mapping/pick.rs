//! One pass over an entry that notes where the wanted values lie, and nothing else.
//!
//! The paths of a plan are a tree: each key of the entry is compared with the few keys that the
//! tree has at that place, and what it does not have is read over. Values are noted as positions
//! in the entry's text; nothing is copied.
//!
//! Of a key that stands twice in one object the last one counts, as everywhere in JSON. Of the
//! members that a `*` could mean the first one counts that has what the path asks for.
//!
//! **Invariant:** the pass recurses only as deep as the longest path, not as the entry is nested.
//! **Invariant:** where the text ends or is no JSON, what was found before stands.

use super::json::{self, Scanner};
use super::path::{Path, PathId, Step};

/// The wanted paths as a tree; the root is the first node.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Box<[Node]>,
}

#[derive(Debug, Default)]
struct Node {
    /// The paths that end here.
    ends: Vec<End>,
    /// The way on, by key.
    keys: Vec<(Box<str>, usize)>,
    /// The way on for every other member that is an object.
    any: Option<usize>,
    /// The way on, by place in a list.
    places: Vec<(usize, usize)>,
    /// What lies at or below here and is void when the key stands a second time.
    below: Vec<PathId>,
}

#[derive(Debug, Clone, Copy)]
struct End {
    path: PathId,
    /// Reached through a `*`: the first one found stays.
    any: bool,
    /// The last step is the `*` itself, which means objects alone.
    object: bool,
}

impl Tree {
    /// The tree of these paths.
    pub(super) fn new<'p>(wanted: impl IntoIterator<Item = (PathId, &'p Path)>) -> Self {
        let ways: Vec<Way<'_>> = wanted
            .into_iter()
            .map(|(path, steps)| Way { path, rest: steps.steps(), any: false, object: false })
            .collect();
        let mut nodes = Vec::new();
        grow(&mut nodes, &ways);
        Self { nodes: nodes.into() }
    }

    /// Notes where the wanted values of `text` lie; what was noted before is forgotten.
    pub(super) fn pick(&self, text: &str, picked: &mut Picked, paths: usize) {
        picked.0.clear();
        picked.0.resize(paths, Spot::default());
        let mut walk = Walk { nodes: &self.nodes, text, scan: Scanner::new(text), picked };
        if let Some(root) = self.nodes.first() {
            // Nothing to do about a text that ends early: what was found stands.
            let _end = walk.value(root, 0);
        }
    }
}

/// What is left of one path while the tree grows.
#[derive(Debug, Clone, Copy)]
struct Way<'p> {
    path: PathId,
    rest: &'p [Step],
    any: bool,
    object: bool,
}

/// Adds the node of these ways, and those below it.
fn grow(nodes: &mut Vec<Node>, ways: &[Way<'_>]) -> usize {
    let number = nodes.len();
    nodes.push(Node::default());
    let mut node = Node::default();
    let mut next: Vec<(&Step, Vec<Way<'_>>)> = Vec::new();
    for way in ways {
        let Some((step, rest)) = way.rest.split_first() else {
            node.ends.push(End { path: way.path, any: way.any, object: way.object });
            continue;
        };
        let is_any = *step == Step::Any;
        let way = Way { rest, any: way.any || is_any, object: is_any, ..*way };
        match next.iter_mut().find(|(known, _)| *known == step) {
            Some((_, ways)) => ways.push(way),
            None => next.push((step, vec![way])),
        }
    }
    let by_any: Vec<Way<'_>> =
        next.iter().filter(|(step, _)| **step == Step::Any).flat_map(|(_, ways)| ways.clone()).collect();
    for (step, mut ways) in next {
        match step {
            Step::Key(key) => {
                // A member that has a name of its own is a member like any other, too.
                ways.extend(&by_any);
                let child = grow(nodes, &ways);
                node.keys.push((key.clone(), child));
            }
            Step::Index(place) => {
                let child = grow(nodes, &ways);
                node.places.push((*place, child));
            }
            Step::Any => node.any = Some(grow(nodes, &ways)),
        }
    }
    // What came here through a `*` may have been found in another member: it is not void.
    node.below = ways.iter().filter(|way| !way.any).map(|way| way.path).collect();
    if let Some(place) = nodes.get_mut(number) {
        *place = node;
    }
    number
}

/// Where the wanted values of one entry lie, by the numbers of their paths.
#[derive(Debug, Default)]
pub(super) struct Picked(Vec<Spot>);

#[derive(Debug, Clone, Copy, Default)]
struct Spot {
    start: usize,
    end: usize,
    /// Where the member begins that a `*` stood for; 0 without one.
    member: usize,
}

impl Picked {
    fn set(&mut self, end: &End, spot: Spot, text: &str) {
        let Some(place) = self.0.get_mut(end.path.index()) else { return };
        let raw = text.get(spot.start..spot.end).unwrap_or_default();
        if end.any {
            let taken = place.end > 0 && place.member != spot.member;
            if taken || json::is_nothing(raw) || (end.object && !raw.starts_with('{')) {
                return;
            }
        }
        *place = spot;
    }

    fn forget(&mut self, path: PathId) {
        if let Some(place) = self.0.get_mut(path.index()) {
            *place = Spot::default();
        }
    }
}

/// The values of one entry, by the numbers of their paths.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    text: &'a str,
    picked: &'a Picked,
}

impl<'a> Values<'a> {
    pub(super) fn new(text: &'a str, picked: &'a Picked) -> Self {
        Self { text, picked }
    }

    /// The JSON text of the value; `None` where there is none or it says nothing.
    pub(super) fn at(self, path: PathId) -> Option<&'a str> {
        let spot = self.picked.0.get(path.index())?;
        let raw = self.text.get(spot.start..spot.end)?;
        (!json::is_nothing(raw)).then_some(raw)
    }
}

struct Walk<'a> {
    nodes: &'a [Node],
    text: &'a str,
    scan: Scanner<'a>,
    picked: &'a mut Picked,
}

impl<'a> Walk<'a> {
    /// Reads one value. `member` is where the innermost member begins that a `*` stands for.
    fn value(&mut self, node: &'a Node, member: usize) -> Option<()> {
        let first = self.scan.peek()?;
        let start = self.scan.at();
        match first {
            b'{' if !node.keys.is_empty() || node.any.is_some() => self.object(node, member)?,
            b'[' if !node.places.is_empty() => self.list(node, member)?,
            _ => {
                self.scan.skip()?;
            }
        }
        let spot = Spot { start, end: self.scan.at(), member };
        for end in &node.ends {
            self.picked.set(end, spot, self.text);
        }
        Some(())
    }

    fn object(&mut self, node: &'a Node, member: usize) -> Option<()> {
        self.scan.eat(b'{');
        if self.scan.eat(b'}') {
            return Some(());
        }
        let mut seen = 0_u64;
        loop {
            let key = self.scan.string()?;
            let name = self.text.get(key.inner)?;
            if !self.scan.eat(b':') {
                return None;
            }
            let way = node.keys.iter().position(|(known, _)| {
                if key.escaped { json::string_is(name, known) } else { **known == *name }
            });
            match way {
                Some(way) => {
                    let child = self.nodes.get(node.keys.get(way)?.1)?;
                    // Beyond 64 keys every one of them is taken to have been there before.
                    let bit = 1_u64.checked_shl(u32::try_from(way).unwrap_or(u32::MAX)).unwrap_or(0);
                    if bit == 0 || seen & bit != 0 {
                        child.below.iter().for_each(|&path| self.picked.forget(path));
                    }
                    seen |= bit;
                    let member = if node.any.is_some() { self.value_at() } else { member };
                    self.value(child, member)?;
                }
                None => match node.any.and_then(|any| self.nodes.get(any)) {
                    Some(child) if self.scan.peek() == Some(b'{') => {
                        let member = self.value_at();
                        self.value(child, member)?;
                    }
                    _ => {
                        self.scan.skip()?;
                    }
                },
            }
            if !self.scan.another(b'}')? {
                return Some(());
            }
        }
    }

    fn list(&mut self, node: &'a Node, member: usize) -> Option<()> {
        self.scan.eat(b'[');
        if self.scan.eat(b']') {
            return Some(());
        }
        for place in 0.. {
            match node.places.iter().find(|(wanted, _)| *wanted == place) {
                Some((_, child)) => self.value(self.nodes.get(*child)?, member)?,
                None => {
                    self.scan.skip()?;
                }
            }
            if !self.scan.another(b']')? {
                break;
            }
        }
        Some(())
    }

    fn value_at(&mut self) -> usize {
        self.scan.peek();
        self.scan.at()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::path::Paths;
    use super::*;

    /// What each path finds in the text.
    fn found(paths: &[&str], text: &str) -> Vec<Option<String>> {
        let mut known = Paths::default();
        let ids: Vec<PathId> = paths.iter().map(|p| known.number(Path::parse(p).unwrap())).collect();
        let tree = Tree::new(ids.iter().map(|&id| (id, known.path(id).unwrap())));
        let mut picked = Picked::default();
        tree.pick(text, &mut picked, known.len());
        let values = Values::new(text, &picked);
        ids.iter().map(|&id| values.at(id).map(str::to_owned)).collect()
    }

    fn one(path: &str, text: &str) -> Option<String> {
        found(&[path], text).remove(0)
    }

    #[test]
    fn finds_what_the_paths_name_and_leaves_the_rest() {
        let text = r#" { "id" : "x" , "a":{"b":[1,{"c":2}],"b c":null,"z":{}} , "n":-1.5e3 } "#;
        assert_eq!(
            found(&["id", "a.b", "a.b[1].c", "a.b[2]", "a.\"b c\"", "n", "a.z", "a.id"], text),
            [Some("\"x\""), Some("[1,{\"c\":2}]"), Some("2"), None, None, Some("-1.5e3"), None, None]
                .map(|v| v.map(str::to_owned))
        );
    }

    #[test]
    fn of_twins_the_last_one_counts() {
        assert_eq!(one("a", r#"{"a":1,"a":2}"#).as_deref(), Some("2"));
        assert_eq!(one("a.b", r#"{"a":{"b":1},"a":{"c":2}}"#), None);
        assert_eq!(one("a.b", r#"{"a":{"b":1},"a":null}"#), None);
        assert_eq!(one("e.*.id", r#"{"e":{"user":{"id":1}},"e":{}}"#), None);
        assert_eq!(one("e.*.id", r#"{"e":{"user":{"id":1,"id":2}}}"#).as_deref(), Some("2"));
    }

    #[test]
    fn a_star_is_the_first_object_that_has_it() {
        let text =
            r#"{"entity":{"type":"user","x":[{"id":0}],"file":{"id":""},"user":{"id":7},"z":{"id":8}}}"#;
        assert_eq!(one("entity.*.id", text).as_deref(), Some("7"));
        assert_eq!(
            found(&["entity.*.id", "entity.user.id", "entity.z.id", "entity.type"], text),
            ["7", "7", "8", "\"user\""].map(|v| Some(v.to_owned()))
        );
        assert_eq!(one("*.id", r#"{"id":1,"a":{"b":2},"c":{"id":3}}"#).as_deref(), Some("3"));
        assert_eq!(
            one("a.*", r#"{"a":{"t":"x","l":[1],"e":{},"o":{"k":1}}}"#).as_deref(),
            Some(r#"{"k":1}"#)
        );
        assert_eq!(found(&["a.*", "a.t"], r#"{"a":{"t":"x"}}"#), [None, Some("\"x\"".to_owned())]);
    }

    #[test]
    fn keys_with_escapes_are_the_keys_they_mean() {
        assert_eq!(one("actor", r#"{"\u0061ctor":1}"#).as_deref(), Some("1"));
        assert_eq!(one("a", r#"{"\ud800":{"x":1},"a":2}"#).as_deref(), Some("2"));
    }

    #[test]
    fn depth_costs_nothing_and_loses_nothing() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let text = format!(r#"{{"a":{deep},"b":{{"c":{deep}}},"id":"x"}}"#);
        assert_eq!(one("id", &text).as_deref(), Some("\"x\""));
        assert_eq!(one("b.c", &text), Some(deep));
    }

    #[test]
    fn what_came_before_a_torn_end_is_found() {
        assert_eq!(found(&["a", "b"], r#"{"a":1,"b":"tor"#), [Some("1".to_owned()), None]);
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[ab\"\\\\{}\\[\\],:é\u{7}😀]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[abc\"]", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(value in json(), pretty: bool) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            for (path, pointer) in [
                ("a", "/a"), ("a.b", "/a/b"), ("b[1]", "/b/1"), ("a.b.c", "/a/b/c"), ("c[0].a", "/c/0/a"),
                ("a.'\"'", "/a/\""), ("b", "/b"),
            ] {
                // All at once, so that the paths lie in each other's way.
                let all = found(&["b", "a.b.c", "c[0].a", "a", "a.*.c", "*.*", path], &text);
                // An index into an object means its key to serde_json.
                let meant = value.pointer(pointer).filter(|_| pointer != "/b/1" || value["b"].is_array())
                    .filter(|_| pointer != "/c/0/a" || value["c"].is_array());
                let got = all[6].as_ref().map(|raw| serde_json::from_str::<Value>(raw).unwrap());
                match got {
                    Some(got) => prop_assert_eq!(Some(&got), meant),
                    None => prop_assert!(meant.is_none_or(|v| json::is_nothing(&v.to_string()))),
                }
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), cut in 0_usize..300, value in json()) {
            let mut mutated = value.to_string();
            let cut = cut.min(mutated.len());
            if mutated.is_char_boundary(cut) {
                mutated.insert_str(cut, &text);
            }
            for text in [&text, &mutated] {
                found(&["a", "a.b", "*.*.c", "a[3].b", "b[0]"], text);
            }
        }
    }
}
