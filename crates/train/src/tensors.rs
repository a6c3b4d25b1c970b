//! Host arrays to safetensors bytes and back.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, View};

use crate::{Error, Result};

/// An f32 array with its shape.
pub(crate) struct Array<'a> {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Cow<'a, [f32]>,
}

impl View for Array<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = Vec::with_capacity(self.data_len());
        for value in self.values.iter() {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        bytes.into()
    }

    fn data_len(&self) -> usize {
        self.values.len() * 4
    }
}

/// The bytes of a safetensors file, the same for the same content.
pub(crate) fn to_bytes<'a>(
    arrays: impl IntoIterator<Item = (String, Array<'a>)>,
    about: Option<(&str, String)>,
) -> Result<Vec<u8>> {
    let metadata = about.map(|(key, value)| HashMap::from([(key.to_owned(), value)]));
    safetensors::serialize(arrays, metadata).map_err(|error| Error::corrupt("safetensors", error.to_string()))
}

/// The arrays of a safetensors file and its metadata; `path` is what errors name.
#[allow(clippy::type_complexity)] // Two maps, and a name for the pair would say no more.
pub(crate) fn from_bytes(
    bytes: &[u8],
    path: &Path,
) -> Result<(BTreeMap<String, Array<'static>>, HashMap<String, String>)> {
    let corrupt = |error: safetensors::SafeTensorError| Error::corrupt(path, error.to_string());
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(corrupt)?;
    let mut arrays = BTreeMap::new();
    for (name, view) in SafeTensors::deserialize(bytes).map_err(corrupt)?.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(Error::corrupt(
                path,
                format!("{name}: expected F32, got {:?}", view.dtype()),
            ));
        }
        let words = view.data().as_chunks::<4>().0;
        let values = words
            .iter()
            .map(|&word| f32::from_le_bytes(word))
            .collect::<Vec<f32>>();
        arrays.insert(
            name.to_owned(),
            Array {
                shape: view.shape().to_vec(),
                values: values.into(),
            },
        );
    }
    Ok((arrays, header.metadata().clone().unwrap_or_default()))
}
