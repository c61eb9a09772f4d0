//! The walk over a document.

use std::collections::HashSet;

use smallvec::SmallVec;

use super::{Flaw, FlawKind, Limits, Span, Str};

/// Walks one document. Callers step through the parts that they want to see ([`Reader::object`]) and skip the rest
/// ([`Reader::value`]); both check everything they pass.
#[derive(Debug)]
pub struct Reader<'a> {
    pub(super) document: &'a str,
    pub(super) input: &'a [u8],
    at: usize,
    pub(super) nodes: u32,
    pub(super) limits: Limits,
    /// The object or array that we are in. Asked at every step, so it and `depth` stand beside the stack and not in it.
    pub(super) innermost: Open,
    /// How many objects and arrays are open.
    pub(super) depth: usize,
    /// What is around `innermost`, outermost first.
    pub(super) around: SmallVec<[Open; 32]>,
    /// Fingerprints of the keys of every object that is open, innermost last.
    pub(super) keys: SmallVec<[u64; 64]>,
    /// The same once more for the open objects with many keys, each with its depth.
    pub(super) many: Vec<(usize, HashSet<u64>)>,
    /// Did the last string have escapes?
    pub(super) escaped: bool,
    /// Why the last step failed.
    pub(super) flaw: Option<Flaw>,
}

/// An object or array whose end has not come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Open {
    /// Its keys begin here in `Reader::keys`.
    Object(u32),
    Array,
    /// Not in any: the document itself.
    Document,
}

type Result<T> = std::result::Result<T, Flaw>;

impl<'a> Reader<'a> {
    /// Starts at the beginning of `document`.
    pub fn new(document: &'a str, limits: &Limits) -> Self {
        Self {
            document,
            input: document.as_bytes(),
            at: 0,
            nodes: 0,
            limits: *limits,
            innermost: Open::Document,
            depth: 0,
            around: SmallVec::new(),
            keys: SmallVec::new(),
            many: Vec::new(),
            escaped: false,
            flaw: None,
        }
    }

    /// The document being read.
    pub fn document(&self) -> &'a str {
        self.document
    }

    /// The first byte of the next value, without stepping over it.
    pub fn peek(&mut self) -> Option<u8> {
        self.at = self.blank(self.at);
        self.byte(self.at)
    }

    /// The byte offset reached.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// From `start` to the place reached.
    pub fn since(&self, start: usize) -> Span {
        Span::new(start, self.at)
    }

    /// Steps over the next value, whatever it is.
    pub fn value(&mut self) -> Result<Span> {
        let start = self.blank(self.at);
        let end = self.step_over(start);
        self.arrive(end)?;
        Ok(self.since(start))
    }

    /// Reads an object; `member` is called after each key and must step over that key's value.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, Str) -> Result<()>) -> Result<()> {
        let mut more = self.enter(b'{', "an object")?;
        while more {
            let start = self.at + 1;
            let key = self.key(self.at);
            self.arrive(key)?;
            let key = Str { span: Span::new(start, self.at - 1), escaped: self.escaped };
            let value = self.colon(self.at);
            self.arrive(value)?;
            member(self, key)?;
            more = self.another(b'}')?;
        }
        Ok(())
    }

    /// Reads an array; `item` must step over one value each time.
    pub fn array(&mut self, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        let mut more = self.enter(b'[', "an array")?;
        while more {
            item(self)?;
            more = self.another(b']')?;
        }
        Ok(())
    }

    /// Reads a string.
    pub fn string(&mut self) -> Result<Str> {
        let start = self.blank(self.at);
        let end = self.node(start).and_then(|()| self.content(start));
        self.arrive(end)?;
        Ok(Str { span: Span::new(start + 1, self.at - 1), escaped: self.escaped })
    }

    /// Checks that nothing but white space follows.
    pub fn end(&mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.flaw(FlawKind::Syntax("the end of the document"))),
        }
    }

    /// A flaw at the place reached.
    pub fn flaw(&self, kind: FlawKind) -> Flaw {
        Flaw { kind, at: self.at }
    }

    /// Opens an object or an array. Is there something in it?
    fn enter(&mut self, bracket: u8, expected: &'static str) -> Result<bool> {
        let outside = self.depth;
        if self.peek() != Some(bracket) {
            return Err(self.flaw(FlawKind::Syntax(expected)));
        }
        // In ASCII, closing brackets and braces stand two after their opening ones.
        let inside = self.open(self.at, bracket).map(|at| self.skip_end(at, bracket + 2));
        self.arrive(inside)?;
        Ok(self.depth > outside)
    }

    /// After a member or an item. Is there another one?
    fn another(&mut self, end: u8) -> Result<bool> {
        let inside = self.depth;
        let next = self.next(self.at, end);
        self.arrive(next)?;
        Ok(self.depth == inside)
    }

    fn arrive(&mut self, place: Option<usize>) -> Result<()> {
        match place {
            Some(at) => {
                self.at = at;
                Ok(())
            }
            None => Err(self.flaw.take().unwrap_or(self.flaw(FlawKind::Syntax("a value")))),
        }
    }
}
