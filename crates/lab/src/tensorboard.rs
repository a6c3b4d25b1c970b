//! Metrics as TensorBoard reads them.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The directory of the event files in a run directory.
pub(crate) const DIR: &str = "tensorboard";

/// Writes scalars as TensorBoard event files, one file per session of a run.
///
/// A session that goes back to an earlier step says so, and TensorBoard drops what the sessions before it wrote
/// beyond. A record that a kill cut short is the last of its file, where TensorBoard expects that.
///
/// # Format
///
/// A file is a sequence of TFRecords: the length of the data (u64), its checksum, the data, its checksum; little
/// endian, checksums masked CRC-32C. The data are protobuf messages `Event`, of which four fields are used:
///
/// ```text
/// Event   { 1: double wall_time, 2: int64 step, 3: string file_version, 5: Summary summary, 7: SessionLog session_log }
/// Summary { 1: repeated Value }    Value { 1: string tag, 2: float simple_value }    SessionLog { 1: enum status }
/// ```
///
/// # Proved by
///
/// `event_files_are_the_bytes_that_tensorboard_read`, `checksum_agrees_with_the_standard`.
#[derive(Debug)]
pub(crate) struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// Begins the file of a session of a run, counted from 1. TensorBoard reads files in the order of their names.
    pub(crate) fn open(dir: &Path, session: u64, wall: f64) -> Result<Self> {
        let dir = dir.join(DIR);
        fs::create_dir_all(&dir).map_err(Error::io("cannot create", &dir))?;
        let path = dir.join(format!("events.out.tfevents.{session:06}"));
        let file = OpenOptions::new().append(true).create(true).open(&path);
        let file = file.map_err(Error::io("cannot open", &path))?;
        let mut events = Self { path, file };
        let mut version = Message::event(wall, 0);
        version.bytes(3, b"brain.Event:2");
        events.append(&version)?;
        Ok(events)
    }

    /// Values of a phase at a step, under the tags `phase/name`.
    pub(crate) fn write(&mut self, wall: f64, step: u64, phase: &str, values: &[(&str, f64)]) -> Result<()> {
        let mut summary = Message::default();
        for (name, value) in values {
            let mut scalar = Message::default();
            scalar.bytes(1, format!("{phase}/{name}").as_bytes());
            scalar.float(2, *value as f32);
            summary.bytes(1, &scalar.0);
        }
        let mut event = Message::event(wall, step);
        event.bytes(5, &summary.0);
        self.append(&event)
    }

    /// Says that the run goes on after `step`: what was written beyond it is void.
    pub(crate) fn rewind(&mut self, wall: f64, step: u64) -> Result<()> {
        const START: u64 = 1;
        let mut log = Message::default();
        log.integer(1, START);
        let mut event = Message::event(wall, step + 1);
        event.bytes(7, &log.0);
        self.append(&event)
    }

    fn append(&mut self, event: &Message) -> Result<()> {
        // One call, so that only a kill in its midst leaves a part.
        self.file
            .write_all(&record(&event.0))
            .map_err(Error::io("cannot write", &self.path))
    }
}

/// A protobuf message in the making.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn event(wall: f64, step: u64) -> Self {
        let mut event = Self::default();
        event.key(1, 1);
        event.0.extend_from_slice(&wall.to_le_bytes());
        event.integer(2, step);
        event
    }

    /// The number of a field and how it is stored: 0 varint, 1 eight bytes, 2 with its length, 5 four bytes.
    fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    /// Seven bits a byte, lowest first; the top bit says that more follow.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn integer(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.varint(value);
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }
}

/// The data of a TFRecord in their frame.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend_from_slice(&masked(crc32c(&length)).to_le_bytes());
    record.extend_from_slice(data);
    record.extend_from_slice(&masked(crc32c(data)).to_le_bytes());
    record
}

/// So that the checksum of data that hold checksums is still one.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bit by bit: a line of metrics has a few hundred bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Read by TensorBoard itself; see `read.py` there.
    fn golden(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("golden/tensorboard")
            .join(name)
    }

    #[test]
    fn checksum_agrees_with_the_standard() {
        // RFC 3720, B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    /// A session that is killed in a record after step 30, and one that goes on from step 20.
    fn story(dir: &Path) {
        let mut first = Events::open(dir, 1, 1e9).unwrap();
        first.rewind(1e9, 0).unwrap();
        for (step, loss) in [(10, 1.5), (20, 1.25), (30, 64.0)] {
            let wall = 1e9 + step as f64;
            first
                .write(
                    wall,
                    step,
                    "train",
                    &[("loss", loss), ("rnnt/speech", loss / 2.0)],
                )
                .unwrap();
        }
        first.write(1e9 + 31.0, 30, "dev", &[("wer", 99.0)]).unwrap();
        first.write(1e9 + 32.0, 40, "train", &[("loss", 32.0)]).unwrap();
        let path = first.path.clone();
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();

        let mut second = Events::open(dir, 2, 1e9 + 60.0).unwrap();
        second.rewind(1e9 + 60.0, 20).unwrap();
        for (step, loss) in [(30, 1.125), (300, 1.0)] {
            second
                .write(
                    1e9 + 61.0,
                    step,
                    "train",
                    &[("loss", loss), ("rnnt/speech", loss / 2.0)],
                )
                .unwrap();
        }
    }

    #[test]
    fn event_files_are_the_bytes_that_tensorboard_read() {
        let dir = tempfile::tempdir().unwrap();
        story(dir.path());
        for name in ["events.out.tfevents.000001", "events.out.tfevents.000002"] {
            let written = fs::read(dir.path().join(DIR).join(name)).unwrap();
            if fs::read(golden(name)).ok() != Some(written) {
                panic!(
                    "{name} is not the golden file; what was written is in {}",
                    dir.keep().display()
                );
            }
        }
        // Neither the loss of 64 nor the value of the error rate survives: they are of the tail that was dropped.
        let read: serde_json::Value =
            serde_json::from_slice(&fs::read(golden("read.json")).unwrap()).unwrap();
        let expected = serde_json::json!({
            "dev/wer": [],
            "train/loss": [[10, 1.5], [20, 1.25], [30, 1.125], [300, 1.0]],
            "train/rnnt/speech": [[10, 0.75], [20, 0.625], [30, 0.5625], [300, 0.5]],
        });
        assert_eq!(read, expected);
    }
}
