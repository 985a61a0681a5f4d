//! One batch as it lies in its row: entries framed, compressed once, checked.
//!
//! Before compression a body is its entries, one after the other; numbers are LEB128, signed ones
//! zigzag first:
//!
//! ```text
//! log · time · length, id · length, action · length, raw JSON      once for each entry
//! ```
//!
//! It is then one zstd frame of level 1 (level 3 is no smaller here) with the frame's content
//! checksum. `codec` = 1 names all of this; a change gets a new number and this one stays readable.
//!
//! **Invariant:** entries read back are slices of the one buffer that was decompressed.

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use rusqlite::{Connection, OptionalExtension, Row};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

use super::SourceId;
use super::check::{self, Seal, Sealed};
use crate::event::{Action, Entry, EntryId, Log, Text, UnixTime};

/// The only framing so far.
const CODEC: u8 = 1;

/// A buffer larger than this is given back after use.
const KEPT_BUFFER: usize = 2 << 20;

/// Everything about a batch but its body.
#[derive(Debug, Clone)]
pub(super) struct Header {
    /// Batches are numbered from 1 without gaps.
    pub(super) number: u64,
    /// How many entries were stored before this batch's first.
    pub(super) serial: u64,
    pub(super) source: SourceId,
    pub(super) count: u32,
    /// Event times of the oldest and the newest entry.
    pub(super) first: UnixTime,
    pub(super) last: UnixTime,
    /// When it was stored, by this machine's clock.
    pub(super) stored: UnixTime,
    /// A random number that the batch's ids repeat, so that an id left behind by a batch that was
    /// never finished cannot pass for one of the batch that got its number.
    pub(super) tag: u16,
    pub(super) seal: BodySeal,
}

/// What the header knows of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BodySeal {
    pub(super) codec: u8,
    /// Bytes before compression.
    pub(super) size: u32,
    /// Bytes after it.
    pub(super) packed: u32,
    /// The zstd frame's content checksum: its last four bytes.
    pub(super) guard: u32,
}

impl Header {
    const COLUMNS: &'static str = "number, serial, source, count, first, last, stored, tag, codec, size, packed, guard, seal, length(body)";

    /// The header of that batch, when its row is there and every check over it holds.
    ///
    /// Reads no body. `None` is damage; errors are failures to read.
    pub(super) fn find(db: &Connection, number: u64) -> rusqlite::Result<Option<Self>> {
        let sql = format!("SELECT {} FROM batch WHERE number = ?1", Self::COLUMNS);
        let found = db.prepare_cached(&sql)?.query_row([number], Self::read).optional();
        match found {
            Ok(header) => Ok(header.flatten().filter(|header| header.number == number)),
            Err(error) if check::is_damage(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Option<Self>> {
        let header = Self {
            number: row.get(0)?,
            serial: row.get(1)?,
            source: SourceId(row.get::<_, Arc<str>>(2)?),
            count: row.get(3)?,
            first: UnixTime::from_seconds(row.get(4)?),
            last: UnixTime::from_seconds(row.get(5)?),
            stored: UnixTime::from_seconds(row.get(6)?),
            tag: row.get(7)?,
            seal: BodySeal {
                codec: row.get(8)?,
                size: row.get(9)?,
                packed: row.get(10)?,
                guard: row.get(11)?,
            },
        };
        let sealed: Sealed = row.get(12)?;
        let length: u32 = row.get(13)?;
        let stands = sealed == header.sealed() && length == header.seal.packed && header.seal.codec == CODEC;
        Ok(stands.then_some(header))
    }

    /// Stores the batch.
    pub(super) fn insert(&self, db: &Connection, body: &[u8]) -> rusqlite::Result<()> {
        db.prepare_cached(
            "INSERT INTO batch (number, serial, source, count, first, last, stored, tag, codec, size, packed, guard, seal, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?
        .execute(rusqlite::params![
            self.number,
            self.serial,
            self.source.as_str(),
            self.count,
            self.first.seconds(),
            self.last.seconds(),
            self.stored.seconds(),
            self.tag,
            self.seal.codec,
            self.seal.size,
            self.seal.packed,
            self.seal.guard,
            self.sealed(),
            body,
        ])?;
        Ok(())
    }

    fn sealed(&self) -> Sealed {
        Seal::of("batch")
            .number(self.number)
            .number(self.serial)
            .text(self.source.as_str())
            .number(self.count)
            .number(self.first.seconds())
            .number(self.last.seconds())
            .number(self.stored.seconds())
            .number(self.tag)
            .number(self.seal.codec)
            .number(self.seal.size)
            .number(self.seal.packed)
            .number(self.seal.guard)
            .finish()
    }

    /// Whether the row's body ends as its header says: enough to know that its chain of pages was
    /// not led astray, without decompressing it.
    pub(super) fn body_ends_well(&self, db: &Connection) -> rusqlite::Result<bool> {
        self.with_body(db, |body| self.seal.matches(body)).map(|ends| ends.unwrap_or(false))
    }

    /// Applies `look` to the body where it lies; `None` is damage.
    fn with_body<T>(&self, db: &Connection, look: impl FnOnce(&[u8]) -> T) -> rusqlite::Result<Option<T>> {
        let mut statement = db.prepare_cached("SELECT body FROM batch WHERE number = ?1")?;
        let looked = statement.query_row([self.number], |row| Ok(look(row.get_ref(0)?.as_blob()?)));
        match looked {
            Ok(looked) => Ok(Some(looked)),
            Err(error) if check::is_damage(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The entry count as the serial number behind the batch.
    pub(super) fn end(&self) -> u64 {
        self.serial.saturating_add(u64::from(self.count))
    }
}

impl BodySeal {
    fn matches(self, body: &[u8]) -> bool {
        body.len() == self.packed as usize && guard_of(body) == Some(self.guard)
    }
}

fn guard_of(frame: &[u8]) -> Option<u32> {
    frame.last_chunk().map(|last| u32::from_le_bytes(*last))
}

/// Frames and compresses entries.
pub(super) struct Packer {
    zstd: Compressor<'static>,
    plain: Vec<u8>,
}

impl Packer {
    pub(super) fn new() -> io::Result<Self> {
        let mut zstd = Compressor::new(1)?;
        zstd.set_parameter(CParameter::ChecksumFlag(true))?;
        Ok(Self { zstd, plain: Vec::new() })
    }

    /// Adds one entry to the batch.
    pub(super) fn push(&mut self, entry: &Entry) {
        let log = Log::ALL.iter().position(|log| *log == entry.log()).unwrap_or_default();
        put(&mut self.plain, log as u64);
        put(&mut self.plain, zigzag(entry.at().seconds()));
        for part in [entry.id().as_str().as_bytes(), entry.action().as_str().as_bytes(), entry.raw()] {
            put(&mut self.plain, part.len() as u64);
            self.plain.extend_from_slice(part);
        }
    }

    /// How large the batch has grown, in bytes before compression.
    pub(super) fn len(&self) -> usize {
        self.plain.len()
    }

    /// Ends the batch; `None` when it is too large for a row.
    pub(super) fn finish(&mut self) -> io::Result<Option<(BodySeal, Vec<u8>)>> {
        let body = self.zstd.compress(&self.plain)?;
        let seal = || {
            Some(BodySeal {
                codec: CODEC,
                size: self.plain.len().try_into().ok()?,
                packed: body.len().try_into().ok()?,
                guard: guard_of(&body)?,
            })
        };
        let seal = seal();
        self.clear();
        Ok(seal.map(|seal| (seal, body)))
    }

    /// Forgets what was added.
    pub(super) fn clear(&mut self) {
        self.plain.clear();
        self.plain.shrink_to(KEPT_BUFFER);
    }
}

/// Decompresses and unframes entries.
pub(super) struct Unpacker {
    zstd: Decompressor<'static>,
}

impl Unpacker {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { zstd: Decompressor::new()? })
    }

    /// The entries of a batch; `None` when any check over them fails.
    pub(super) fn entries(
        &mut self,
        db: &Connection,
        header: &Header,
    ) -> rusqlite::Result<Option<Vec<Entry>>> {
        let unpacked = header.with_body(db, |body| self.unpack(header, body))?;
        Ok(unpacked.flatten())
    }

    fn unpack(&mut self, header: &Header, body: &[u8]) -> Option<Vec<Entry>> {
        let size = header.seal.size as usize;
        if !header.seal.matches(body) {
            return None;
        }
        let plain = self.zstd.decompress(body, size).ok()?;
        if plain.len() != size {
            return None;
        }
        let mut rest = Unframe(Bytes::from(plain));
        let entries: Vec<_> = (0..header.count).map_while(|_| rest.entry()).collect();
        (entries.len() == header.count as usize && rest.0.is_empty()).then_some(entries)
    }
}

struct Unframe(Bytes);

impl Unframe {
    fn entry(&mut self) -> Option<Entry> {
        let log = *Log::ALL.get(usize::try_from(self.number()?).ok()?)?;
        let at = UnixTime::from_seconds(unzigzag(self.number()?));
        let id = EntryId::given(self.text()?);
        let action = Action::new(self.text()?);
        let raw = self.part()?;
        Some(Entry::from_parts(log, id, action, at, raw))
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.0.try_get_u8().ok()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn part(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.number()?).ok()?;
        (length <= self.0.len()).then(|| self.0.split_to(length))
    }

    fn text(&mut self) -> Option<Text> {
        Text::from_utf8(self.part()?)
    }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

const fn zigzag(number: i64) -> u64 {
    (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned()
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}
