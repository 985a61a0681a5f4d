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

use std::ops::Range;

use super::json::{self, Scanner};
use super::kit::Kit;
use super::outline::{Extent, MemberId, Outline};
use super::path::PathId;
use super::tree::{End, Node, Number, Tree};
use super::trusted::{self, Trusted};

impl Tree {
    /// Notes where the wanted values of `text` lie; what was noted before is forgotten. `outline`
    /// is given where all other members are to be noted as well.
    pub(super) fn pick(
        &self,
        text: &str,
        picked: &mut Picked,
        mut outline: Option<&mut Outline>,
        paths: usize,
    ) {
        picked.forget_all(paths);
        if let Some(outline) = &mut outline {
            outline.clear();
        }
        let mut walk = Walk { tree: self, text, scan: Scanner::new(text), picked, outline };
        // No path ends at the top, so that an entry which is no object holds nothing that is wanted.
        if let Some(root) = self.root()
            && walk.scan.peek() == Some(b'{')
        {
            // Nothing to do about a text that ends early: what was found stands.
            let _end = walk.object(root, Within::default());
        }
    }
}

/// Where the wanted values of one entry lie, by the numbers of their paths.
#[derive(Debug, Default)]
pub(super) struct Picked {
    spots: Vec<Spot>,
    /// Which entry this is. The spots of earlier ones count for nothing, so that none need be
    /// cleared.
    entry: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Spot {
    /// The entry that it belongs to; 0 for none.
    entry: u32,
    value: Extent,
    within: Within,
    kind: Kind,
}

/// What a value lies in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Within {
    /// Where the innermost member begins that a `*` stands for; 0 without one.
    star: u32,
    /// The innermost member that is no element of a list.
    member: MemberId,
    /// Whether it is part of that member, and not all of it.
    list: bool,
}

/// What a value is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text as it is meant, which is no part of the entry's JSON.
    Text,
    /// What no field took: compact JSON, which is no part of the entry's either.
    Rest,
    /// A string without escapes.
    Plain,
    /// A string with escapes.
    Escaped,
    /// A number or a boolean.
    #[default]
    Scalar,
    List,
    Object,
}

/// One value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    /// Its JSON text; the text itself for [`Kind::Text`].
    pub(super) raw: &'a str,
    pub(super) kind: Kind,
    /// What it lies in; nothing of the entry for what is no part of it.
    pub(super) within: Option<Within>,
}

impl Within {
    /// The member that the value is all of.
    pub(super) fn whole(self) -> Option<MemberId> {
        (!self.list).then_some(self.member)
    }
}

impl<'a> Found<'a> {
    /// What is no part of the entry.
    pub(super) fn ours(raw: &'a str, kind: Kind) -> Self {
        Self { raw, kind, within: None }
    }

    /// The value as text, where that needs no copy.
    pub(super) fn lent(self) -> Option<&'a str> {
        match self.kind {
            Kind::Plain => json::inside(self.raw),
            Kind::Scalar | Kind::Text | Kind::Rest => Some(self.raw),
            Kind::Escaped | Kind::List | Kind::Object => None,
        }
    }
}

impl Picked {
    fn forget_all(&mut self, paths: usize) {
        if self.entry == u32::MAX || self.spots.len() < paths {
            self.spots.clear();
            self.spots.resize(paths, Spot::default());
            self.entry = 0;
        }
        self.entry += 1;
    }

    /// Notes a value; `spot.entry` is 0 where it says nothing.
    fn set(&mut self, end: End, spot: Spot) {
        let Some(place) = self.spots.get_mut(end.path.index()) else { return };
        if end.any {
            let taken = place.entry == self.entry && place.within.star != spot.within.star;
            if taken || spot.entry == 0 || (end.object && spot.kind != Kind::Object) {
                return;
            }
        }
        *place = spot;
    }

    fn forget(&mut self, path: PathId) {
        if let Some(place) = self.spots.get_mut(path.index()) {
            place.entry = 0;
        }
    }
}

/// The values of one entry, by the numbers of their paths.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    id: &'a str,
    text: &'a str,
    rest: &'a str,
    kit: Option<&'a Kit>,
    trusted: &'a Trusted,
    spots: &'a [Spot],
    entry: u32,
}

impl<'a> Values<'a> {
    /// `id` is the entry's id as the forwarder knows it, `text` what `picked` was picked from.
    pub(super) fn new(id: &'a str, text: &'a str, picked: &'a Picked) -> Self {
        Self {
            id,
            text,
            rest: "",
            kit: None,
            trusted: &trusted::NOTHING,
            spots: &picked.spots,
            entry: picked.entry,
        }
    }

    /// The same with what no field took.
    pub(super) fn with_rest(self, rest: &'a str) -> Self {
        Self { rest, ..self }
    }

    /// The same with what filters work with.
    pub(super) fn with_kit(self, kit: &'a Kit) -> Self {
        Self { kit: Some(kit), ..self }
    }

    /// The same with what the organization trusts.
    pub(super) fn trusting(self, trusted: &'a Trusted) -> Self {
        Self { trusted, ..self }
    }

    /// What the organization trusts.
    pub(super) fn trusted(self) -> &'a Trusted {
        self.trusted
    }

    /// What filters work with.
    pub(super) fn kit(self) -> Option<&'a Kit> {
        self.kit
    }

    /// What no field took, as JSON; `None` where nothing is left, or where fields are still to be
    /// filled.
    pub(super) fn rest(self) -> Option<&'a str> {
        Some(self.rest).filter(|rest| !rest.is_empty())
    }

    /// The entry's id: Slack's, or one made of its text where Slack gave none.
    pub(super) fn id(self) -> &'a str {
        self.id
    }

    /// The value; `None` where there is none or it says nothing.
    pub(super) fn at(self, path: PathId) -> Option<Found<'a>> {
        self.numbered(path.index())
    }

    /// The value at the path of this number.
    pub(super) fn numbered(self, path: usize) -> Option<Found<'a>> {
        let spot = self.spot(path)?;
        Some(Found { raw: spot.value.of(self.text)?, kind: spot.kind, within: Some(spot.within) })
    }

    /// The member that has the value at this path, be it all of it or one of many in a list.
    pub(super) fn member_around(self, path: PathId) -> Option<MemberId> {
        self.spot(path.index()).map(|spot| spot.within.member)
    }

    fn spot(self, path: usize) -> Option<&'a Spot> {
        self.spots.get(path).filter(|spot| spot.entry == self.entry)
    }
}

struct Walk<'a> {
    tree: &'a Tree,
    text: &'a str,
    scan: Scanner<'a>,
    picked: &'a mut Picked,
    outline: Option<&'a mut Outline>,
}

impl<'a> Walk<'a> {
    /// Reads one value.
    fn value(&mut self, node: &'a Node, within: Within) -> Option<()> {
        let first = self.scan.peek()?;
        let start = self.scan.at();
        let kind = match first {
            b'"' if self.scan.string()? => Kind::Escaped,
            b'"' => Kind::Plain,
            b'{' => {
                if node.wants_members() {
                    self.object(node, within)?;
                } else {
                    self.scan.skip()?;
                }
                Kind::Object
            }
            b'[' => {
                if node.wants_elements() {
                    self.list(node, within)?;
                } else {
                    self.scan.skip()?;
                }
                Kind::List
            }
            _ => {
                self.scan.skip()?;
                Kind::Scalar
            }
        };
        let ends = self.tree.ends(node);
        if !ends.is_empty() {
            self.note(ends, kind, start, within);
        }
        Some(())
    }

    /// Notes the value from `start` to here under every path that ends with it.
    fn note(&mut self, ends: &[End], kind: Kind, start: usize, within: Within) {
        let stop = self.scan.at();
        let nothing = match kind {
            Kind::Plain | Kind::Escaped => stop - start <= 2,
            _ => self.text.get(start..stop).is_none_or(json::is_nothing),
        };
        let entry = if nothing { 0 } else { self.picked.entry };
        let value = Extent::new(start..stop);
        for &wanted in ends {
            self.picked.set(wanted, Spot { entry, value, within, kind });
        }
    }

    fn object(&mut self, node: &'a Node, within: Within) -> Option<()> {
        self.scan.step();
        if self.scan.eat(b'}') {
            return Some(());
        }
        let mut seen = 0_u64;
        loop {
            self.scan.peek();
            let start = self.scan.at() + 1;
            let escaped = self.scan.string()?;
            let key = start..self.scan.at() - 1;
            if !self.scan.eat(b':') {
                return None;
            }
            let way = self.way(node, key.clone(), escaped);
            let begin = self.next_at();
            let mut inside = within;
            if node.any().is_some() {
                inside.star = u32::try_from(begin).unwrap_or(u32::MAX);
            }
            // A list is one value: what lies in it is no member.
            let noted = self.outline.is_some() && !within.list;
            let has_members = self.scan.peek() == Some(b'{');
            if let Some(outline) = self.outline.as_mut().filter(|_| noted) {
                inside.member = outline.next();
                if has_members {
                    outline.begin(start - 1..key.end + 1, way.is_some());
                }
            }
            if let Some((child, bit)) = way {
                let child = self.tree.node(child)?;
                // Beyond 64 keys every one of them is taken to have been there before.
                if bit == 0 || seen & bit != 0 {
                    for &path in self.tree.void(child) {
                        self.picked.forget(path);
                    }
                }
                seen |= bit;
                self.value(child, inside)?;
            } else {
                match node.any().and_then(|any| self.tree.node(any)) {
                    Some(child) if self.scan.peek() == Some(b'{') => self.value(child, inside)?,
                    _ => {
                        self.scan.skip()?;
                    }
                }
            }
            if let Some(outline) = self.outline.as_mut().filter(|_| noted) {
                let value = begin..self.scan.at();
                if has_members {
                    outline.end(inside.member, value);
                } else {
                    outline.leaf(start - 1..key.end + 1, value, way.is_some());
                }
            }
            if !self.scan.another(b'}')? {
                return Some(());
            }
        }
    }

    /// The way that this key leads, and the bit that stands for it.
    fn way(&self, node: &Node, key: Range<usize>, escaped: bool) -> Option<(Number, u64)> {
        if escaped {
            return self.tree.by_escaped_key(node, self.text.get(key)?);
        }
        let bytes = self.text.as_bytes().get(key.start..)?;
        self.tree.by_key(node, bytes, key.len())
    }

    fn list(&mut self, node: &'a Node, within: Within) -> Option<()> {
        let within = Within { list: true, ..within };
        self.scan.step();
        if self.scan.eat(b']') {
            return Some(());
        }
        for place in 0.. {
            match self.tree.by_place(node, place) {
                Some(child) => self.value(child, within)?,
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

    fn next_at(&mut self) -> usize {
        self.scan.peek();
        self.scan.at()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::path::{Path, Paths};
    use super::*;

    /// What each path finds in the text.
    fn found(paths: &[&str], text: &str) -> Vec<Option<String>> {
        let mut known = Paths::default();
        let ids: Vec<PathId> = paths.iter().map(|p| known.number(Path::parse(p).unwrap())).collect();
        let tree = Tree::new(ids.iter().map(|&id| (id, known.path(id).unwrap())));
        let mut picked = Picked::default();
        tree.pick(text, &mut picked, None, known.len());
        let values = Values::new("", text, &picked);
        ids.iter().map(|&id| values.at(id).map(|found| found.raw.to_owned())).collect()
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
    fn keys_are_told_apart_whatever_their_length() {
        let keys = ["", "a", "ab", "abcdefg", "abcdefgh", "abcdefgi", "abcdefghijklmnop", "abcdefghijklmnoq"];
        let members: Vec<String> = keys.iter().map(|key| format!("\"{key}\":\"<{key}>\"")).collect();
        let text = format!("{{{}}}", members.join(","));
        for key in keys {
            let meant = Some(format!("\"<{key}>\""));
            assert_eq!(one(&format!("'{key}'"), &text), meant);
            // Near the text's end, where there are no eight bytes to read.
            assert_eq!(one(&format!("'{key}'"), &format!("{{\"{key}\":1}}")).as_deref(), Some("1"));
        }
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
