//! Something that others write while we look at it: when to take what it has become.
//!
//! A change is taken when two looks in a row see the same, so that a file that is being written is
//! let alone; somebody who asks has it taken at once.
//!
//! **Invariant:** a state is looked into once, unless somebody asks.

/// What was seen of it.
#[derive(Debug)]
pub(super) struct Settling<T> {
    /// What is in force.
    running: T,
    /// What was refused since then.
    refused: Option<Sight<T>>,
    /// What the last look saw, where that is neither.
    unsettled: Option<Sight<T>>,
}

/// What a look saw, or why it saw nothing.
pub(super) type Sight<T> = Result<T, String>;

/// What is to be done about what a look saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is what it was.
    Nothing,
    /// It may be half written: look again.
    Wait,
    /// The mistakes are gone, by going back to what is in force.
    Mended,
    /// It is new, or somebody asks about what was refused.
    Take,
}

impl<T: Clone + PartialEq> Settling<T> {
    pub(super) fn new(running: T) -> Self {
        Self { running, refused: None, unsettled: None }
    }

    pub(super) fn running(&self) -> &T {
        &self.running
    }

    /// What is to be done; whatever is taken is then [`Self::adopt`]ed or [`Self::refuse`]d.
    pub(super) fn step(&mut self, sight: &Sight<T>, asked: bool) -> Step {
        let runs = sight.as_ref() == Ok(&self.running);
        let step = match &self.refused {
            Some(refused) if refused == sight && !asked => Step::Nothing,
            None if runs => Step::Nothing,
            _ if !asked && self.unsettled.as_ref() != Some(sight) => Step::Wait,
            Some(_) if runs => Step::Mended,
            _ => Step::Take,
        };
        self.unsettled = (step == Step::Wait).then(|| sight.clone());
        step
    }

    /// It is in force from now on.
    pub(super) fn adopt(&mut self, now: T) {
        (self.running, self.refused) = (now, None);
    }

    /// It is not taken; says whether that was known before.
    pub(super) fn refuse(&mut self, sight: Sight<T>) -> bool {
        let known = self.refused.as_ref() == Some(&sight);
        self.refused = Some(sight);
        known
    }

    /// What is in force is what is there again.
    pub(super) fn mended(&mut self) {
        self.refused = None;
    }
}
