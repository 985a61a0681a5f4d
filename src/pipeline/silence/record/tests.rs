use super::*;

const DAY: i64 = 86_400;
const START: i64 = 1_786_924_800;
const SETTINGS: config::Quiet = config::Quiet { after: Some(Duration::from_secs(86_400)), learned: true };

fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(START + seconds)
}

/// Reads up to there, at once.
fn look(record: &mut Record, seconds: i64) -> Option<News> {
    record.look(at(seconds), SETTINGS, at(seconds))
}

fn quiet(news: Option<News>) -> (Quiet, i64) {
    let Some(News::Quiet { quiet, seconds, .. }) = news else { panic!("{news:?}") };
    (quiet, seconds)
}

#[test]
fn a_silence_is_told_once_and_its_end_once() {
    let mut record = Record::new("");
    record.begin(at(0));
    record.read(&[at(50), at(100)], 2, at(200));
    assert_eq!(look(&mut record, 200), None);
    assert_eq!(look(&mut record, DAY + 99), None);
    let (told, seconds) = quiet(look(&mut record, DAY + 100));
    let expected = Quiet { since: at(100), because: Because::QuietAfter, told_at: at(DAY + 100) };
    assert_eq!((told, seconds), (expected, DAY));
    for later in 2..40 {
        assert_eq!(look(&mut record, later * DAY), None, "{later}");
    }
    // Read once more, what was there before ends nothing.
    record.read(&[at(50), at(100)], 0, at(40 * DAY));
    assert_eq!(look(&mut record, 40 * DAY + 1), None);
    record.read(&[at(40 * DAY + 7)], 1, at(40 * DAY + 60));
    let recovered = look(&mut record, 40 * DAY + 60);
    assert_eq!(recovered, Some(News::Recovered { quiet: told, seconds: 40 * DAY - 93 }));
    assert_eq!((look(&mut record, 40 * DAY + 90), record.quiet()), (None, None));
    assert!(matches!(look(&mut record, 42 * DAY), Some(News::Quiet { .. })), "and it may come again");
}

#[test]
fn without_any_entry_it_lasts_from_where_reading_began() {
    let mut record = Record::new("");
    assert_eq!(look(&mut record, 9), None);
    assert_eq!(look(&mut record, DAY + 9), None);
    assert_eq!(quiet(look(&mut record, DAY + 10)).0.since, at(10));
}

#[test]
fn what_was_not_read_is_no_silence() {
    let mut record = Record::new("");
    record.begin(at(0));
    record.read(&[at(100)], 1, at(200));
    look(&mut record, 200);
    // Slack could not be read for a week, and had entries all the while.
    record.read(&[at(3 * DAY), at(7 * DAY - 50)], 2, at(7 * DAY));
    assert_eq!(look(&mut record, 7 * DAY), None);
}

#[test]
fn an_entry_of_the_future_does_not_hide_a_silence() {
    let mut record = Record::new("");
    record.begin(at(0));
    record.read(&[at(100), at(900 * DAY)], 2, at(200));
    assert_eq!(record.newest, Some(at(100)));
    assert!(look(&mut record, DAY + 100).is_some());
}

#[test]
fn a_restart_goes_on_with_the_silence() {
    let mut record = Record::new("");
    record.begin(at(0));
    record.read(&[at(100)], 1, at(200));
    look(&mut record, 200);
    // After a crash the store knows of an entry more than the file.
    let kept = record.clone();
    record.resume(Standpoint { newest: Some(at(500)), read_up_to: Some(at(600)) }, at(700));
    assert_eq!(look(&mut record, DAY + 499), None);
    assert_eq!(quiet(look(&mut record, DAY + 500)).0.since, at(500));
    // Told before the restart, and over after it.
    let told = serde_json::from_str::<Record>(&serde_json::to_string(&record).unwrap()).unwrap();
    assert_eq!(told, record);
    record.resume(Standpoint { newest: Some(at(500)), read_up_to: Some(at(2 * DAY)) }, at(2 * DAY));
    assert_eq!(look(&mut record, 2 * DAY), None);
    record.resume(Standpoint { newest: Some(at(3 * DAY)), read_up_to: Some(at(3 * DAY)) }, at(3 * DAY));
    assert!(matches!(look(&mut record, 3 * DAY), Some(News::Recovered { .. })));
    // A store that knows nothing, or nonsense, takes nothing away.
    let mut record = kept.clone();
    record.resume(Standpoint::default(), at(700));
    assert_eq!(record, kept);
    record.resume(Standpoint { newest: Some(at(900 * DAY)), read_up_to: None }, at(700));
    assert_eq!(record, kept);
}

#[test]
fn the_learned_bound_can_be_put_off_and_never_delays_the_other() {
    let learned = || {
        let mut record = Record::new("");
        record.begin(at(0));
        for minute in 0..3 * 7 * 24 * 60 {
            record.read(&[at(minute * 60)], 1, at(60 * DAY));
        }
        record
    };
    let last = 21 * DAY - 60;
    let mut record = learned();
    assert_eq!(look(&mut record, last + 1_199), None);
    let (told, _) = quiet(look(&mut record, last + 1_260));
    assert_eq!((told.because, told.since), (Because::Unusual, at(last)));
    let mut record = learned();
    let without = config::Quiet { learned: false, ..SETTINGS };
    assert_eq!(record.look(at(last + DAY - 1), without, at(last)), None);
    assert!(record.look(at(last + DAY), without, at(last)).is_some());
    let mut record = learned();
    let soon = config::Quiet { after: Some(Duration::from_secs(60)), learned: true };
    assert!(record.look(at(last + 60), soon, at(last)).is_some());
    let mut record = learned();
    let off = config::Quiet { after: None, learned: true };
    assert_eq!(record.look(at(last + 9 * DAY), off, at(last)), None);
}
