//! What the first bytes of a file say, before a decoder sees it.

/// Size fields from here up are what programs write that do not know the size yet.
const OPEN_SIZE: u32 = 0x7FFF_0000;

/// The kind of file, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Wave,
    Flac,
    Ogg,
    /// Anything else: perhaps MPEG audio, which has no signature at its start.
    Other,
}

impl Container {
    pub(crate) fn sniff(bytes: &[u8]) -> Self {
        if bytes.starts_with(b"RIFF") && bytes.get(8..12).is_none_or(|form| form == b"WAVE") {
            Self::Wave
        } else if bytes.starts_with(b"fLaC") {
            Self::Flac
        } else if bytes.starts_with(b"OggS") {
            Self::Ogg
        } else {
            Self::Other
        }
    }
}

/// Names content that is not audio, so that the error says what the file is.
pub(crate) fn describe(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(512)];
    let text = String::from_utf8_lossy(start);
    let trimmed = text.trim_start_matches('\u{feff}').trim_start();
    let lower = trimmed.to_ascii_lowercase();
    if bytes.is_empty() {
        "an empty file".into()
    } else if trimmed.starts_with("version https://git-lfs") {
        "a git-lfs pointer (fetch the file itself)".into()
    } else if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        "an html page (a failed download?)".into()
    } else if start.starts_with(b"NIST_1A") {
        "a NIST SPHERE file (convert it with sph2pipe or ffmpeg)".into()
    } else if start.get(4..8) == Some(b"ftyp") {
        "an mp4 file".into()
    } else if start.starts_with(&[0x1A, 0x45, 0xDF, 0xA3]) {
        "a matroska or webm file".into()
    } else if start.starts_with(&[0x1F, 0x8B]) || start.starts_with(b"PK\x03\x04") {
        "a compressed archive".into()
    } else if start
        .iter()
        .all(|&b| b >= 0x20 || matches!(b, b'\t' | b'\n' | b'\r'))
    {
        "text".into()
    } else {
        let head: Vec<String> = start.iter().take(8).map(|b| format!("{b:02x}")).collect();
        format!("unknown bytes {}", head.join(" "))
    }
}

/// One page of an Ogg file: flags, and where its content lies.
struct OggPage {
    last: bool,
    body: std::ops::Range<usize>,
}

/// The page that starts at `at`; `None` if the file ends first or no page starts there.
fn ogg_page(bytes: &[u8], at: usize) -> Option<OggPage> {
    let header = bytes.get(at..at + 27)?;
    if !header.starts_with(b"OggS") {
        return None;
    }
    let start = at + 27 + usize::from(header[26]);
    let length: usize = bytes.get(at + 27..start)?.iter().map(|&n| usize::from(n)).sum();
    bytes.get(start..start + length)?;
    Some(OggPage {
        last: header[5] & 4 != 0,
        body: start..start + length,
    })
}

/// Codec of the first stream in an Ogg file, when it is one nobody decodes here.
pub(crate) fn ogg_foreign_codec(bytes: &[u8]) -> Option<&'static str> {
    let page = ogg_page(bytes, 0)?;
    let body = &bytes[page.body];
    [
        (&b"OpusHead"[..], "Opus"),
        (b"Speex   ", "Speex"),
        (b"\x80theora", "Theora (video)"),
    ]
    .into_iter()
    .find_map(|(magic, name)| body.starts_with(magic).then_some(name))
}

/// Whether an Ogg file is whole: pages without a gap, the last of them marked as the end of the stream.
///
/// Vorbis says its length nowhere but in that page, so a file cut between two pages looks shorter, not damaged.
pub(crate) fn ogg_is_whole(bytes: &[u8]) -> bool {
    let (mut at, mut last) = (0, false);
    while let Some(page) = ogg_page(bytes, at) {
        at = page.body.end;
        last = page.last;
    }
    // Bytes that are no page may follow the end (tags of some programs); a page that is not whole may not.
    last && !bytes[at..].starts_with(b"OggS")
}

/// Fills in the sizes that a WAV header left open, from the length of the file.
///
/// The header is left alone unless its RIFF size says that it was written before the length was known.
pub(crate) fn close_wave_sizes(bytes: &mut [u8]) {
    let word = |bytes: &[u8], at: usize| -> Option<u32> {
        Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    let length = bytes.len();
    let open = |size: u32, at: usize| size == 0 || (size >= OPEN_SIZE && size as usize > length - at);
    let Some(riff) = word(bytes, 4) else { return };
    if !open(riff, 8) {
        return;
    }
    // Chunks follow the 12 bytes of "RIFF", its size and "WAVE", each with a tag, a size and an even length.
    let mut at = 12;
    while let (Some(tag), Some(size)) = (bytes.get(at..at + 4), word(bytes, at + 4)) {
        let start = at + 8;
        if tag == b"data" {
            if open(size, start) {
                let rest = u32::try_from(length - start).unwrap_or(u32::MAX);
                bytes[at + 4..start].copy_from_slice(&rest.to_le_bytes());
            }
            break;
        }
        at = start
            .saturating_add(size as usize)
            .saturating_add(size as usize & 1);
    }
    let all = u32::try_from(length - 8).unwrap_or(u32::MAX);
    bytes[4..8].copy_from_slice(&all.to_le_bytes());
}
