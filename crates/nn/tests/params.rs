//! Parameters depend on (seed, name) and move to candle's containers and back.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use candle_core::{DType, Device};
use sandhi_core::Result;
use sandhi_nn::{Init, Params};

const NORMAL: Init = Init::Normal { std: 1.0 };

fn values(params: &Params, name: &str) -> Result<Vec<f32>> {
    Ok(params.get(name, &[50], NORMAL)?.to_vec1()?)
}

#[test]
fn params_do_not_depend_on_the_order_of_construction() -> Result<()> {
    let (a, b) = (
        Params::seeded(7, DType::F32, &Device::Cpu),
        Params::seeded(7, DType::F32, &Device::Cpu),
    );
    let first = values(&a, "x")?;
    values(&b, "other")?;
    assert_eq!(first, values(&b, "x")?);
    assert_ne!(first, values(&Params::seeded(8, DType::F32, &Device::Cpu), "x")?);
    assert_ne!(first, values(&a, "y")?);
    Ok(())
}

#[test]
fn params_survive_a_file_and_refuse_a_wrong_one() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("params.safetensors");
    let a = Params::seeded(1, DType::F32, &Device::Cpu);
    let before = values(&a, "x")?;
    a.save(&path)?;
    let b = Params::seeded(2, DType::F32, &Device::Cpu);
    values(&b, "x")?;
    b.load(&path)?;
    assert_eq!(before, values(&b, "x")?);
    values(&b, "y")?;
    assert_eq!(b.load(&path).unwrap_err().to_string(), "parameters: y is missing");
    assert!(a.restore(&BTreeMap::new()).is_err());
    Ok(())
}

#[test]
fn params_adopt_a_part_and_keep_the_rest() -> Result<()> {
    let (whole, part) = (
        Params::seeded(1, DType::F32, &Device::Cpu),
        Params::seeded(2, DType::F32, &Device::Cpu),
    );
    let (x, y) = (values(&whole, "x")?, values(&whole, "y")?);
    let other = values(&part, "x")?;
    assert_ne!(x, other);
    whole.adopt(&part.snapshot()?)?;
    assert_eq!((values(&whole, "x")?, values(&whole, "y")?), (other, y));
    values(&part, "z")?;
    let error = whole.adopt(&part.snapshot()?).unwrap_err().to_string();
    assert_eq!(error, "parameters: z is unknown");
    Ok(())
}

#[test]
fn params_share_their_variables_with_candle() -> Result<()> {
    let params = Params::seeded(1, DType::F32, &Device::Cpu);
    let x = params.scope("layer").get("x", &[50], NORMAL)?;
    let seen = params.scope("layer").var_builder().get(50, "x")?;
    assert_eq!(x.to_vec1::<f32>()?, seen.to_vec1::<f32>()?);
    let back = Params::from_var_map(&params.to_var_map(), 1, DType::F32, &Device::Cpu);
    back.vars()[0].1.set(&x.zeros_like()?)?;
    assert_eq!(
        params.get("layer.x", &[50], NORMAL)?.to_vec1::<f32>()?,
        vec![0.0; 50]
    );
    Ok(())
}

#[test]
fn params_of_one_name_keep_their_shape() -> Result<()> {
    let params = Params::seeded(1, DType::F32, &Device::Cpu);
    params.get("x", &[2], Init::Zeros)?;
    let error = params.get("x", &[3], Init::Zeros).unwrap_err().to_string();
    assert_eq!(error, "parameter: expected x [2], got [3]");
    Ok(())
}
