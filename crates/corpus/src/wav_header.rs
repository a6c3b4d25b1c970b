//! How long a WAV file is, from its header alone.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::{Error, Result};

/// Sample rate and number of samples per channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WavHeader {
    pub(crate) sample_rate: u32,
    pub(crate) num_samples: u64,
}

/// Reads the `fmt ` and `data` chunk headers of a RIFF WAVE file.
pub(crate) fn read(path: &Path) -> Result<WavHeader> {
    let wrong = |what: &'static str| Error::WavHeader {
        path: path.to_path_buf(),
        what,
    };
    let file = std::fs::File::open(path).map_err(Error::io("audio", path))?;
    let file_length = file.metadata().map_err(Error::io("audio", path))?.len();
    let mut reader = BufReader::new(file);
    let mut riff = [0; 12];
    reader
        .read_exact(&mut riff)
        .map_err(|_| wrong("the file ends within the RIFF header"))?;
    if &riff[..4] != b"RIFF" || &riff[8..] != b"WAVE" {
        return Err(wrong("no RIFF WAVE mark"));
    }
    let mut format = None;
    loop {
        let mut chunk = [0; 8];
        reader
            .read_exact(&mut chunk)
            .map_err(|_| wrong("no data chunk"))?;
        let length = u64::from(u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]));
        match &chunk[..4] {
            b"fmt " => {
                let mut body = [0; 16];
                if length < 16 {
                    return Err(wrong("the fmt chunk is shorter than 16 bytes"));
                }
                reader
                    .read_exact(&mut body)
                    .map_err(|_| wrong("the file ends within the fmt chunk"))?;
                let sample_rate = u32::from_le_bytes([body[4], body[5], body[6], body[7]]);
                let frame_bytes = u16::from_le_bytes([body[12], body[13]]);
                if sample_rate == 0 || frame_bytes == 0 {
                    return Err(wrong("the fmt chunk says zero hertz or zero bytes per sample"));
                }
                format = Some((sample_rate, u64::from(frame_bytes)));
                skip(&mut reader, length - 16 + length % 2).map_err(Error::io("audio", path))?;
            }
            b"data" => {
                let (sample_rate, frame_bytes) =
                    format.ok_or_else(|| wrong("no fmt chunk before the data"))?;
                let at = reader.stream_position().map_err(Error::io("audio", path))?;
                if at + length > file_length {
                    return Err(wrong("truncated: the data chunk is longer than the file"));
                }
                return Ok(WavHeader {
                    sample_rate,
                    num_samples: length / frame_bytes,
                });
            }
            _ => skip(&mut reader, length + length % 2).map_err(Error::io("audio", path))?,
        }
    }
}

fn skip(reader: &mut (impl Read + Seek), bytes: u64) -> std::io::Result<()> {
    reader.seek(SeekFrom::Current(bytes as i64)).map(|_| ())
}
