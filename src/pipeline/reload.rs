//! Files read again when they change, and at once when asked to: the configuration (`following`)
//! and, here, the mapping folders.
//!
//! What a folder holds is compared every two seconds: watching by the file system misses files
//! that change by a link (a Kubernetes `ConfigMap`) or on another machine, and twenty small files
//! cost nothing. [`Settling`] says when a change is taken.
//!
//! **Invariant:** destinations get whole plans or none: files with a mistake leave the plans before
//! them in force.
//! **Invariant:** a state of a folder is told once: in the log with every mistake, and as an own
//! event.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, error, info, warn};

use super::difference::Difference;
use super::following::Following;
use super::own::OwnEvent;
use super::prepared::Mappings;
use super::settling::{Settling, Step};
use super::setup::SetupError;
use super::voice::Voice;
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
    /// What the running plans were made of, and what was seen since then.
    settling: Settling<Content>,
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
        let settling = Settling::new(content(&dir, &files));
        Ok(Self { mapping, dir, compile, plans: watch::Sender::new(plans), settling })
    }

    /// The plans, as they change.
    pub(super) fn plans(&self) -> watch::Receiver<Arc<Plans>> {
        self.plans.subscribe()
    }

    /// Has those that follow the plans of `before` follow these from now on.
    pub(super) fn replace(&mut self, before: Self) {
        before.plans.send_replace(self.plans.borrow().clone());
        self.plans = before.plans;
    }

    /// Reads the folder and does what is to be done. Blocks.
    fn look(&mut self, asked: bool) -> Option<Outcome> {
        let loaded = mapping::load(&self.dir);
        let sight = match &loaded {
            Ok(files) => Ok(content(&self.dir, files)),
            Err(error) => Err(chain(error)),
        };
        match self.settling.step(&sight, asked) {
            Step::Nothing => asked.then_some(Outcome::Unchanged),
            Step::Wait => {
                debug!(
                    mapping = self.mapping,
                    "the mapping folder has changed; it is read once it has settled"
                );
                None
            }
            Step::Mended => {
                self.settling.mended();
                let (files, plans) = (self.settling.running().len(), self.plans.borrow().clone());
                Some(Outcome::Reloaded { difference: Difference::default(), files, plans })
            }
            Step::Take => {
                Some(match loaded.map_err(SetupError::from).and_then(|files| (self.compile)(&files)) {
                    Ok(plans) => self.adopt(sight.unwrap_or_default(), Arc::new(plans)),
                    Err(why) => Outcome::Refused { why, told_before: self.settling.refuse(sight) },
                })
            }
        }
    }

    fn adopt(&mut self, now: Content, plans: Arc<Plans>) -> Outcome {
        let difference = Difference::between(self.settling.running(), &now);
        let files = now.len();
        self.settling.adopt(now);
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

/// Looks at the configuration, where it is to be followed, and at the mapping folders until it is
/// dropped; at once when `asked` is notified.
pub(super) async fn watch(
    mut mappings: Mappings,
    mut following: Option<Following>,
    asked: Arc<Notify>,
    voice: Voice,
) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let asked = tokio::select! {
            () = asked.notified() => true,
            _ = ticks.tick(), if following.is_some() || !mappings.folders.is_empty() => false,
        };
        if let Some(following) = &mut following {
            following.look(asked, &mut mappings, &voice).await;
        }
        if asked && mappings.folders.is_empty() {
            info!("no destination has a mapping folder: there is none to read again");
        }
        let looked = spawn_blocking(move || {
            let outcomes: Vec<_> = mappings.folders.values_mut().map(|folder| folder.look(asked)).collect();
            (mappings, outcomes)
        });
        let outcomes;
        (mappings, outcomes) = match looked.await {
            Ok(looked) => looked,
            Err(broken) => {
                warn!("nothing is read again any more until a restart: {broken}");
                return;
            }
        };
        for (folder, outcome) in mappings.folders.values().zip(outcomes) {
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
