//! Named parameters whose initial values are a function of (seed, name).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{VarBuilder, VarMap};
use sandhi_core::{Error, Result};

use crate::random;

/// How a parameter starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All zeros.
    Zeros,
    /// All ones.
    Ones,
    /// Uniform in ±√(6 / (fan in + fan out)), with fans from the last and the first dimension.
    XavierUniform,
    /// Uniform in ±bound.
    Uniform {
        /// The bound.
        bound: f64,
    },
    /// Normal with mean zero.
    Normal {
        /// The standard deviation.
        std: f64,
    },
}

/// A tree of trainable variables.
///
/// A variable's initial value depends on the seed and on its full name alone. So adding a module to a model leaves
/// every other weight as it was, and two arms of an ablation that share a seed start from the same point.
///
/// ```
/// use candle_core::{DType, Device};
/// use sandhi_nn::{Init, Params};
/// # fn main() -> sandhi_core::Result<()> {
/// let params = Params::seeded(1, DType::F32, &Device::Cpu);
/// let weight = params.scope("encoder").get("weight", &[2, 3], Init::XavierUniform)?;
/// assert_eq!(params.vars()[0].0, "encoder.weight");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Params {
    vars: Arc<Mutex<BTreeMap<String, Var>>>,
    seed: u64,
    dtype: DType,
    device: Device,
    prefix: String,
}

impl Params {
    /// An empty tree.
    pub fn seeded(seed: u64, dtype: DType, device: &Device) -> Self {
        Self {
            vars: Arc::default(),
            seed,
            dtype,
            device: device.clone(),
            prefix: String::new(),
        }
    }

    /// The subtree `name` of this one; variables are shared.
    #[must_use]
    pub fn scope(&self, name: &str) -> Self {
        Self {
            prefix: self.full(name),
            ..self.clone()
        }
    }

    /// The full name of this scope; empty at the root.
    pub fn name(&self) -> &str {
        &self.prefix
    }

    /// The device the variables are on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The dtype of the variables.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The variable `name` of this scope, made on first use.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if it exists with another shape.
    pub fn get(&self, name: &str, shape: &[usize], init: Init) -> Result<Tensor> {
        let full = self.full(name);
        let mut vars = self.lock();
        if let Some(var) = vars.get(&full) {
            if var.dims() != shape {
                let (expected, got) = (format!("{full} {:?}", var.dims()), shape.to_vec());
                return Err(Error::Shape {
                    what: "parameter",
                    expected,
                    got,
                });
            }
            return Ok(var.as_tensor().clone());
        }
        let values = random::initial(init, shape, random::key(self.seed, &full));
        let var = Var::from_tensor(&Tensor::from_vec(values, shape, &self.device)?.to_dtype(self.dtype)?)?;
        let tensor = var.as_tensor().clone();
        vars.insert(full, var);
        Ok(tensor)
    }

    /// Every variable of the whole tree with its full name, sorted by name.
    pub fn vars(&self) -> Vec<(String, Var)> {
        self.lock()
            .iter()
            .map(|(name, var)| (name.clone(), var.clone()))
            .collect()
    }

    /// The number of scalars in the whole tree.
    pub fn num_values(&self) -> usize {
        self.lock().values().map(|v| v.elem_count()).sum()
    }

    /// Copies of all values, by name: a snapshot that later steps do not change.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if a value cannot be copied.
    pub fn snapshot(&self) -> Result<BTreeMap<String, Tensor>> {
        self.lock()
            .iter()
            .map(|(name, var)| Ok((name.clone(), var.as_tensor().copy()?)))
            .collect()
    }

    /// Sets every variable from `values`, in place.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if a name is missing or unknown, [`Error::Shape`] if a shape differs. Nothing is changed then.
    pub fn restore(&self, values: &BTreeMap<String, Tensor>) -> Result<()> {
        let vars = self.lock();
        let odd = vars
            .keys()
            .find(|name| !values.contains_key(*name))
            .map(|name| format!("{name} is missing"));
        let odd = odd.or_else(|| {
            values
                .keys()
                .find(|n| !vars.contains_key(*n))
                .map(|n| format!("{n} is unknown"))
        });
        if let Some(why) = odd {
            return Err(Error::Invalid {
                what: "parameters",
                why,
            });
        }
        for (name, var) in vars.iter() {
            if values[name].dims() != var.dims() {
                let (expected, got) = (format!("{name} {:?}", var.dims()), values[name].dims().to_vec());
                return Err(Error::Shape {
                    what: "parameter",
                    expected,
                    got,
                });
            }
        }
        for (name, var) in vars.iter() {
            var.set(&values[name].to_dtype(var.dtype())?.contiguous()?)?;
        }
        Ok(())
    }

    /// Sets the variables that `values` names and leaves all others as they are: a training that starts from a part of
    /// another's weights.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if a name is unknown, [`Error::Shape`] if a shape differs. Nothing is changed then.
    pub fn adopt(&self, values: &BTreeMap<String, Tensor>) -> Result<()> {
        let mut all = self.snapshot()?;
        for (name, value) in values {
            if all.insert(name.clone(), value.clone()).is_none() {
                let why = format!("{name} is unknown");
                return Err(Error::Invalid {
                    what: "parameters",
                    why,
                });
            }
        }
        self.restore(&all)
    }

    /// Writes all variables to a safetensors file.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let values: std::collections::HashMap<String, Tensor> = self.snapshot()?.into_iter().collect();
        Ok(candle_core::safetensors::save(&values, path)?)
    }

    /// Reads all variables from a safetensors file; strict, see [`Params::restore`].
    ///
    /// # Errors
    ///
    /// As [`Params::restore`]; [`Error::Tensor`] if the file cannot be read.
    pub fn load(&self, path: &Path) -> Result<()> {
        let values = candle_core::safetensors::load(path, &self.device)?;
        self.restore(&values.into_iter().collect())
    }

    /// The same variables as a candle `VarMap`, so that modules written against candle can share them.
    pub fn to_var_map(&self) -> VarMap {
        let map = VarMap::new();
        let mut data = map.data().lock().unwrap_or_else(PoisonError::into_inner);
        data.extend(self.lock().iter().map(|(name, var)| (name.clone(), var.clone())));
        drop(data);
        map
    }

    /// A `VarBuilder` over the same variables.
    pub fn var_builder(&self) -> VarBuilder<'static> {
        let builder = VarBuilder::from_varmap(&self.to_var_map(), self.dtype, &self.device);
        if self.prefix.is_empty() {
            builder
        } else {
            builder.pp(&self.prefix)
        }
    }

    /// Adopts the variables of a candle `VarMap`; later draws for new names use `seed`.
    pub fn from_var_map(map: &VarMap, seed: u64, dtype: DType, device: &Device) -> Self {
        let params = Self::seeded(seed, dtype, device);
        let data = map.data().lock().unwrap_or_else(PoisonError::into_inner);
        params
            .lock()
            .extend(data.iter().map(|(name, var)| (name.clone(), var.clone())));
        drop(data);
        params
    }

    fn full(&self, name: &str) -> String {
        if self.prefix.is_empty() {
            name.to_string()
        } else {
            format!("{}.{name}", self.prefix)
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Var>> {
        // A panic elsewhere leaves the map as it was: insertion is the only change.
        self.vars.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
