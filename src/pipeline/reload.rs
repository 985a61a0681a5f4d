//! Mapping folders read again when their files change, and at once when asked to.
//!
//! What a folder holds is compared every two seconds: watching by the file system misses files
//! that change by a link (a Kubernetes `ConfigMap`) or on another machine, and twenty small files
//! cost nothing. A change is taken when two looks in a row see the same, so that a file that is
//! being written is let alone.
//!
//! **Invariant:** destinations get whole plans or none: files with a mistake leave the plans before
//! them in force.
//! **Invariant:** a state of a folder is told once: in the log with every mistake, and as an own
//! event.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, error, info, warn};

use super::own::{Difference, OwnEvent, Voice};
use super::setup::SetupError;
use crate::mapping::{self, MappingFile, Plans};
use crate::telemetry::chain;

/// Makes plans of the files of a customer's folder.
pub(super) type Compile = Box<dyn Fn(&[MappingFile]) -> Result<Plans, SetupError> + Send>;

/// A mapping folder, and the plans that run.
pub(super) struct Folder {
    /// What the configuration calls it.
    mapping: String,
    dir: PathBuf,
    compile: Compile,
    plans: watch::Sender<Arc<Plans>>,
    /// What the running plans were made of.
    running: Content,
    /// What was refused since then.
    refused: Option<Sight>,
    /// What the last look saw, where that is neither.
    unsettled: Option<Sight>,
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folder")
            .field("mapping", &self.mapping)
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

/// Each file of a folder, by its path below it, with the hash of its text.
type Content = BTreeMap<String, [u8; 32]>;

/// What a look at a folder saw.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sight {
    Content(Content),
    /// It cannot be read, for this reason.
    Unreadable(String),
}

/// What came of a look, where there is something to tell.
#[derive(Debug)]
enum Outcome {
    /// Other plans are in force, or the same ones again after a mistake.
    Reloaded { difference: Difference, files: usize, plans: Arc<Plans> },
    /// The plans before stay in force.
    Refused { why: SetupError, told_before: bool },
    /// Somebody asked, and there is nothing new.
    Unchanged,
}

/// What is to be done about what a look saw.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// It is what it was.
    Nothing,
    /// It may be half written: look again.
    Wait,
    /// The mistakes are gone, by going back to what runs.
    Mended,
    Compile,
}

/// How often the folders are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

impl Folder {
    /// Reads the folder for the first time.
    ///
    /// # Errors
    /// It cannot be read, or its files hold mistakes.
    pub(super) fn open(mapping: String, dir: PathBuf, compile: Compile) -> Result<Self, SetupError> {
        let files = mapping::load(&dir)?;
        let plans = Arc::new(compile(&files)?);
        let running = content(&dir, &files);
        let plans = watch::Sender::new(plans);
        Ok(Self { mapping, dir, compile, plans, running, refused: None, unsettled: None })
    }

    /// The plans, as they change.
    pub(super) fn plans(&self) -> watch::Receiver<Arc<Plans>> {
        self.plans.subscribe()
    }

    /// Reads the folder and does what is to be done. Blocks.
    fn look(&mut self, asked: bool) -> Option<Outcome> {
        let loaded = mapping::load(&self.dir);
        let sight = match &loaded {
            Ok(files) => Sight::Content(content(&self.dir, files)),
            Err(error) => Sight::Unreadable(chain(error)),
        };
        match self.step(&sight, asked) {
            Step::Nothing => {
                self.unsettled = None;
                asked.then_some(Outcome::Unchanged)
            }
            Step::Wait => {
                debug!(
                    mapping = self.mapping,
                    "the mapping folder has changed; it is read once it has settled"
                );
                self.unsettled = Some(sight);
                None
            }
            Step::Mended => {
                (self.refused, self.unsettled) = (None, None);
                let (files, plans) = (self.running.len(), self.plans.borrow().clone());
                Some(Outcome::Reloaded { difference: Difference::default(), files, plans })
            }
            Step::Compile => {
                self.unsettled = None;
                Some(match loaded.map_err(SetupError::from).and_then(|files| (self.compile)(&files)) {
                    Ok(plans) => self.adopt(sight, Arc::new(plans)),
                    Err(why) => {
                        let told_before = self.refused.replace(sight.clone()) == Some(sight);
                        Outcome::Refused { why, told_before }
                    }
                })
            }
        }
    }

    /// What is to be done; a state that was told of is looked into again only when somebody asks.
    fn step(&self, sight: &Sight, asked: bool) -> Step {
        let runs = matches!(sight, Sight::Content(content) if *content == self.running);
        match &self.refused {
            Some(refused) if refused == sight && !asked => Step::Nothing,
            None if runs => Step::Nothing,
            _ if !asked && self.unsettled.as_ref() != Some(sight) => Step::Wait,
            Some(_) if runs => Step::Mended,
            _ => Step::Compile,
        }
    }

    fn adopt(&mut self, sight: Sight, plans: Arc<Plans>) -> Outcome {
        let Sight::Content(now) = sight else { return Outcome::Unchanged };
        let difference = difference(&self.running, &now);
        let files = now.len();
        (self.running, self.refused) = (now, None);
        self.plans.send_replace(Arc::clone(&plans));
        Outcome::Reloaded { difference, files, plans }
    }

    /// Says what came of a look, and whether somebody had asked for it.
    fn tell(&self, outcome: Outcome, asked: bool, voice: &Voice) {
        let (mapping, folder) = (&*self.mapping, self.dir.display());
        match outcome {
            Outcome::Reloaded { difference, files, plans } => {
                let event = OwnEvent::mapping_reloaded(mapping, &self.dir, &difference, files, &plans);
                info!(mapping, %folder, files, asked, "{}", event.message());
                voice.say(event);
            }
            Outcome::Refused { why, told_before } => {
                let event = match &why {
                    SetupError::Mapping(problems) => {
                        let shown: Vec<_> = problems.iter().map(|problem| problem.render(false)).collect();
                        error!(
                            mapping, %folder, mistakes = problems.len(),
                            "the mapping is refused, the one before it stays in force:\n{}", shown.join("\n\n")
                        );
                        problems
                            .first()
                            .map(|first| OwnEvent::mapping_refused(mapping, &self.dir, first, problems.len()))
                    }
                    other => {
                        error!(
                            mapping, %folder,
                            "the mapping is refused, the one before it stays in force: {}", chain(other)
                        );
                        Some(OwnEvent::mapping_unusable(mapping, &self.dir, other))
                    }
                };
                if let Some(event) = event.filter(|_| !told_before) {
                    voice.say(event);
                }
            }
            Outcome::Unchanged => info!(mapping, %folder, "nothing in the mapping folder has changed"),
        }
    }
}

/// Looks at the folders until it is dropped; at once when `asked` is notified.
pub(super) async fn watch(mut folders: Vec<Folder>, asked: Arc<Notify>, voice: Voice) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let asked = tokio::select! {
            () = asked.notified() => true,
            _ = ticks.tick(), if !folders.is_empty() => false,
        };
        if asked && folders.is_empty() {
            info!("no destination has a mapping folder: there is nothing to read again");
        }
        let looked = spawn_blocking(move || {
            let outcomes: Vec<_> = folders.iter_mut().map(|folder| folder.look(asked)).collect();
            (folders, outcomes)
        });
        let outcomes;
        (folders, outcomes) = match looked.await {
            Ok(looked) => looked,
            Err(broken) => {
                warn!("mapping folders are not looked at any more until a restart: {broken}");
                return;
            }
        };
        for (folder, outcome) in folders.iter().zip(outcomes) {
            if let Some(outcome) = outcome {
                folder.tell(outcome, asked, &voice);
            }
        }
    }
}

fn content(dir: &std::path::Path, files: &[MappingFile]) -> Content {
    let inside = |name: &str| {
        let path = std::path::Path::new(name);
        path.strip_prefix(dir).unwrap_or(path).display().to_string()
    };
    files.iter().map(|file| (inside(&file.name), Sha256::digest(file.text.as_bytes()).into())).collect()
}

fn difference(before: &Content, now: &Content) -> Difference {
    let names = |some: &Content, other: &Content| -> BTreeSet<String> {
        some.keys().filter(|name| !other.contains_key(*name)).cloned().collect()
    };
    let changed = now.iter().filter(|(name, hash)| before.get(*name).is_some_and(|was| was != *hash));
    Difference {
        added: names(now, before),
        removed: names(before, now),
        changed: changed.map(|(name, _)| name.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    const HEAD: &str = "version = 1\nlog = \"audit\"\n";

    /// A folder with `acme.toml`, opened.
    fn opened() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "");
        let compile = |files: &[MappingFile]| {
            let mut all = mapping::builtin();
            all.extend_from_slice(files);
            mapping::compile(&all).map_err(SetupError::Mapping)
        };
        let folder = Folder::open("acme".to_owned(), dir.path().to_owned(), Box::new(compile)).unwrap();
        (dir, folder)
    }

    fn write(dir: &Path, more: &str) {
        fs::write(dir.join("acme.toml"), format!("{HEAD}{more}")).unwrap();
    }

    /// What a look comes to: nothing (`.`), reloaded (`+`) or refused (`-`, `=` when known).
    fn look(folder: &mut Folder, asked: bool) -> char {
        match folder.look(asked) {
            None => '.',
            Some(Outcome::Reloaded { .. }) => '+',
            Some(Outcome::Refused { told_before: false, .. }) => '-',
            Some(Outcome::Refused { told_before: true, .. }) => '=',
            Some(Outcome::Unchanged) => 'u',
        }
    }

    fn looks(folder: &mut Folder, count: usize) -> String {
        (0..count).map(|_| look(folder, false)).collect()
    }

    #[test]
    fn a_change_is_taken_when_two_looks_see_the_same() {
        let (dir, mut folder) = opened();
        let mut plans = folder.plans();
        assert_eq!(looks(&mut folder, 3), "...");
        write(dir.path(), "[fields]\nAcme");
        assert_eq!(looks(&mut folder, 1), ".");
        write(dir.path(), "[fields]\nAcmeTenant = \"emea\"\n");
        assert_eq!(looks(&mut folder, 1), ".");
        assert!(!plans.has_changed().unwrap());
        assert_eq!(looks(&mut folder, 3), "+..");
        assert!(plans.has_changed().unwrap());
        plans.mark_unchanged();
        // A change that is taken back before it was taken was none.
        write(dir.path(), "[fields]\nAcmeTenant = \"apac\"\n");
        assert_eq!(looks(&mut folder, 1), ".");
        write(dir.path(), "[fields]\nAcmeTenant = \"emea\"\n");
        assert_eq!(looks(&mut folder, 3), "...");
        assert!(!plans.has_changed().unwrap());
    }

    #[test]
    fn a_mistake_is_told_once_and_so_is_its_end() {
        let (dir, mut folder) = opened();
        let plans = folder.plans();
        write(dir.path(), "[fields]\nsuserr = \"x\"\n");
        assert_eq!(looks(&mut folder, 4), ".-..");
        // Asked, it is shown again; another mistake is another matter.
        assert_eq!(look(&mut folder, true), '=');
        write(dir.path(), "[fields]\nsuserrr = \"x\"\n");
        assert_eq!(looks(&mut folder, 4), ".-..");
        assert!(!plans.has_changed().unwrap());
        write(dir.path(), "");
        assert_eq!(looks(&mut folder, 4), ".+..");
        assert!(!plans.has_changed().unwrap(), "the plans are what they were");
        assert_eq!(look(&mut folder, true), 'u');
    }

    #[test]
    fn a_folder_that_is_gone_is_told_once() {
        let (dir, mut folder) = opened();
        let aside = dir.path().with_extension("aside");
        fs::create_dir(&aside).unwrap();
        fs::copy(dir.path().join("acme.toml"), aside.join("acme.toml")).unwrap();
        fs::remove_dir_all(dir.path()).unwrap();
        assert_eq!(looks(&mut folder, 4), ".-..");
        // As a whole, the way that mounted folders come back.
        std::os::unix::fs::symlink(&aside, dir.path()).unwrap();
        assert_eq!(looks(&mut folder, 4), ".+..");
        fs::remove_file(dir.path()).unwrap();
        fs::create_dir(dir.path()).unwrap();
    }

    #[test]
    fn asked_it_takes_a_change_at_once_and_says_what_it_is() {
        let (dir, mut folder) = opened();
        fs::remove_file(dir.path().join("acme.toml")).unwrap();
        fs::create_dir(dir.path().join("more")).unwrap();
        fs::write(dir.path().join("more/vip.toml"), HEAD).unwrap();
        let Some(Outcome::Reloaded { difference, files, .. }) = folder.look(true) else {
            panic!("not taken")
        };
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let expected = Difference {
            added: names(&["more/vip.toml"]),
            removed: names(&["acme.toml"]),
            changed: names(&[]),
        };
        assert_eq!((difference, files), (expected, 1));
    }
}
